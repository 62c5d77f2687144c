"""A process that may not read everything, and a pathlib that does not tell so: for a test's children, which end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534  # the uid and gid of a process that may read only what is its own


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def give_to_nobody(root: Path) -> None:
    """A folder, and what lies in it."""
    if os.geteuid() == 0:
        for place in (root, *root.rglob("*")):
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)


def forget_errors() -> None:
    """As from Python 3.14 on: `exists` and the like answer no to what they may not look at."""
    for name, answer in {
        "exists": os.path.exists,
        "is_dir": os.path.isdir,
        "is_file": os.path.isfile,
        "is_symlink": os.path.islink,
    }.items():
        setattr(Path, name, _asking(answer))


def _asking(answer: Callable[[Path], bool]) -> Callable[[Path], bool]:
    def ask(path: Path) -> bool:
        return answer(path)

    return ask
