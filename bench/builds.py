"""Builds of ours to measure: each a wheel in an environment of its own, with what a user installs and nothing else.

The environment of the tests has packages that hook into the start of every Python program: not ours to pay for.
All builds get the same versions of other people's packages, those of the environment that runs the bench.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.places import BIN, ROOT

OURS = "mirror-sync"
_STAMP = "installed"


class BuildError(RuntimeError):
    """A build could not be made or installed; the message ends with what was said."""


@dataclass(frozen=True)
class Build:
    """A program to measure, under the name that rows call it by."""

    name: str
    program: Path


HERE = Build(OURS, BIN / "mirror-sync")
"""The one of the environment that runs us: for tests, which measure nothing."""


def ours(folder: Path) -> Build:
    """The files as they are here, committed or not, installed below `folder`. Raises BuildError."""
    return _installed(OURS, _wheel(ROOT, folder / "wheels" / "now"), folder / "now")


def older(against: str, folder: Path) -> Build:
    """A build to compare with: a wheel, or a revision that git knows. Raises BuildError."""
    given = Path(against)
    if given.suffix == ".whl":
        if not given.is_file():
            raise BuildError(f"{against}: there is no such wheel")
        return _installed(f"{OURS} {given.name.split('-')[1]}", given, folder / "against")
    name = _run(["git", "-C", ROOT, "rev-parse", "--short", "--verify", "--quiet", f"{against}^{{commit}}"]).strip()
    wheel = _wheel_of(name, folder / "wheels" / name)
    return _installed(f"{OURS} {name}", wheel, folder / "against")


def installed_packages(frozen: str) -> str:
    """The lines of ``pip freeze`` that hold others to the same versions: none that names a folder or an address."""
    return "".join(f"{line}\n" for line in frozen.splitlines() if "==" in line and " @ " not in line)


def _wheel_of(revision: str, folder: Path) -> Path:
    """The wheel of a revision, which never changes."""
    known = sorted(folder.glob("*.whl"))
    if known:
        return known[0]
    source = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)
    source.mkdir(parents=True)
    archive = folder / "source.tar"
    _run(["git", "-C", ROOT, "archive", "--output", archive, revision])
    with tarfile.open(archive) as packed:
        packed.extractall(source, filter="data")
    return _wheel(source, folder)


def _wheel(source: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.whl"):
        stale.unlink()
    _run([BIN / "uv", "build", "--quiet", "--wheel", "--out-dir", folder, source])
    return next(folder.glob("*.whl"))


def _installed(name: str, wheel: Path, folder: Path) -> Build:
    """Made anew when the wheel, or the versions around it, are others than those that are there."""
    same = installed_packages(_run([BIN / "uv", "pip", "freeze", "--python", sys.executable]))
    stamp = hashlib.sha256(wheel.read_bytes() + same.encode()).hexdigest()
    build = Build(name, folder / "bin" / "mirror-sync")
    if build.program.exists() and (folder / _STAMP).exists() and (folder / _STAMP).read_text() == stamp:
        return build
    _run([BIN / "uv", "venv", "--quiet", "--clear", "--python", sys.executable, folder])
    constraints = folder / "constraints.txt"
    constraints.write_text(same, encoding="utf-8")
    # compiled, as an installation by a package is: the first start is not to compile for all
    words = ["--python", folder / "bin" / "python", "--compile-bytecode", "--constraint", constraints]
    _run([BIN / "uv", "pip", "install", "--quiet", *words, wheel])
    (folder / _STAMP).write_text(stamp)
    return build


def _run(words: Sequence[object]) -> str:
    outcome = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if outcome.returncode:
        said = (outcome.stderr or outcome.stdout).strip()[-2000:]
        raise BuildError(f"{' '.join(str(word) for word in words[:3])} ... ended with {outcome.returncode}: {said}")
    return outcome.stdout
