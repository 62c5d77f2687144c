import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.keys import alias_key, blob_key, blob_of, refs_key, repo_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo, RepoPattern

_part = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
_ids = st.one_of(_part, st.builds("{}/{}".format, _part, _part)).filter(
    lambda text: "--" not in text and ".." not in text
)


@given(st.sampled_from(Kind), _ids)
def test_a_repo_and_its_key_name_each_other(kind: Kind, repo_id: str) -> None:
    repo = Repo(kind, repo_id)
    assert repo_of(refs_key(repo)) == repo
    assert Repo.parse(str(repo)) == repo


@given(st.binary())
def test_a_blob_and_its_key_name_each_other(body: bytes) -> None:
    digest = Sha256.of(body)
    assert blob_of(blob_key(digest)) == digest


@pytest.mark.parametrize(
    "key", ["blobs/sha256/aa/" + "b" * 64, "hub/models/x/refs.json.tmp", "hub/buckets/a--b/refs.json", "x"]
)
def test_other_keys_name_nothing(key: str) -> None:
    assert blob_of(key) is None
    assert repo_of(key) is None


@pytest.mark.parametrize(
    "text", ["", "/", "a/", "/a", "a/b/c", "a--b/c", "../x", "a/..", ".a/b", "a b", "a/b.", "x" * 97, "é/x"]
)
def test_a_bad_repo_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write org/name"):
        Repo.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://huggingface.co/BAAI/bge", "'https://huggingface.co/BAAI/bge' is an address; write org/name, or "),
        ("datasets/openai/gsm8k", "'datasets/openai/gsm8k' is the path of a page; write dataset:openai/gsm8k"),
        ("models/acme/x", "'models/acme/x' is the path of a page; write acme/x"),
    ],
)
def test_what_was_copied_from_a_browser_is_told_how_it_is_written(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Repo.parse(text)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="write model:, dataset:, space: or kernel:"):
        Repo.parse("bucket:acme/x")


def test_a_glob_names_one_owner() -> None:
    pattern = RepoPattern.parse("dataset:acme/llm-*")
    assert (pattern.owner, pattern.is_glob) == ("acme", True)
    assert pattern.matches(Repo(Kind.DATASET, "acme/llm-1"))
    assert not pattern.matches(Repo(Kind.MODEL, "acme/llm-1"))
    assert not pattern.matches(Repo(Kind.DATASET, "acme/other"))
    for text in ("*", "*/x", "ac*/x"):
        with pytest.raises(ValueError, match=r"owner/\*"):
            RepoPattern.parse(text)


def test_an_alias_has_one_key_for_all_capitals_and_is_no_repo_to_whoever_lists_them() -> None:
    key = alias_key(Repo.parse("dataset:Acme/Data.Set"))
    assert key == alias_key(Repo.parse("dataset:acme/data.set")) == "hub/datasets/acme--data.set/alias.json"
    assert repo_of(key) is None
