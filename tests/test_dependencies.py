"""What pyproject.toml asks for: all that is imported, from versions that work and that no published advisory names."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"mirror_sync", "tests", "bench", "docs"}
# They run in environments of their own: tests/clients/requirements.
_OTHERS = (
    "clients/checks",
    "clients/suite/make.py",
    "clients/suite/use.py",
    "clients/suite/use_s3.py",
    "clients/use_kinds.py",
    "clients/use_modelscope.py",
    "trust/made.py",
)
ELSEWHERE = tuple(TOP / "tests" / name for name in _OTHERS)

# The last version that must not be taken: too old for the code, or named by the advisory.
REFUSED = {
    "boto3": ("1.38.22", "its bodies have no readinto"),
    "distributed": ("2025.12.0", "PYSEC-2026-169"),
    "h11": ("0.14.0", "CVE-2025-43859"),
    "jinja2": ("3.1.5", "CVE-2025-27516"),
    "markdown-it-py": ("3.0.0", "a short table takes gigabytes"),
    "starlette": ("1.3.0", "PYSEC-2026-249"),
    "urllib3": ("2.6.3", "PYSEC-2026-141"),
}


def requirements(*extras: str) -> dict[str, Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def imported(node: ast.AST, *, types: bool) -> Iterator[str]:
    """The top packages that a module imports; with `types` those too that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (name.name.split(".")[0] for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            if not child.level:
                yield str(child.module).split(".")[0]
        elif types or not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imported(child, types=types)


def undeclared(declared: dict[str, Requirement], *folders: str, types: bool) -> set[tuple[str, str]]:
    """Files, and what they import although none of the declared packages brings it."""
    brings = packages_distributions()
    found = set()
    for path in (path for folder in folders for path in (TOP / folder).rglob("*.py")):
        if any(path.is_relative_to(place) for place in ELSEWHERE):
            continue
        names = set(imported(ast.parse(path.read_text(encoding="utf-8")), types=types)) - OURS - sys.stdlib_module_names
        for name in names:
            if not {canonicalize_name(one) for one in brings.get(name, [])} & declared.keys():
                found.add((str(path.relative_to(TOP)), name))
    return found


def test_the_program_declares_every_package_that_it_imports() -> None:
    for path, name in undeclared(requirements(), "mirror_sync", types=False):
        extras = {
            ("cluster", "distributed"),
            ("signing", "cryptography"),
            ("signing", "pkcs11"),
            ("scanners", "picklescan"),
            ("observe", "opentelemetry"),
        }
        assert (path.split("/")[1], name) in extras, f"{path} imports {name}"
    assert not undeclared(requirements("cluster", "scan", "sign", "pkcs11", "otel"), "mirror_sync", types=False)


def test_tests_and_tools_declare_every_package_that_they_import() -> None:
    everything = requirements("cluster", "scan", "bench", "sign", "pkcs11", "test")
    assert not undeclared(everything, "mirror_sync", "tests", "bench", "packaging", "docs", types=True)


@pytest.mark.parametrize(("name", "version", "reason"), [(name, *why) for name, why in REFUSED.items()])
def test_no_bound_admits_what_is_too_old_or_has_an_advisory(name: str, version: str, reason: str) -> None:
    asked = requirements("cluster", "sign")[name]
    assert not asked.specifier.contains(version), f"{asked} admits {version}: {reason}"


def test_every_package_has_a_lowest_version() -> None:
    for one in requirements(*EXTRAS).values():
        assert one.name == "mirror-sync" or any(part.operator in (">=", "==") for part in one.specifier), str(one)
