"""Names of ours: which may be given, what they lead to, and where main was before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mirror_sync.domain.content.ref_log import KEPT as LINES_KEPT
from mirror_sync.domain.content.ref_log import LogEntry
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


@pytest.mark.parametrize("under_its_id", [False, True])
def test_while_main_is_pinned_the_newest_words_stay_known_however_often_other_names_move(under_its_id: bool) -> None:
    roots = {commit: Sha256(commit[0] * 64) for commit in (A, B, C)}
    pin = {PINNED: ROOT}
    refs = _back(_synced(A, B) if under_its_id else _synced(A, B, C), A).attaching(pin)
    if under_its_id:
        refs = refs.with_snapshot(C, ROOT, _main(C)).logged(refs, AT, "sync job")
    for number in range(40):
        later = f"2026-02-01T06:00:{number:02}Z"
        refs = replace(refs, channels={"stable": (A, B)[number % 2]}).logged(refs, later, "promote by alice")
    assert len(refs.log) <= LINES_KEPT
    assert set(replace(refs, snapshots=roots).newest_words) == set(roots.values())
    assert earlier_mains(refs) == (), "what was left by going back is no way back"
    rule = ChannelRule("candidate", "main")
    told = replace(rule, after=timedelta(days=20)).due(refs, (), datetime(2026, 2, 1, 7, tzinfo=UTC))
    assert told is None, "since when main is there nobody knows but that it is as long as the log goes back"
    assert rule.due(refs, (), datetime(2026, 2, 1, 7, tzinfo=UTC)) == A


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
