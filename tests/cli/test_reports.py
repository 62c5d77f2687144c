"""Reports as a person reads them."""

from __future__ import annotations

from mirror_sync.cli.reports import plan_text
from mirror_sync.cli.tables import Page
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.report import PlanReport, RepoOutcome, RepoPlan

DEAD = "http://127.0.0.1:9 does not answer: Connection refused"


def test_an_endpoint_that_does_not_answer_is_told_once_with_what_to_try() -> None:
    repos = tuple(
        RepoPlan("job", Kind.MODEL, name, "main", RepoOutcome.FAILED, reason=DEAD, code="unreachable")
        for name in ("acme/a", "acme/b")
    )
    said = plan_text(PlanReport(repos), {"job": "disk"}, Page(), every=False)
    assert said.count(DEAD) == said.count("HTTPS_PROXY") == said.count("as above") == 1


def test_what_two_jobs_name_on_one_target_is_counted_once() -> None:
    repos = tuple(
        RepoPlan(job, Kind.MODEL, "acme/a", "main", RepoOutcome.PUBLISHED, fetch_files=2, fetch_bytes=5)
        for job in ("one", "two", "elsewhere")
    )
    targets = {"one": "disk", "two": "disk", "elsewhere": "bucket"}
    said = plan_text(PlanReport(repos), targets, Page(), every=False)
    assert "2 repos: 2 to publish. A sync would fetch 4 files (10 B)." in said
