"""What is counted as a command's cost. Bounds below only: no time is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.measure import Command, CommandError, Cost, measured, tree
from bench.places import ROOT

BURN = "import time\nwhile time.process_time() < {seconds}: pass"


def python(code: str) -> str:
    return f"'{sys.executable}' -c '{code}'"


def test_cpu_of_children_and_of_their_orphans_is_counted(tmp_path: Path) -> None:
    one = python(BURN.format(seconds=0.3))
    # The second is started by a shell that ends at once: nobody but us can wait for it.
    cost = measured(Command(["sh", "-c", f"{one}; sh -c '{one.replace(chr(39), chr(34))} &'"]), tmp_path / "log")
    assert cost.cpu_seconds > 0.6


def test_memory_of_children_is_counted(tmp_path: Path) -> None:
    """Each lets go three seconds after the other holds its own, too: so long both are seen together."""
    hold = python(
        "import sys, time; from pathlib import Path\n"
        "held = bytearray(64 << 20); mine, other = map(Path, sys.argv[1:])\n"
        "mine.touch()\n"
        "while not other.exists(): time.sleep(0.01)\n"
        "time.sleep(3)"
    )
    cost = measured(Command(["sh", "-c", f"{hold} a b & {hold} b a & wait"], folder=tmp_path), tmp_path / "log")
    assert cost.peak_rss > 2 * (64 << 20)


def test_a_peak_between_two_looks_is_seen(tmp_path: Path) -> None:
    """The memory is given back at once; the process's own high water mark remembers it."""
    code = "import time; held = bytearray(96 << 20); del held; time.sleep(3)"
    assert measured(Command([sys.executable, "-c", code]), tmp_path / "log").peak_rss > 96 << 20


def test_what_runs_beside_is_not_counted(tmp_path: Path) -> None:
    held = bytearray(512 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert (
        measured(Command([sys.executable, "-c", "import time; time.sleep(0.3)"]), tmp_path / "log").peak_rss < 256 << 20
    )
    assert held


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"(?s)ended with 3.*no such luck"):
        measured(Command(["sh", "-c", "echo no such luck; exit 3"]), tmp_path / "log")


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    before = set(tree(os.getpid()))
    with pytest.raises(CommandError, match="ended with -9"):
        measured(Command(["sh", "-c", "sleep 300 & sleep 300"]), tmp_path / "log", limit=0.5)
    assert set(tree(os.getpid())) <= before


def test_a_run_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from bench.measure import Command, measured\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "here = Path(sys.argv[1])\n"
        "measured(Command(['sh', '-c', 'echo $$ > pid; exec sleep 300'], folder=here), here / 'log')"
    )
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=found) as run:
        child = _number_in(tmp_path / "pid")
        run.terminate()
    assert run.returncode == 1
    assert not _runs(child)


def _number_in(file: Path) -> int:
    for _ in range(600):
        if file.exists() and file.read_text().endswith("\n"):
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written")


def _runs(pid: int) -> bool:
    """Does it run? Who has ended but was not waited for does not."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_two_steps_cost_the_time_of_both_and_the_memory_of_the_bigger() -> None:
    assert Cost(1, 2, 30).then(Cost(10, 20, 3)) == Cost(11, 22, 30)


def test_environment_and_folder_reach_the_command(tmp_path: Path) -> None:
    measured(Command(["sh", "-c", "echo $BENCH_WORD > here"], {"BENCH_WORD": "said"}, tmp_path), tmp_path / "log")
    assert (tmp_path / "here").read_text() == "said\n"
