"""The notes on uploads: shared by targets, threads and processes, allowed to forget everything, never to mix up."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.memory import UploadNote
from mirror_sync.state.target_memory import SqliteNotes
from tests.stores.places import answer, child

TARGET = "s3://bucket"
FIRST, SECOND = UploadNote("token", bytes(range(112))), UploadNote("later", b"")


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "uploads.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notes(path: Path, clock: Clock) -> SqliteNotes:
    return SqliteNotes(path, TARGET, clock)


def test_the_last_note_on_a_key_is_the_one_that_is_found(notes: SqliteNotes, path: Path) -> None:
    assert notes.load("k") is None
    for note in (FIRST, SECOND):
        notes.save("k", note)
        assert notes.load("k") == SqliteNotes(path, TARGET).load("k") == note
    assert notes.load("other") is None


def test_what_is_forgotten_is_gone_and_nothing_else(notes: SqliteNotes) -> None:
    for key in ("a", "b"):
        notes.save(key, FIRST)
    notes.forget("a")
    notes.forget("never noted")
    assert (notes.load("a"), notes.load("b")) == (None, FIRST)


def test_targets_do_not_know_each_others_notes(notes: SqliteNotes, path: Path) -> None:
    other = SqliteNotes(path, "file:///srv/mirror")
    notes.save("k", FIRST)
    assert other.load("k") is None
    other.forget("k")
    assert other.stale(0) == ()
    assert notes.load("k") == FIRST
    with notes.claim("k") as ours, other.claim("k") as theirs:
        assert (ours, theirs) == (True, True)


def test_a_note_grows_stale_from_its_last_saving(notes: SqliteNotes, clock: Clock) -> None:
    notes.save("a", FIRST)
    notes.save("b", FIRST)
    clock.now += 100
    notes.save("b", SECOND)
    assert notes.stale(101) == ()
    assert notes.stale(100) == ("a",)
    assert notes.stale(0) == ("a", "b")


def test_a_claim_excludes_every_other_until_its_block_ends(notes: SqliteNotes, path: Path) -> None:
    with notes.claim("k") as first:
        with notes.claim("k") as again, SqliteNotes(path, TARGET).claim("k") as other, notes.claim("l") as apart:
            assert (first, again, other, apart) == (True, False, False, True)
        with notes.claim("k") as still:
            assert not still
    with notes.claim("k") as free:
        assert free


def test_of_many_threads_one_has_the_claim(notes: SqliteNotes) -> None:
    held = []

    def work(_: int) -> None:
        with notes.claim("k") as mine:
            if mine:
                held.append(1)
                assert len(held) == 1
                held.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))


def test_a_claim_ends_with_the_process_that_was_killed(notes: SqliteNotes, path: Path) -> None:
    with child(_claim_and_wait, path) as (process, answers):
        assert answer(answers) is True
        with notes.claim("k") as mine:
            assert not mine
        process.kill()
        process.join()
        with notes.claim("k") as mine:
            assert mine


@pytest.mark.parametrize("contents", [b"", b"this is no database" * 1000], ids=["empty", "foreign"])
def test_a_file_that_is_no_database_is_replaced(notes: SqliteNotes, path: Path, contents: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(contents)
    assert notes.load("k") is None
    notes.save("k", FIRST)
    assert notes.load("k") == FIRST


def test_tables_of_another_version_are_forgotten(notes: SqliteNotes, path: Path) -> None:
    notes.save("k", FIRST)
    notes.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert notes.load("k") is None


def test_a_place_that_cannot_hold_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    notes = SqliteNotes(tmp_path / "file" / "uploads.db", TARGET)
    with pytest.raises(StoreUnavailable, match=r"file/uploads\.db"):
        notes.save("k", FIRST)
    with pytest.raises(StoreUnavailable, match=r"uploads\.db\.claims"), notes.claim("k"):
        pass


def _claim_and_wait(answers: Connection, path: Path) -> None:
    with SqliteNotes(path, TARGET).claim("k") as mine:
        answers.send(mine)
        answers.recv()
