"""Installs the parts of the system that tests need, or says what is missing and what is skipped for it.

`python3 -m tests.system [PART...]`, all parts when none is named. Runs on the system's own Python, before any
environment exists. Installs only as root on Debian, starts no service, and costs nothing when all is here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.parts import PARTS, Part, absent, find_program, strict

POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "--no-upgrade"]


def main(names: Sequence[str]) -> int:
    """Brings the named parts; returns the exit code: 1 when one is missing that this run cannot do without."""
    wanted = list(names) or list(PARTS)
    missing = absent(wanted)
    if missing and _can_install():
        _install([package for part in missing for package in part.packages])
        missing = absent(wanted)
    for part in missing:
        _say(_sentence(part))
    fatal = strict() or any(part.name == "venv" for part in missing)
    return 1 if missing and fatal else 0


def _can_install() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and find_program("apt-get") is not None


def _install(packages: Sequence[str]) -> None:
    """Tries what the known package lists say first: they are only refreshed when that fails."""
    _say(f"installing {' '.join(packages)}")
    with _no_service_starts():
        if _apt([*INSTALL, *packages]) is None:
            return
        _apt(["apt-get", "update", "--quiet"])
        fault = _apt([*INSTALL, *packages])
    if fault is not None:
        _say(fault)


def _apt(command: Sequence[str]) -> str | None:
    """Runs one apt command; returns the end of what it said when it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    outcome = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if outcome.returncode == 0:
        return None
    tail = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-15:])
    return f"{' '.join(command[:2])} failed ({outcome.returncode}):\n{tail}"


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian asks this script before a package starts its service: 101 forbids it."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _sentence(part: Part) -> str:
    fate = "Fails" if strict() else "Is skipped"
    remedy = f"On Debian: apt-get install {' '.join(part.packages)}"
    return f"missing: {', '.join(part.missing())}. {fate}: {part.unlocks}. {remedy}"


def _say(text: str) -> None:
    sys.stdout.write(f"tests: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
