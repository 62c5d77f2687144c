"""The index of contents: shared by targets, threads and processes, and allowed to forget everything but not to lie."""

from __future__ import annotations

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import StoreUnavailable
from mirror_sync.state.target_memory import SqliteIndex
from tests.stores.places import answer, child

TARGET = "s3://bucket"


def pairs(start: int, stop: int) -> dict[GitOid, Sha256]:
    texts = [b"%d" % number for number in range(start, stop)]
    return {GitOid(hashlib.sha1(text).hexdigest()): Sha256.of(text) for text in texts}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "index.db"


@pytest.fixture
def index(path: Path) -> SqliteIndex:
    return SqliteIndex(path, TARGET)


def test_it_begins_empty_and_incomplete(index: SqliteIndex) -> None:
    assert index.known(pairs(0, 3), proved=True) == {}
    assert not index.complete


def test_what_was_learned_is_known_and_nothing_else(index: SqliteIndex) -> None:
    index.remember(pairs(0, 1_200), proved=True)
    index.remember({}, proved=True)
    assert index.known(pairs(600, 1_800), proved=True) == pairs(600, 1_200)
    assert index.known([], proved=True) == {}


def test_a_later_lesson_replaces_an_earlier_one(index: SqliteIndex) -> None:
    oid = next(iter(pairs(0, 1)))
    index.remember({oid: Sha256.of(b"a")}, proved=True)
    index.remember({oid: Sha256.of(b"b")}, proved=True)
    assert index.known([oid], proved=True) == {oid: Sha256.of(b"b")}


def test_what_was_only_heard_is_told_and_not_known(index: SqliteIndex) -> None:
    index.remember(pairs(0, 1_200), proved=False)
    assert index.known(pairs(0, 1_200), proved=True) == {}
    assert index.known(pairs(600, 1_800), proved=False) == pairs(600, 1_200)


def test_what_is_heard_never_takes_the_place_of_what_was_learned(index: SqliteIndex) -> None:
    oid = next(iter(pairs(0, 1)))
    index.remember({oid: Sha256.of(b"a")}, proved=False)
    index.remember({oid: Sha256.of(b"b")}, proved=False)
    assert index.known([oid], proved=False) == {oid: Sha256.of(b"b")}
    index.remember({oid: Sha256.of(b"c")}, proved=True)
    index.remember({oid: Sha256.of(b"a")}, proved=False)
    assert index.known([oid], proved=True) == {oid: Sha256.of(b"c")}
    assert index.known([oid], proved=False) == {}


def test_it_is_still_known_when_opened_again(index: SqliteIndex, path: Path) -> None:
    index.remember(pairs(0, 3), proved=True)
    index.mark_complete()
    again = SqliteIndex(path, TARGET)
    assert again.known(pairs(0, 3), proved=True) == pairs(0, 3)
    assert again.complete


def test_targets_do_not_know_each_others_contents(index: SqliteIndex, path: Path) -> None:
    other = SqliteIndex(path, "file:///srv/mirror")
    index.remember(pairs(0, 3), proved=True)
    index.mark_complete()
    assert other.known(pairs(0, 3), proved=True) == {}
    assert not other.complete


def test_complete_may_come_before_the_first_lesson(index: SqliteIndex) -> None:
    index.mark_complete()
    index.mark_complete()
    index.remember(pairs(0, 1), proved=True)
    assert index.complete


def test_threads_share_one_index(index: SqliteIndex) -> None:
    def work(number: int) -> None:
        index.remember(pairs(number * 10, number * 10 + 10), proved=True)
        assert len(index.known(pairs(number * 10, number * 10 + 10), proved=True)) == 10

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert index.known(pairs(0, 400), proved=True) == pairs(0, 400)


def test_processes_share_one_file_from_its_first_moment(path: Path, index: SqliteIndex) -> None:
    with child(_learn, path, 0) as (_, first), child(_learn, path, 500) as (_, second):
        answer(first)
        answer(second)
    assert index.known(pairs(0, 1_000), proved=True) == pairs(0, 1_000)


@pytest.mark.parametrize("contents", [b"", b"this is no database" * 1000], ids=["empty", "foreign"])
def test_a_file_that_is_no_index_is_replaced(index: SqliteIndex, path: Path, contents: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(contents)
    index.remember(pairs(0, 3), proved=True)
    assert index.known(pairs(0, 5), proved=True) == pairs(0, 3)


def test_a_file_that_was_damaged_is_forgotten_even_while_open(index: SqliteIndex, path: Path) -> None:
    index.remember(pairs(0, 20_000), proved=True)
    index.mark_complete()
    index.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert index.known(pairs(0, 20_000), proved=True) == {}
    assert not index.complete
    index.remember(pairs(0, 3), proved=True)
    assert SqliteIndex(path, TARGET).known(pairs(0, 5), proved=True) == pairs(0, 3)


def test_tables_of_another_version_are_forgotten(index: SqliteIndex, path: Path) -> None:
    index.remember(pairs(0, 3), proved=True)
    index.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert index.known(pairs(0, 3), proved=True) == {}
    index.remember(pairs(0, 3), proved=True)
    assert SqliteIndex(path, TARGET).known(pairs(0, 3), proved=True) == pairs(0, 3)


def test_a_place_that_cannot_hold_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match=r"file/index\.db"):
        SqliteIndex(tmp_path / "file" / "index.db", TARGET).remember(pairs(0, 1), proved=True)


def _learn(answers: Connection, path: Path, start: int) -> None:
    index = SqliteIndex(path, TARGET)
    for number in range(start, start + 500, 50):
        index.remember(pairs(number, number + 50), proved=True)
    answers.send(None)
