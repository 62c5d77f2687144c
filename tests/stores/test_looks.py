"""What was read of small objects: remembered by name and version, and allowed to be forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.errors import StoreUnavailable
from mirror_sync.state.target_memory import SqliteReadCache


def test_what_was_remembered_is_recalled_in_that_version_alone(tmp_path: Path) -> None:
    looks = SqliteReadCache(tmp_path / "state" / "looks.db", "s3://bucket")
    assert looks.recall("a", "1") is None
    looks.remember("a", "1", b"one")
    looks.remember("b", "1", b"other")
    assert (looks.recall("a", "1"), looks.recall("a", "2")) == (b"one", None)
    looks.remember("a", "2", b"two")
    assert (looks.recall("a", "1"), looks.recall("a", "2"), looks.recall("b", "1")) == (None, b"two", b"other")


def test_targets_do_not_share_what_they_remember(tmp_path: Path) -> None:
    one, two = (SqliteReadCache(tmp_path / "looks.db", target) for target in ("s3://one", "s3://two"))
    one.remember("a", "1", b"one")
    assert two.recall("a", "1") is None


def test_it_is_recalled_when_opened_again(tmp_path: Path) -> None:
    looks = SqliteReadCache(tmp_path / "looks.db", "s3://bucket")
    looks.remember("a", "1", b"\0one")
    looks.close()
    assert SqliteReadCache(tmp_path / "looks.db", "s3://bucket").recall("a", "1") == b"\0one"


def test_a_broken_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "looks.db").write_bytes(b"no database" * 1000)
    looks = SqliteReadCache(tmp_path / "looks.db", "s3://bucket")
    looks.remember("a", "1", b"one")
    assert looks.recall("a", "1") == b"one"


def test_a_file_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "looks.db").mkdir()
    with pytest.raises(StoreUnavailable):
        SqliteReadCache(tmp_path / "looks.db", "s3://bucket").recall("a", "1")
