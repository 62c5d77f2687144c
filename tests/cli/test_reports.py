"""Reports as a person reads them."""

from __future__ import annotations

from mirror_sync.cli.output.reports import plan_text
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.domain.outcome.report import PlanReport, RepoOutcome, RepoPlan, TargetPlan
from mirror_sync.domain.repo import Kind

DEAD = "http://127.0.0.1:9 does not answer: Connection refused"


def test_an_endpoint_that_does_not_answer_is_told_once_with_what_to_try() -> None:
    repos = tuple(
        RepoPlan("job", Kind.MODEL, name, "main", RepoOutcome.FAILED, reason=DEAD, code="unreachable")
        for name in ("acme/a", "acme/b")
    )
    said = plan_text(PlanReport(repos), {"job": "disk"}, TextLayout(), every=False)
    assert said.count(DEAD) == said.count("HTTP_PROXY") == said.count("as above") == 1
    assert said.endswith("2 repos: 2 failed. What a sync would do is not known.")


def test_a_plan_says_of_how_many_repos_it_knows_nothing() -> None:
    repos = tuple(
        RepoPlan("job", Kind.MODEL, f"acme/{outcome}", "main", outcome)
        for outcome in (RepoOutcome.FAILED, RepoOutcome.PUBLISHED)
    )
    said = plan_text(PlanReport(repos), {"job": "disk"}, TextLayout(), every=False)
    assert said.endswith("What 1 repo would take is not known, and in none of these figures.")


def test_what_two_jobs_name_on_one_target_is_counted_once() -> None:
    repos = tuple(
        RepoPlan(job, Kind.MODEL, "acme/a", "main", RepoOutcome.PUBLISHED, fetch_files=2, fetch_bytes=5)
        for job in ("one", "two", "elsewhere")
    )
    targets = {"one": "disk", "two": "disk", "elsewhere": "bucket"}
    said = plan_text(PlanReport(repos), targets, TextLayout(), every=False)
    assert "2 repos: 2 to publish. A sync would fetch 4 files (10 B)." in said


def test_a_plan_says_the_room_of_each_target_and_whether_it_does() -> None:
    roomy = TargetPlan("disk", 2, 25_000_000, 27_000_000, 40_000_000, 100_000_000, 3)
    said = plan_text(PlanReport((), targets=(roomy,)), {}, TextLayout(), every=False)
    assert "Target disk: 25.0 MB to come, 40.0 MB free, about 13.0 MB afterwards; " in said
    assert "; then the newest version of each repo takes 100 MB; " in said
    assert "; to keep 3 versions of each, have 360 MB (size x versions x 1.2)." in said
    small = TargetPlan("disk", 9, 123_000_000, 130_000_000, 40_000_000, 123_000_000, 3)
    report = PlanReport((), targets=(roomy, small))
    assert "123 MB to come do not fit: 130 MB are needed, 40.0 MB free" in plan_text(
        report, {}, TextLayout(), every=False
    )
    assert not report.ok
    unknown = TargetPlan("bucket", 1, 5, 5, None, 5, 1)
    assert PlanReport((), targets=(unknown,)).ok
    assert "how much room there is its server does not say" in plan_text(
        PlanReport((), targets=(unknown,)), {}, TextLayout(), every=False
    )
