"""Counts the calls of our code while something is done, in all threads that begin meanwhile: no clock is asked."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import mirror_sync

OURS = str(Path(mirror_sync.__file__).parent)


@contextmanager
def calls_counted(below: str = OURS) -> Iterator[Counter[str]]:
    """Calls of Python functions of files below a folder, by their qualified names."""
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(below):
            found[frame.f_code.co_qualname] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
