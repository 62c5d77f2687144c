"""Runs every operation of the client suite inside a client's environment.

`HF_ENDPOINT=URL HF_HOME=DIR python -m tests.clients.operations TRUTH.json [WORD...]` prints one JSON line an operation,
`{"operation", "ok", "detail", "seconds"}`, and ends with 0 when all are ok. Words choose operations by their names.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.clients.checks import caches, downloads, filesystem, libraries, listings, refusals
from tests.clients.checks.registry import CHECKS, Check
from tests.clients.truth import Truth

FAMILIES = (downloads, listings, refusals, filesystem, caches, libraries)
"""Imported for what they register."""


def main(arguments: Sequence[str]) -> int:
    """Runs the chosen operations; returns the exit code."""
    truth = Truth.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    words = [word.lower() for word in arguments[1:]]
    chosen = {name: check for name, check in CHECKS.items() if all(word in name.lower() for word in words)}
    outcomes = [_report(name, check, truth) for name, check in chosen.items()]
    return 0 if all(outcomes) else 1


def _report(name: str, check: Check, truth: Truth) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="client-") as scratch:
        ok, detail = _outcome(check, truth, Path(scratch))
    line = {"operation": name, "ok": ok, "detail": detail, "seconds": round(time.monotonic() - began, 2)}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return ok


def _outcome(check: Check, truth: Truth, scratch: Path) -> tuple[bool, str]:
    try:
        return True, check(truth, scratch) or ""
    except Exception as fault:  # whatever a client raises is what this suite is for
        place = traceback.extract_tb(fault.__traceback__)
        ours = [frame for frame in place if "/tests/clients/" in frame.filename]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        return False, f"{type(fault).__name__}: {fault} ({where})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
