"""`events`: what happened, newest last, once, for those who were asked for; and what happens while one looks on."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirror_sync.app.looking.happenings import HappeningFilter, following, happenings
from mirror_sync.domain.outcome.events import Care, RepoFinished, RunFinished, RunStarted, Tended
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.domain.times import iso_utc
from mirror_sync.state.history import History
from tests.cli.program import Program

NOW = datetime.now(UTC)


def at(minutes: int) -> str:
    return iso_utc(NOW - timedelta(minutes=minutes))


def tell(path: Path, run: str, minutes: int, *repos: tuple[str, str, RepoOutcome]) -> None:
    """A run so many minutes ago, of a minute."""
    history = History(path, lambda: at(minutes))
    jobs = tuple(dict.fromkeys(job for job, _, _ in repos))
    history(RunStarted(run, jobs, at(minutes)))
    found = tuple(
        RepoReport(job, Kind.MODEL, repo, "main", outcome, "c" * 40, "so it is") for job, repo, outcome in repos
    )
    for one in found:
        history(RepoFinished(run, one))
    history(RunFinished(RunReport(run, at(minutes), at(minutes - 1), found, done=jobs)))
    history.close()


def test_what_happened_is_told_in_its_order_for_those_who_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    tell(path, "r1", 90, ("a", "acme/x", RepoOutcome.PUBLISHED), ("b", "acme/y", RepoOutcome.FAILED))
    tell(path, "r2", 30, ("a", "acme/x", RepoOutcome.UNCHANGED), ("b", "acme/y", RepoOutcome.PUBLISHED))
    writer = History(path)
    writer(Tended("main", Care.VERIFY, at(10), 2))
    writer.close()
    history = History(path, reading=True)

    def words(hours: float, wanted: HappeningFilter) -> list[str]:
        return [f"{one.what} {one.about}" for one in happenings(history, NOW - timedelta(hours=hours), wanted)]

    recent = ["begun a, b", "published acme/y@main", "ended a, b", "verified target main"]
    assert words(1, HappeningFilter()) == recent
    assert words(2, HappeningFilter()) == [
        *("begun a, b", "published acme/x@main", "failed acme/y@main", "ended a, b"),
        *recent,
    ]
    assert words(2, HappeningFilter(jobs=frozenset({"c"}))) == []
    assert words(2, HappeningFilter(RepoPattern(Kind.MODEL, "acme/y"))) == ["failed acme/y@main", *recent[1:2]]
    assert words(2, HappeningFilter(RepoPattern(Kind.DATASET, "acme/y"))) == []


def test_who_follows_sees_each_thing_once_and_asks_only_when_there_is_news(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    tell(path, "r1", 5, ("a", "acme/x", RepoOutcome.PUBLISHED))
    looks = iter((False, False, True))

    def wait() -> bool:
        over = next(looks)
        if not over and len(told) == 1:
            tell(path, "r2", 4, ("a", "acme/y", RepoOutcome.FAILED))  # of the same moment as what was seen last
        return over

    told: list[list[str]] = []
    history = History(path, reading=True)
    for found in following(history, path, NOW - timedelta(hours=1), HappeningFilter(), wait):
        told += [[f"{one.what} {one.about}" for one in found]]
    assert told[0] == ["begun a", "published acme/x@main", "ended a"]
    assert sorted(told[1]) == ["begun a", "ended a", "failed acme/y@main"]
    assert len(told) == 2


def test_the_program_follows_until_it_is_stopped_and_ends_well(program: Program) -> None:
    program("sync", "good")
    with program.started("events", "--follow", "--json") as child:
        assert child.stdout is not None
        assert [json.loads(child.stdout.readline())["what"] for _ in range(3)] == ["begun", "published", "ended"]
        program("sync", "bad")
        assert json.loads(child.stdout.readline())["about"] == "bad"
        child.send_signal(signal.SIGINT)
        _, said = child.communicate()
        assert child.returncode == 0, said
    assert "Traceback" not in said
    assert "did you mean acme/one" in program("events", "--repo", "acme/onne").err
    assert program("events", "--since", "1m", "--repo", "acme/one").code == 0
