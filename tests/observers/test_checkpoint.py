"""A checkpoint is there whole or not at all, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from mirror_sync.domain.repo import Kind
from mirror_sync.observers.checkpoint import FileCheckpoint


def test_what_was_saved_last_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "verify.json"
    first = FileCheckpoint(path)
    assert first.load() is None
    first.save({"round": 1})
    first.save({"round": 2, "kind": Kind.MODEL})
    assert FileCheckpoint(path).load() == {"round": 2, "kind": "model"}
    assert [file.name for file in path.parent.iterdir()] == ["verify.json"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'"text"'])
def test_a_file_that_is_no_document_is_none(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "verify.json"
    path.write_bytes(body)
    assert FileCheckpoint(path).load() is None


def test_a_folder_in_its_place_is_none(tmp_path: Path) -> None:
    assert FileCheckpoint(tmp_path).load() is None


def test_what_cannot_be_written_is_one_warning_until_it_can(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text("a file where a folder should be", encoding="utf-8")
    checkpoint = FileCheckpoint(place / "verify.json")
    with structlog.testing.capture_logs() as logged:
        checkpoint.save({"round": 1})
        checkpoint.save({"round": 2})
        place.unlink()
        checkpoint.save({"round": 3})
    assert [line["event"] for line in logged] == ["checkpoint.not-written"]
    assert checkpoint.load() == {"round": 3}
