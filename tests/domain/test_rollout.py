"""When a grey release grows by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mirror_sync.domain.content.refs import PINNED, Ref, Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId, Sha256
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


def test_what_a_channel_came_to_stand_for_since_has_its_own_time() -> None:
    moved = (_line(), _line("promote", at="2026-01-02T05:00:00Z"))
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), moved, BEGUN + timedelta(days=1)) is None
    assert ROLLOUT.grown(ReaderShare("candidate", 1000), moved, BEGUN + timedelta(days=2)) == 5000


A, B = CommitId("a" * 40), CommitId("b" * 40)


def _main_led_to(commit: CommitId, verb: str = "promote") -> tuple[NameMove, ...]:
    return _line(), NameMove("2026-01-01T06:00:00Z", "main", A, commit, "daemon", "well", verb)


def _standing_at(commit: CommitId, pinned: bool = True) -> Refs:
    main = Ref("branches", "main", "refs/heads/main", commit)
    roots = dict.fromkeys((A, B), Sha256("1" * 64))
    return Refs((main,), roots, attachments={PINNED: Sha256("1" * 64)} if pinned else {})


def test_main_that_a_rollout_moved_is_watched_as_long_as_a_step_stands_and_stays_there() -> None:
    soon, late = BEGUN + timedelta(hours=23), BEGUN + timedelta(days=1)
    history = _main_led_to(B)
    assert ROLLOUT.watched(_standing_at(B), history, soon) == history[-1]
    assert ROLLOUT.watched(_standing_at(B), history, late) is None
    assert ROLLOUT.watched(_standing_at(A), history, soon) is None, "a person has moved it since"
    assert ROLLOUT.watched(_standing_at(B, pinned=False), history, soon) is None, "and so has who unpinned it"
    assert ROLLOUT.watched(_standing_at(B), _main_led_to(B, "rollback"), soon) is None
    assert ROLLOUT.watched(_standing_at(B), (), soon) is None


def test_a_rollout_is_looked_at_each_minute_and_at_short_steps_more_often() -> None:
    assert ROLLOUT.interval == 60
    assert Rollout((1000,), timedelta(seconds=20)).interval == 5
    assert Rollout((1000,), timedelta(seconds=1)).interval == 1
