"""Where a run took place: the machine, and the version of everything that took part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.places import BIN, ROOT
from tests.parts import find_program


def machine(work: Path) -> dict[str, str]:
    """What the figures depend on: processor, memory, kernel and the disk under the work folder."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "disk": _disk(work),
    }


def versions() -> dict[str, str]:
    """The versions of ours, of the libraries under it, of the competitors and of the servers."""
    packages = {name: version(name) for name in ("mirror-sync", "boto3", "urllib3", "huggingface_hub")}
    programs = {
        "rclone": _said(str(BIN / "rclone"), "version"),
        "s5cmd": _said(str(BIN / "s5cmd"), "version"),
        "aria2": _said("aria2c", "--version"),
        "nginx": _said("nginx", "-v"),
        "ceph": _said("ceph-osd", "--version"),
    }
    return {"python": platform.python_version(), **packages, **programs}


def commit() -> str:
    """The commit that is measured, and whether files differ from it; empty outside of a clone."""
    git = find_program("git")
    if git is None:
        return ""
    there = [git, "-C", str(ROOT)]
    named = subprocess.run([*there, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    # what the bench itself writes is no change of what it measures
    others = [".", ":(exclude)bench/RESULTS.md", ":(exclude)bench/results.json"]
    changed = subprocess.run([*there, "diff", "--quiet", "HEAD", "--", *others], capture_output=True, check=False)
    name = named.stdout.strip()
    return f"{name}-dirty" if name and changed.returncode else name


def _said(program: str, word: str) -> str:
    """The first number with dots in what a program says of itself."""
    found = program if program.startswith("/") else find_program(program)
    if found is None or not Path(found).exists():
        return "not here"
    outcome = subprocess.run([found, word], capture_output=True, text=True, timeout=30, check=False)
    number = re.search(r"\d+(\.\d+)+", outcome.stdout + outcome.stderr)
    return number.group() if number else "?"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _disk(folder: Path) -> str:
    device = folder.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    block = Path(f"/sys/dev/block/{name}")
    kind = _filesystem(folder)
    if not block.exists():
        return kind
    # A partition has no queue of its own.
    queue = next((one for one in (block / "queue", block.resolve().parent / "queue") if one.exists()), None)
    rotational = (queue / "rotational").read_text().strip() if queue else "?"
    spins = {"0": "says it is not rotational", "1": "says it is rotational"}.get(rotational, "says nothing")
    return f"{block.resolve().name} ({kind}; {spins})"


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds a folder."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [one for one in mounts if folder.resolve().is_relative_to(one[1])]
    return max(holding, key=lambda one: len(one[1]))[2] if holding else "unknown"
