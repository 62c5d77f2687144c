"""`make` on a fresh machine: what fails there is told in a line of ours, not in pip's."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lowest import SERVERS

ROOT = Path(__file__).parents[2]
NEEDED = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "tests/__init__.py",
    "tests/system.py",
    "tests/parts.py",
    "tests/requirements.py",
)


def outside() -> dict[str, str]:
    """As a person calls it: below `make test` it would be a make within a make, which names itself otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def pytest_of(*words: str) -> list[str]:
    """What `make` would give to pytest; it runs nothing. The other commands are told by `planned`."""
    [line] = [line for line in planned(*words) if " -m pytest" in line]
    return shlex.split(line.partition(" -m pytest")[2])


def planned(*words: str) -> list[str]:
    ended = subprocess.run(
        ["make", "--dry-run", *words], cwd=ROOT, env=outside(), capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()


def test_one_path_or_name_is_tested_by_itself_and_nothing_is_installed_or_checked_for_it() -> None:
    assert pytest_of("test", "T=tests/front") == ["tests/front"]
    assert pytest_of("test", "K=a and not b") == ["-k", "a and not b"]
    assert pytest_of("test", "T=tests/front/test_work.py", "K=head", "ARGS=-x") == [
        *("tests/front/test_work.py", "-k", "head", "-x")
    ]
    assert not [line for line in planned("test", "K=head") if "ruff" in line or "environments" in line]


def test_without_them_everything_is_checked_and_tested() -> None:
    assert pytest_of("test") == ["--numprocesses", "3", "--dist", "loadfile"]
    assert [line for line in planned("test") if "lint-imports" in line]


def test_unit_names_what_is_there_and_leaves_every_server_out() -> None:
    words = pytest_of("unit")
    named = [word for word in words if word.startswith("tests/")]
    assert named
    assert [word for word in named if not (ROOT / word).exists()] == []
    assert {word for word in words if "without" in word} == {f"--without={name}" for name in SERVERS} | {
        "--without=moto"
    }


def test_without_a_package_index_make_says_so_and_how_long_it_would_take(tmp_path: Path) -> None:
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    ended = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={**outside(), **nowhere},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode != 0
    assert "about a minute" in ended.stdout
    ours = [line for line in ended.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(ours) == 1, ended.stderr
    assert "PIP_INDEX_URL" in ours[0]
    assert "pip.log" in ours[0]
    assert (tmp_path / ".venv" / "pip.log").read_text(encoding="utf-8").strip()
