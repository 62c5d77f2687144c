"""What an upstream promises of files must not contradict itself."""

import pytest
from hypothesis import given

from mirror_sync.domain.content.manifest import RemoteFile, expect_one_size
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import BadAnswer, IntegrityError
from tests.domain.files import desired_of, remote, trees

Tree = dict[str, tuple[bytes, bool]]


@given(trees)
def test_what_true_files_promise_never_contradicts_itself(tree: Tree) -> None:
    expect_one_size(desired_of(tree))


@pytest.mark.parametrize("lfs", [True, False])
def test_one_digest_with_two_sizes_is_refused_with_both_places(lfs: bool) -> None:
    true = remote("a", b"hello", lfs=lfs)
    lie = RemoteFile("b\n", 7, true.oid, true.sha256, true.pointer_size)
    with pytest.raises(BadAnswer, match=r"with two sizes: 5 bytes at 'a' and 7 at 'b\\n'"):
        expect_one_size([true, lie])


def test_a_digest_and_another_size_are_another_content() -> None:
    known = remote("a", b"hello", lfs=True)
    assert known.content != RemoteFile("a", 7, known.oid, Sha256.of(b"hello"), known.pointer_size).content


def test_a_message_shows_what_nobody_sees_of_a_path_and_leaves_what_can_be_read() -> None:
    error = IntegrityError("é/a\n\x9b31m\u202eb", "1", "2")
    assert str(error) == r"\xe9/a\n\x9b31m\u202eb: expected 1, got 2"
    assert error.path == "é/a\n\x9b31m\u202eb"
    assert str(IntegrityError("é/a b", "1", "2")) == "é/a b: expected 1, got 2"
