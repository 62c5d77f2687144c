"""What a command of the program held at most, in a process of its own, as a user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# `ru_maxrss` would survive exec and report the peak of the test's own process; VmHWM begins anew (proc(5)).
_MEASURED = """
import re, sys
from pathlib import Path
from mirror_sync.cli import main
try:
    main()
finally:
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024, file=sys.stderr)
"""


def peak_of(config: Path, *words: str) -> tuple[str, int]:
    """What it printed, and its peak of resident memory in bytes, the interpreter included."""
    command = [sys.executable, "-c", _MEASURED, "-c", str(config), *words]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_PROXY": "*"})
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout, int(outcome.stderr.strip().splitlines()[-1])
