"""Progress on a terminal is bounded in height and in work, and log lines stay readable above it."""

from __future__ import annotations

import io
import threading

import pytest
import structlog
from rich.console import Console

from mirror_sync.domain.outcome.events import ReposListed, RunStarted, Verified
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.observe.log.log import LineWriter
from mirror_sync.observe.progress.live_progress import LARGE, Bars, LiveProgress
from mirror_sync.observe.progress.plain_progress import PlainProgress, fields_of
from mirror_sync.observe.tally import Tally
from tests.observers.happenings import RUN, STARTED, began, came, planned, stored
from tests.waiting import PATIENCE


def screen(tally: Tally, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(Bars(tally))
    return captured.get().rstrip("\n").split("\n")


def busy(files: int, size: int) -> Tally:
    tally = Tally(lambda: 0.0)
    tally(STARTED)
    tally(ReposListed(RUN, "job", 1))
    tally(planned(files, files * size))
    for number in range(files):
        tally(began(f"folder/model-{number:05}-of-{files:05}.safetensors", size))
    return tally


@pytest.mark.parametrize("height", [1, 5, 12, 50])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal_however_many_large_files_come(width: int, height: int) -> None:
    lines = screen(busy(100, LARGE), width, height)
    assert len(lines) <= max(height, 2)
    assert max(map(len, lines)) <= width


def test_small_files_get_no_bar_of_their_own() -> None:
    assert len(screen(busy(100, LARGE - 1))) == 2


def test_a_file_shows_the_end_of_its_name_its_bytes_and_its_rate() -> None:
    now = 0.0
    tally = Tally(lambda: now)
    for event in (STARTED, planned(1, 100_000_000), began(f"{'deep/' * 20}model.safetensors", 100_000_000)):
        tally(event)
    tally(came(f"{'deep/' * 20}model.safetensors", 25_000_000))
    now = 5.0
    line = screen(tally)[0]
    assert "deep/model.safetensors" in line
    assert " ".join(line.split()[-8:]) == "25.0 MB of 100 MB 5.0 MB/s 15s"


def test_two_files_of_one_name_in_two_repos_are_two() -> None:
    tally = Tally()
    for name in ("acme/one", "acme/two"):
        tally(began("model.bin", LARGE, Repo(Kind.MODEL, name)))
    assert len(screen(tally)) == 4


def test_a_hostile_name_cannot_drive_the_terminal() -> None:
    tally = Tally()
    tally(began("\x1b]0;owned\x07\x1b[2J[bold]\r.bin", LARGE))
    text = "".join(screen(tally))
    assert "\x1b" not in text
    assert "[bold]" in text


def test_ten_thousand_files_are_drawn_a_bounded_number_of_times() -> None:
    class Counted(Tally):
        draws = 0

        def now(self):  # type: ignore[no-untyped-def]
            Counted.draws += 1
            return super().now()

    tally = Counted()
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    with LiveProgress(tally, LineWriter(io.StringIO()), console) as live:
        live._live.auto_refresh = False
        live._live._refresh_thread.stop()  # type: ignore[union-attr]
        before = Counted.draws
        tally(planned(10_000, 10_000))
        for number in range(10_000):
            path = str(number)
            for event in (began(path, 1), came(path, 1), stored(path, 1)):
                tally(event)
        # telling draws nothing: only the clock does, a few times a second
        assert Counted.draws - before <= 2


def test_a_moment_shows_what_is_on_its_way_and_forgets_what_came() -> None:
    tally = Tally(lambda: 0.0)
    for event in (STARTED, planned(10_000, 10_000)):
        tally(event)
    most = 0
    for number in range(10_000):
        tally(began(str(number), 1))
        if number >= 8:
            tally(came(str(number - 8), 1))
            tally(stored(str(number - 8), 1))
        if number % 1000 == 0:
            most = max(most, len(tally.now().in_flight))
    assert 0 < most <= 8
    assert (tally.now().files_done, tally.now().files) == (9_992, 10_000)


def test_log_lines_go_above_the_bars_and_back_to_the_stream_afterwards() -> None:
    stream, terminal = io.StringIO(), io.StringIO()
    lines = LineWriter(stream)
    console = Console(file=terminal, width=80, height=24, force_terminal=True)
    with LiveProgress(Tally(), lines, console):
        lines.msg("above [bold]")
    lines.msg("after")
    assert "above [bold]" in terminal.getvalue()
    assert stream.getvalue() == "after\n"


def test_elsewhere_a_line_comes_again_and_again_while_a_run_goes_on_even_when_nothing_moves() -> None:
    seen = threading.Semaphore(0)

    def note(_logger: object, _name: str, fields: structlog.typing.EventDict) -> str:
        assert fields["event"] == "progress"
        seen.release()
        raise structlog.DropEvent

    structlog.configure(processors=[note])
    tally = busy(3, 100)
    try:
        with PlainProgress(tally, every=0.01):
            assert all(seen.acquire(timeout=PATIENCE) for _ in range(3))
    finally:
        structlog.reset_defaults()


def test_it_says_which_job_of_how_many_goes_on() -> None:
    tally = Tally()
    for event in (RunStarted(RUN, ("models", "datasets"), ""), ReposListed(RUN, "datasets", 40), planned(12, 120)):
        tally(event)
    assert screen(tally)[-1] == "job 2 of 2: datasets, 0 of 40 repos, 0 of 12 files"


def test_a_verification_shows_blobs_bytes_faults_and_what_a_repair_fetches() -> None:
    tally = Tally()
    console = Console(file=io.StringIO(), width=80, height=24, color_system=None)
    tally(Verified(1200, 5_600_000_000, 2))
    for event in (began("model.bin", LARGE), stored("model.bin", LARGE), began("other.bin", LARGE)):
        tally(event)
    with console.capture() as captured:
        console.print(Bars(tally, "verifying"))
    first, second, third = captured.get().rstrip("\n").split("\n")
    assert "acme/one other.bin" in first
    assert second.startswith("verifying")
    assert third == "1,200 blobs, 5.6 GB, 2 faults, 1 file fetched again"


def test_elsewhere_a_verification_has_its_line_too() -> None:
    seen = threading.Semaphore(0)

    def note(_logger: object, _name: str, fields: structlog.typing.EventDict) -> str:
        if {"blobs": "1,200", "verified": "5.6 GB", "faults": "2"}.items() <= fields.items():
            seen.release()
        raise structlog.DropEvent

    structlog.configure(processors=[note])
    tally = Tally()
    tally(Verified(1200, 5_600_000_000, 2))
    try:
        with PlainProgress(tally, every=0.01):
            assert seen.acquire(timeout=PATIENCE)
    finally:
        structlog.reset_defaults()


def test_a_progress_line_says_what_is_done_and_what_there_is() -> None:
    assert fields_of(busy(3, 1_000_000).now()) == {
        "job": "1/1 job",
        "repos": "0/1",
        "files": "0/3",
        "fetched": "0 B of 3.0 MB",
        "rate": "0 B/s",
        "left": "unknown",
    }
