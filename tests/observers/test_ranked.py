"""What is remembered of a ranking goes with the last whole run, and with no run that has not been yet."""

from __future__ import annotations

from pathlib import Path

from mirror_sync.app.ranked import still_meant
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.outcome.events import RunFinished, RunStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RepoState, RepoStatus, RunReport
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.state.history import History

TODAY = "2026-11-20T08:00:00Z"


def status(repo: str, at: str) -> RepoStatus:
    return RepoStatus("top", Kind.MODEL, repo, "main", RepoState.FAILED, RepoOutcome.FAILED, last_attempt=at)


def test_a_run_of_a_clock_that_was_years_ahead_takes_no_repo_of_a_ranking_away(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db", now=lambda: TODAY)
    for run, at in (("right", TODAY), ("wrong", "2099-01-01T00:00:00Z")):
        history(RunStarted(run, ("top",), at))
        history(RunFinished(RunReport(run, at, at, ())))
    ranking = Ranking(RepoPattern.parse("acme/*"), limit=3)
    job = Job("top", (ranking.pattern,), "hub", "disk", ranking=ranking)
    ranked, fallen = status("acme/a", TODAY), status("acme/old", "2026-11-19T08:00:00Z")
    assert still_meant((ranked, fallen), [job], history.runs()) == (ranked,)
