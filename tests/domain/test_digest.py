import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import GIT_SIZED, CommitId, ContentHash, GitOid, Sha256


@pytest.mark.parametrize("text", ["", "abc", "G" * 64, "A" * 64, "a" * 63, "a" * 64 + "\n", " " + "a" * 64])
def test_only_64_lower_case_hexadecimal_digits_are_a_sha256(text: str) -> None:
    with pytest.raises(ValueError, match="not a Sha256"):
        Sha256(text)


def test_a_git_blob_id_is_what_git_says() -> None:
    said = subprocess.run(["git", "hash-object", "--stdin"], input=b"hello\n", capture_output=True, check=True)
    assert GitOid.of_blob(b"hello\n") == said.stdout.decode().strip()


@given(st.lists(st.binary()), st.booleans())
def test_hashing_in_chunks_equals_hashing_at_once(chunks: list[bytes], git: bool) -> None:
    body = b"".join(chunks)
    promise = GitOid.of_blob(body) if git else Sha256.of(body)
    content = ContentHash(len(body), promise)
    for chunk in chunks:
        content.update(chunk)
    assert content.kept
    assert content.sha256 == hashlib.sha256(body).hexdigest()


@given(st.binary(), st.binary(), st.booleans())
def test_a_promise_is_kept_by_the_promised_bytes_only(promised: bytes, got: bytes, git: bool) -> None:
    promise = GitOid.of_blob(promised) if git else Sha256.of(promised)
    content = ContentHash(len(promised), promise)
    content.update(got)
    assert content.kept == (promised == got)


def test_a_branch_name_is_no_commit_id() -> None:
    assert CommitId.matches("a" * 40)
    assert not CommitId.matches("main")
    assert not CommitId.matches("a" * 39)


@given(st.binary())
def test_a_file_that_may_go_by_its_git_id_elsewhere_is_known_by_it_too(body: bytes) -> None:
    content = ContentHash(len(body), Sha256.of(body))
    content.update(body)
    assert (content.oid, content.actual, content.kept) == (GitOid.of_blob(body), Sha256.of(body), True)


def test_a_file_too_large_for_git_is_hashed_once() -> None:
    assert ContentHash(GIT_SIZED + 1, Sha256.of(b"")).oid is None
