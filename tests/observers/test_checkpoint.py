"""A checkpoint is there whole or not at all, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from mirror_sync.domain.repo import Kind
from mirror_sync.state.checkpoint_file import FileCheckpoint


def test_what_was_saved_last_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "verify.json"
    first = FileCheckpoint(path)
    assert first.load() is None
    first.save({"round": 1}, [])
    first.save({"round": 2, "kind": Kind.MODEL}, [])
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
        checkpoint.save({"round": 1}, [])
        checkpoint.save({"round": 2}, [])
        place.unlink()
        checkpoint.save({"round": 3}, [])
    assert [line["event"] for line in logged] == ["checkpoint.not-written"]
    assert checkpoint.load() == {"round": 3}


def test_notes_are_added_once_and_loaded_with_their_document(tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    first = FileCheckpoint(path)
    first.begin({"at": 0})
    first.save({"at": 1}, [{"note": 1}])
    first.save({"at": 2}, [{"note": 2}, {"note": 3}])
    second = FileCheckpoint(path)
    assert second.load() == {"at": 2, "notes": [{"note": 1}, {"note": 2}, {"note": 3}]}
    second.save({"at": 3}, [{"note": 4}])
    assert FileCheckpoint(path).load() == {"at": 3, "notes": [{"note": number} for number in (1, 2, 3, 4)]}
    second.begin({"at": 0})
    assert FileCheckpoint(path).load() == {"at": 0}
    assert [file.name for file in tmp_path.iterdir()] == ["verify.json"]


def test_notes_that_no_document_counts_are_none(tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    FileCheckpoint(path).save({"at": 1}, [{"note": 1}])
    with path.with_suffix(".notes").open("a", encoding="utf-8") as file:
        file.write('{"no')
    again = FileCheckpoint(path)
    assert again.load() == {"at": 1, "notes": [{"note": 1}]}
    again.save({"at": 2}, [{"note": 2}])
    assert FileCheckpoint(path).load() == {"at": 2, "notes": [{"note": 1}, {"note": 2}]}


def test_a_document_whose_notes_are_lost_is_none(tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    FileCheckpoint(path).save({"at": 1}, [{"note": 1}])
    path.with_suffix(".notes").unlink()
    assert FileCheckpoint(path).load() is None
