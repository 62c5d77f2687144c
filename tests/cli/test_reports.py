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
    said = plan_text(PlanReport(repos), Page(), every=False)
    assert said.count(DEAD) == said.count("HTTPS_PROXY") == said.count("as above") == 1
