"""Names of ours: which may be given, what they lead to, and where main was before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mirror_sync.domain.content.ref_log import KEPT as LOGGED
from mirror_sync.domain.content.ref_log import RECALLED, LogEntry
from mirror_sync.domain.content.refs import PINNED, Ref, Refs
from mirror_sync.domain.content.versions import (
    KEPT,
    NameMove,
    decode_history,
    earlier_mains,
    encode_history,
    rivals_of,
    tag_fault,
)
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.channel_rules import ChannelRule
from mirror_sync.domain.job.retention import Retention, most_generous
from mirror_sync.errors import DocumentError

A, B, C, D = (CommitId(digit * 40) for digit in "abcd")
ROOT = Sha256("1" * 64)
AT = "2026-01-01T06:00:00Z"


def _main(commit: CommitId) -> Ref:
    return Ref("branches", "main", "refs/heads/main", commit)


def _synced(*commits: CommitId, before: Refs = Refs()) -> Refs:  # noqa: B008  a frozen value
    """As syncs publish them, one after the other."""
    for commit in commits:
        before = before.with_snapshot(commit, ROOT, _main(commit)).logged(before, AT, "sync")
    return before


def _back(refs: Refs, commit: CommitId) -> Refs:
    return refs.moving_main(commit).logged(refs, AT, "rollback")


@pytest.mark.parametrize("name", ["v1.2", "1.2.3-rc.1", "2026-11-29", "20261129", "deadbee", "a" * 64])
def test_a_version_a_date_and_a_commit_may_be_tags(name: str) -> None:
    assert tag_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("latest", "which version is meant"),
        ("Latest", "which version is meant"),
        ("main", "which version is meant"),
        ("HEAD", "which version is meant"),
        ("stable", "is a channel"),
        ("a" * 40, "whole commit id"),
        ("a" * 65, "1 to 64"),
        ("", "1 to 64"),
        ("x/y", "1 to 64"),
        ("a..b", "git knows no such name"),
        ("a.lock", "git knows no such name"),
    ],
)
def test_what_no_tag_may_be_called_is_said_with_what_would_be_right(name: str, said: str) -> None:
    assert said in tag_fault(name)


def test_a_reader_gets_our_name_before_the_upstreams_and_a_job_the_upstreams() -> None:
    theirs = Ref("branches", "stable", "refs/heads/stable", B)
    refs = replace(_synced(A, B), refs=(_main(B), theirs), channels={"stable": A})
    assert (refs.leads_to("stable"), refs.leads_to("refs/channels/stable")) == (A, A)
    assert (refs.leads_to("refs/heads/stable"), refs.commit_of("stable")) == (B, B)
    assert (refs.leads_to("main"), refs.leads_to(A), refs.leads_to("nothing")) == (B, A, None)
    assert rivals_of(refs, "stable") == ("refs/heads/stable",)
    assert {one["name"]: one["targetCommit"] for one in refs.shown()["branches"]} == {"main": B, "stable": A}


def test_a_name_of_ours_that_leads_to_nothing_is_no_name() -> None:
    refs = replace(_synced(A), channels={"stable": B})
    assert refs.leads_to("stable") is None
    assert [one["name"] for one in refs.shown()["branches"]] == ["main"]


def test_two_steps_back_are_one_and_one() -> None:
    refs = _synced(A, B, C)
    assert earlier_mains(refs) == (B, A)
    once = _back(refs, B)
    assert earlier_mains(once) == (A,)
    assert earlier_mains(_back(once, A)) == ()
    assert earlier_mains(_synced(D, before=once)) == (B, A), "what was left by going back is no way back"


def test_what_is_not_published_any_more_is_no_way_back() -> None:
    refs = _synced(A, B, C)
    assert earlier_mains(refs.without([B])) == (A,)


def test_nobody_but_a_person_moves_a_pinned_main() -> None:
    pinned = replace(_synced(A, B), attachments={PINNED: ROOT})
    after = pinned.with_snapshot(C, ROOT, _main(C))
    assert (after.commit_of("main"), after.commit_of(C)) == (B, C)
    assert after.moving_main(A).commit_of("main") == A
    assert after.without_attachment(PINNED).with_snapshot(C, ROOT, _main(C)).commit_of("main") == C


def test_what_a_rollback_may_need_is_kept_and_so_is_where_a_pinned_main_would_go() -> None:
    refs, published = _synced(A, B, C, D), {A: 1.0, B: 2.0, C: 3.0, D: 4.0}
    none, two = (Retention(1, timedelta(0), rollbacks=number) for number in (0, 2))
    assert none.expired(refs, published, (), 9.0) == (A, B, C)
    assert two.expired(refs, published, (), 9.0) == (A,)
    pinned = replace(_back(refs, A), attachments={PINNED: ROOT})
    assert Retention(0, timedelta(0)).expired(pinned, published, (), 9.0) == (B, C)
    assert most_generous([none, two]).rollbacks == 2


def test_while_main_is_pinned_newer_words_of_the_upstream_on_who_may_read_count() -> None:
    roots = {A: Sha256("a" * 64), B: Sha256("b" * 64)}
    refs = replace(_synced(A, B), snapshots=roots)
    assert refs.newest_words == (roots[B],)
    assert set(replace(_back(refs, A), attachments={PINNED: ROOT}).newest_words) == set(roots.values())
    assert Refs(snapshots=roots).newest_words == ()


def test_no_number_of_moves_of_our_names_makes_a_pinned_main_forget_newer_words_of_the_upstream() -> None:
    roots = {A: Sha256("a" * 64), B: Sha256("b" * 64), C: Sha256("c" * 64)}
    refs = replace(_back(_synced(A, B), A), snapshots={A: roots[A], B: roots[B]}, attachments={PINNED: ROOT})
    refs = refs.with_snapshot(C, roots[C], _main(C)).logged(refs, AT, "sync of all")
    by = "promote of alice@".ljust(100, "x")  # as long as such words may be
    for number in range(3 * LOGGED):
        refs = replace(refs, channels={"stable": A if number % 2 else B}).logged(refs, AT, by)
    assert set(refs.newest_words) == set(roots.values())
    assert {entry.by for entry in refs.log[RECALLED:]} == {by}


def test_no_number_of_moves_of_our_names_makes_it_unknown_where_main_was_before() -> None:
    refs = _synced(A, B, C, D)
    for pinned in ({}, {PINNED: ROOT}):
        refs = replace(refs, attachments=pinned)
        for number in range(3 * LOGGED):
            refs = replace(refs, channels={"stable": B if number % 2 else C}).logged(refs, AT, "promote by alice@host")
        assert earlier_mains(refs) == (C, B, A)
        assert Retention(1, timedelta(0), rollbacks=2).expired(refs, {A: 1.0, B: 2.0, C: 3.0, D: 4.0}, (), 9.0) == (A,)
        assert len(refs.log) <= LOGGED


def test_of_a_pinned_main_newer_words_that_came_by_a_tag_alone_are_not_forgotten() -> None:
    roots = {A: Sha256("a" * 64), B: Sha256("b" * 64), C: Sha256("c" * 64)}
    refs = replace(_back(_synced(A, B), A), snapshots={A: roots[A], B: roots[B]}, attachments={PINNED: ROOT})
    tag = Ref("tags", "v2", "refs/tags/v2", C)
    refs = refs.with_snapshot(C, roots[C], tag).logged(refs, AT, "sync of all")
    for number in range(3 * LOGGED):
        refs = replace(refs, channels={"stable": A if number % 2 else B}).logged(refs, AT, "promote by alice@host")
    assert set(refs.newest_words) == set(roots.values())


def test_of_a_move_that_the_log_forgot_nobody_says_that_it_was_long_ago() -> None:
    old, late = "2026-01-01T06:00:00Z", "2026-03-01T06:00:00Z"
    refs = replace(_back(_synced(A, B, C, D), A), attachments={PINNED: ROOT})
    assert {entry.at for entry in refs.log} == {old}
    refs = replace(refs, channels={"candidate": B}).logged(refs, late, "promote")
    for number in range(LOGGED):
        refs = replace(refs, channels={"candidate": B, "stable": A if number % 2 else C}).logged(refs, late, "promote")
    assert (refs.log[0].at, "channels/candidate" in {entry.ref for entry in refs.log}) == (old, False)
    rule, day = ChannelRule("best", "candidate", timedelta(days=7)), timedelta(days=1)
    assert rule.due(refs, (), datetime(2026, 3, 1, 6, tzinfo=UTC) + day) is None


def _move(number: int) -> NameMove:
    return NameMove(AT, "stable", A if number else None, B, "alice@host", f"reason {number}", "promote")


def test_a_history_is_read_as_it_was_written_and_keeps_the_newest() -> None:
    moves = [_move(number) for number in range(KEPT + 3)]
    assert decode_history(encode_history(moves)) == tuple(moves[3:])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"moves": 1}', b'{"moves": [{"at": 1}]}', b'{"moves": [], "more": 1}'])
def test_what_is_no_history_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(DocumentError, match="not a history of names"):
        decode_history(body)


NOW = datetime(2026, 1, 10, 6, tzinfo=UTC)
RULE = ChannelRule("stable", "candidate", timedelta(days=7))


def _candidate(commit: CommitId, at: str = AT) -> Refs:
    refs = _synced(A, B)
    return replace(refs, channels={**refs.channels, "candidate": commit}).logged(refs, at, "promote by alice@host")


def test_a_channel_gets_what_another_has_stood_for_long_enough() -> None:
    assert RULE.due(_candidate(B), (), NOW) == B
    assert RULE.due(_candidate(B), (), NOW - timedelta(days=3)) is None
    assert RULE.due(_candidate(B, "2026-01-09T06:00:00Z"), (), NOW) is None
    assert RULE.due(replace(_candidate(B), channels={"candidate": B, "stable": B}), (), NOW) is None
    assert RULE.due(_synced(A, B), (), NOW) is None, "there is no candidate"


def test_a_rule_never_gives_back_what_a_channel_has_left() -> None:
    left = NameMove(AT, "stable", B, A, "alice@host", "it is bad", "promote")
    assert RULE.due(_candidate(B), (left,), NOW) is None
    assert RULE.due(_candidate(B), (replace(left, name="candidate"),), NOW) == B


def test_since_when_a_name_stands_is_at_least_since_the_first_line_of_a_log_that_forgot_it() -> None:
    forgot = replace(_candidate(B), log=(LogEntry("2026-01-08T06:00:00Z", "refs/heads/dev", None, A, "sync"),))
    assert RULE.due(forgot, (), NOW) is None
    assert RULE.due(forgot, (), NOW + timedelta(days=7)) == B
    assert RULE.due(replace(forgot, log=()), (), NOW) is None
