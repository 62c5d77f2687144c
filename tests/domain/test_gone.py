"""What follows when an upstream no longer gives a repo."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from mirror_sync.domain.job.job import Job, agreed_on_gone
from mirror_sync.domain.policy.gone import WITHDRAW_AFTER, Cause, Gone, OnGone, TokenStatus, is_certain, mildest, rule
from mirror_sync.domain.repo import Repo, RepoPattern

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MISSING = "not-found-or-private"
SURE, UNSURE = Cause(MISSING, "not found", certain=True), Cause(MISSING, "not found", certain=False)


@pytest.mark.parametrize("wish", list(OnGone))
@pytest.mark.parametrize("noted", [None, Gone(MISSING, NOW - timedelta(days=9))])
def test_an_unproven_answer_changes_nothing(wish: OnGone, noted: Gone | None) -> None:
    ruling = rule(wish, UNSURE, noted, NOW)
    assert (ruling.note, ruling.withdraw) == (noted, False)
    assert "nothing proves that it is gone" in ruling.reason


def test_keep_remembers_nothing() -> None:
    assert rule(OnGone.KEEP, SURE, Gone(MISSING, NOW), NOW).note is None


def test_withdraw_needs_the_same_answer_a_day_later() -> None:
    first = rule(OnGone.WITHDRAW, SURE, None, NOW)
    assert first.note == Gone(MISSING, NOW)
    assert not first.withdraw
    assert not rule(OnGone.WITHDRAW, SURE, first.note, NOW + WITHDRAW_AFTER - timedelta(seconds=1)).withdraw
    assert rule(OnGone.WITHDRAW, SURE, first.note, NOW + WITHDRAW_AFTER).withdraw
    other = rule(OnGone.WITHDRAW, Cause("disabled", "off", certain=True), first.note, NOW + 2 * WITHDRAW_AFTER)
    assert not other.withdraw, "another answer begins to count anew"


def test_a_note_from_the_future_begins_to_count_now() -> None:
    ahead = Gone(MISSING, NOW + timedelta(days=3000))
    assert rule(OnGone.WITHDRAW, SURE, ahead, NOW).note == Gone(MISSING, NOW)


@pytest.mark.parametrize(("standing", "was_open"), list(product(TokenStatus, [True, False])))
def test_a_404_is_certain_with_a_proved_token_or_where_none_was_ever_needed(
    standing: TokenStatus, was_open: bool
) -> None:
    expected = standing is TokenStatus.PROVED or (standing is TokenStatus.ANONYMOUS and was_open)
    assert is_certain(MISSING, standing, was_open=was_open) is expected
    assert is_certain("disabled", standing, was_open=was_open)


def test_jobs_agree_on_the_mildest() -> None:
    assert mildest((OnGone.WITHDRAW, OnGone.FREEZE)) is OnGone.FREEZE
    one = Job("one", (RepoPattern.parse("acme/*"),), "hub", "bucket", on_gone=OnGone.WITHDRAW)
    two = Job("two", (RepoPattern.parse("acme/x"),), "hub", "bucket")
    assert agreed_on_gone([one, two], "bucket", Repo.parse("acme/x")) is OnGone.KEEP
    assert agreed_on_gone([one, two], "bucket", Repo.parse("acme/y")) is OnGone.WITHDRAW


def test_what_is_remembered_survives_being_written_and_read() -> None:
    assert Gone.decode(Gone(MISSING, NOW).encode()) == Gone(MISSING, NOW)


@pytest.mark.parametrize(
    "document", [{}, {"code": "x"}, {"code": "x", "since": "soon"}, {"code": "x", "since": "2026-05-01"}]
)
def test_anything_else_is_refused(document: dict[str, str]) -> None:
    with pytest.raises((KeyError, ValueError)):
        Gone.decode(document)
