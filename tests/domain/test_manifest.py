"""What an upstream promises of files must not contradict itself."""

from dataclasses import replace

import pytest

from mirror_sync.domain.content.manifest import RemoteFile, expect_bytes
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import IntegrityError, PointerOnly
from tests.domain.files import remote


def test_a_digest_and_another_size_are_another_content() -> None:
    known = remote("a", b"hello", lfs=True)
    assert known.content != RemoteFile("a", 7, known.oid, Sha256.of(b"hello"), known.pointer_size).content


def test_a_message_shows_what_nobody_sees_of_a_path_and_leaves_what_can_be_read() -> None:
    error = IntegrityError("é/a\n\x9b31m\u202eb", "1", "2")
    assert str(error) == r"\xe9/a\n\x9b31m\u202eb: expected 1, got 2"
    assert error.path == "é/a\n\x9b31m\u202eb"
    assert str(IntegrityError("é/a b", "1", "2")) == "é/a b: expected 1, got 2"


def test_files_of_which_only_pointers_are_there_are_refused_by_name() -> None:
    lacking = [replace(remote(f"{number}\n", b"x", lfs=True), pointer_only=True) for number in range(5)]
    with pytest.raises(PointerOnly, match=r"^0\\n, 1\\n, 2\\n and 2 more are LFS pointers, and what they stand for is"):
        expect_bytes([remote("a", b"x"), *lacking])
