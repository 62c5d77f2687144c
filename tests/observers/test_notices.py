"""What one run finds of many repos is told once, with all of them."""

from __future__ import annotations

from collections.abc import Callable

from mirror_sync.domain.outcome.events import RepoFinished, RunFinished, RunStarted
from mirror_sync.domain.outcome.notices import AnyNotice, Notice, StateChange
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind
from mirror_sync.observe.notify.state_notices import LONGEST, Notices

AT = "2026-01-01T00:00:00Z"


def report(number: int, outcome: RepoOutcome, code: str = "", reason: str = "") -> RepoFinished:
    return RepoFinished(
        "run", RepoReport("job", Kind.MODEL, f"acme/{number}", "main", outcome, reason=reason, code=code)
    )


def into(told: list[Notice]) -> Callable[[AnyNotice], None]:
    """Who takes notices of repos alone."""

    def take(each: AnyNotice) -> None:
        assert isinstance(each, Notice)
        told.append(each)

    return take


def several(told: list[Notice]) -> list[tuple[StateChange, str, int, str]]:
    return [(each.turn, each.first.code, len(each.repos), each.first.reason) for each in told if each.several]


def test_an_outage_is_one_notice_with_its_first_cause_and_so_is_its_end() -> None:
    told: list[Notice] = []
    notices = Notices(lambda: (), into(told))
    end = RunFinished(RunReport("run", AT, AT, ()))
    notices(RunStarted("run", ("job",), AT))
    for number in range(22):
        notices(report(number, RepoOutcome.FAILED, "unreachable", f"cause {number}"))
    notices(report(99, RepoOutcome.FAILED, "integrity", "other bytes"))
    assert told == []
    notices(end)
    assert several(told) == [
        (StateChange.FAILED, "unreachable", 22, "cause 0"),
        (StateChange.FAILED, "integrity", 1, "other bytes"),
    ]
    for number in range(22):
        notices(report(number, RepoOutcome.UNCHANGED))
    notices(end)
    assert several(told)[2:] == [(StateChange.RECOVERED, "", 22, "")]


def test_a_publication_is_told_by_itself_at_once_and_with_the_others_at_the_end() -> None:
    told: list[Notice] = []
    notices = Notices(lambda: (), into(told))
    for number in range(3):
        notices(report(number, RepoOutcome.PUBLISHED))
    assert [(each.turn, each.several) for each in told] == [(StateChange.PUBLISHED, False)] * 3
    notices(RunFinished(RunReport("run", AT, AT, ())))
    assert several(told) == [(StateChange.PUBLISHED, "", 3, "")]


def test_a_run_that_goes_on_for_long_tells_meanwhile_what_it_has_found() -> None:
    told: list[Notice] = []
    now = [0.0]
    notices = Notices(lambda: (), into(told), lambda: now[0])
    notices(report(1, RepoOutcome.FAILED, "unreachable"))
    now[0] = LONGEST + 1
    notices(report(2, RepoOutcome.UNCHANGED))
    assert several(told) == [(StateChange.FAILED, "unreachable", 1, "")]
