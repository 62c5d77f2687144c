"""A repo is told by its `_id`, and where an upstream has none by the time it was made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.policy.identity import Identity

OLD = {"_id": "one", "createdAt": "2026-01-01T08:00:00.000Z"}
NEW = {"_id": "two", "createdAt": "2026-06-01T08:00:00.000Z"}


def strange(old: dict[str, object], new: dict[str, object], *accept: str) -> bool:
    return bool(Guard(accept=frozenset(accept)).stranger(Identity.of(old), Identity.of(new)))


@pytest.mark.parametrize("key", ["_id", "createdAt"])
def test_another_id_or_without_ids_another_time_is_another_repo(key: str) -> None:
    old, new = {key: OLD[key]}, {key: NEW[key]}
    assert strange(old, new)  # type: ignore[arg-type]
    assert not strange(old, old)  # type: ignore[arg-type]


def test_an_id_that_is_the_same_is_the_same_repo_whatever_the_time() -> None:
    assert not strange({**OLD}, {**NEW, "_id": "one"})


def test_a_time_is_the_same_however_it_is_written() -> None:
    assert not strange({"createdAt": "2026-01-01T08:00:00.000Z"}, {"createdAt": "2026-01-01T09:00:00+01:00"})


@pytest.mark.parametrize("told", [{}, {"_id": None}, {"_id": 7}, {"_id": ""}, {"createdAt": "two"}])
def test_what_tells_no_identity_is_no_stranger(told: dict[str, object]) -> None:
    """A folder has neither `_id` nor a time: what is there is what the operator put there."""
    assert not Identity.of(told)
    assert not strange({**OLD}, told)
    assert not strange(told, {**OLD})


def test_a_repo_is_accepted_by_its_own_id_alone_or_any_by_a_star() -> None:
    assert not strange({**OLD}, {**NEW}, "two")
    assert not strange({**OLD}, {**NEW}, "*")
    assert strange({**OLD}, {**NEW}, "three", "one")
    by_time = Identity.of({"createdAt": NEW["createdAt"]}).word
    assert not strange({"createdAt": OLD["createdAt"]}, {"createdAt": NEW["createdAt"]}, by_time)


def test_the_objection_says_who_is_who_and_what_to_write() -> None:
    said = Guard().stranger(Identity.of(OLD), Identity.of(NEW))
    assert "_id two made 2026-06-01T08:00:00Z" in said
    assert "_id one made 2026-01-01T08:00:00Z" in said
    assert "add 'two' to guard.accept" in said


def test_an_id_is_shown_on_one_plain_line() -> None:
    shown = str(Identity.of({"_id": "a\nb\x1b" + "c" * 1000}))
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 100


def test_the_note_of_a_gone_repo_remembers_who_it_was() -> None:
    note = Gone("disabled", datetime(2026, 5, 1, tzinfo=UTC), Identity.of(OLD))
    assert Gone.decode(note.encode()) == note
    assert note.encode()["_id"] == "one"
