"""A report says when upstream made a commit, when it was published here, and how long readers waited."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.state.history import History
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

ONE = job("acme/x")


def remembering(workshop: Workshop, folder: Path) -> Workshop:
    history = History(folder / "history.db")
    workshop.context = replace(workshop.context, tell=history, last_check=history.last_check)
    return workshop


def waited(report: RepoReport) -> timedelta:
    assert report.lag_seconds is not None
    return timedelta(seconds=report.lag_seconds)


def test_the_lag_runs_from_the_commit_to_its_publication(hub: Hub, workshop: Workshop, tmp_path: Path) -> None:
    remembering(workshop, tmp_path)
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    first = workshop.sync_one(ONE)
    assert (first.committed, first.lag_seconds) == ("2026-01-01T08:01:00.000Z", None), "a first mirroring has no lag"
    assert first.published is not None
    repo.commit({"a": b"2"}, date=datetime.now(UTC) + timedelta(hours=1))
    workshop.ahead = timedelta(hours=3)
    second = workshop.sync_one(ONE)
    assert timedelta(hours=1, minutes=55) < waited(second) <= timedelta(hours=2, minutes=5)
    again = workshop.sync_one(ONE)
    assert (again.committed, again.published, again.lag_seconds) == (None, None, None)


def test_a_ref_that_moves_onto_a_published_commit_has_that_commits_date(
    hub: Hub, workshop: Workshop, tmp_path: Path
) -> None:
    remembering(workshop, tmp_path)
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync_one(ONE)
    repo.commit({"a": b"2"})
    workshop.sync_one(ONE)
    repo.branch("main", first)
    workshop.ahead = timedelta(hours=1)
    report = workshop.sync_one(ONE)
    assert (report.outcome, report.committed) == ("published", "2026-01-01T08:01:00.000Z")
    assert waited(report) < timedelta(hours=2), "an old commit was not there before the last look"


def test_other_files_of_the_same_commit_are_no_news(hub: Hub, workshop: Workshop, tmp_path: Path) -> None:
    remembering(workshop, tmp_path)
    hub.model("acme/x", license="mit").commit({"a": b"1", "b": b"2"})
    workshop.sync_one(ONE)
    report = workshop.sync_one(replace(ONE, selection=replace(ONE.selection, exclude=("b",))))
    assert (report.outcome, report.lag_seconds) == ("published", None)
