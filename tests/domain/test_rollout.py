"""When a grey release grows by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.job.channel_rules import Rollout

ROLLOUT = Rollout((1000, 5000, 10_000), timedelta(days=1), ("/bin/true",))
BEGUN = datetime(2026, 1, 1, 6, tzinfo=UTC)


def _line(verb: str = "share", name: str = "candidate", at: str = "2026-01-01T06:00:00Z") -> NameMove:
    return NameMove(at, name, None, None, "alice@host", "10%", verb)


def test_a_share_grows_to_the_next_step_when_it_has_stood_long_enough() -> None:
    late, early = BEGUN + timedelta(days=1), BEGUN + timedelta(hours=23)
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), (_line(),), late) == 5000
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), (_line(),), early) is None
    assert ROLLOUT.grown(ReaderShare("candidate", 700), (_line(),), late) == 1000, "a person may begin with less"


def test_the_last_step_stays_until_a_person_says_more() -> None:
    assert ROLLOUT.grown(ReaderShare("candidate", 10_000), (_line(),), BEGUN + timedelta(days=99)) is None


def test_a_share_of_which_nobody_knows_since_when_it_stands_does_not_grow() -> None:
    late = BEGUN + timedelta(days=99)
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), (), late) is None
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), (_line("promote"), _line(name="stable")), late) is None
    again = (_line(), _line(at="2026-04-10T06:00:00Z"))
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), again, late) is None
