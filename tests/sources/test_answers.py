"""Whatever JSON an upstream sends becomes domain values or one of two errors, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import UnsafePath
from mirror_sync.sources.hub.hub_json import (
    commits_of,
    file_and_folder,
    file_of,
    items_of,
    json_of,
    order_of,
    ref_of,
    resolved_of,
)

EXPECTED = (ValueError, KeyError, TypeError, UnsafePath, RecursionError)  # all of which HubSource turns into BadAnswer
OID, DIGEST = "b" * 40, "c" * 64
FILE: dict[str, Any] = {"type": "file", "path": "a/b", "size": 3, "oid": OID}
LFS: dict[str, Any] = {**FILE, "lfs": {"oid": DIGEST, "size": 3, "pointerSize": 120}}
INFO: dict[str, Any] = {"id": "acme/tiny", "sha": OID, "tags": ["mit"], "cardData": {"license": "mit"}, "gated": False}
COMMIT: dict[str, Any] = {"id": OID, "title": "t", "date": "d", "message": "m", "authors": [{"user": "u"}]}
REF: dict[str, Any] = {"name": "main", "ref": "refs/heads/main", "targetCommit": OID}
KEYS = sorted({*FILE, *LFS["lfs"], *INFO, *COMMIT, *REF, "lfs", "license", "license_name", "user", "private"})
WORDS = [OID, DIGEST, "file", "directory", "../x", "/x", "a\0b", "\ud800", "x" * 5000, "acme/tiny", "", "main"]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(WORDS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=20,
)


def damaged(sound: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A sound object with anything in one or two of its places."""
    changes = st.dictionaries(st.sampled_from(sorted(sound)), values, min_size=1, max_size=2)
    return st.one_of(changes.map(lambda change: {**sound, **change}), values)


def outcome(parse: Callable[[], object]) -> object:
    try:
        return parse()
    except EXPECTED:
        return None


def writable(value: object) -> None:
    """Whatever came through can be written down by anybody."""
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@settings(deadline=None)
@given(damaged(LFS) | damaged(FILE))
def test_any_value_is_a_file_a_folder_or_refused(value: Any) -> None:
    found = outcome(lambda: file_of(value))
    assert found is None or isinstance(found, RemoteFile)
    if found is not None:
        found.path.encode()


@settings(deadline=None)
@given(damaged(INFO), st.sampled_from(Kind))
def test_any_value_is_a_description_or_refused(value: Any, kind: Kind) -> None:
    found = outcome(lambda: resolved_of(Repo(kind, "acme/tiny"), value))
    assert found is None or isinstance(found, Resolved)
    if found is not None:
        writable(found.described)
        writable(sorted(found.terms.licenses))


@settings(deadline=None)
@given(st.lists(damaged(COMMIT), max_size=3) | values)
def test_any_value_is_a_history_or_refused(value: Any) -> None:
    for commit in outcome(lambda: commits_of(value, 50)) or ():  # type: ignore[attr-defined]  # a tuple or None
        assert isinstance(commit, Commit)
        writable(commit.encode())


@settings(deadline=None)
@given(damaged(REF))
def test_any_value_is_a_ref_or_refused(value: Any) -> None:
    found = outcome(lambda: ref_of("branches", value))
    assert found is None or isinstance(found, Ref)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eE+-NaInfity\\u d8', max_size=60).map(str.encode))
def test_any_bytes_are_a_page_or_refused(body: bytes) -> None:
    found = outcome(lambda: items_of(json_of(body)))
    assert found is None or isinstance(found, list)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"NaN", b"[Infinity]", b"\xff"])
def test_json_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json_of(body)


@pytest.mark.parametrize("size", [2**63, 10**400, -1])
def test_a_size_that_no_file_has_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        file_of({**FILE, "size": size})


def test_a_description_nested_without_need_is_refused() -> None:
    card: dict[str, Any] = {}
    for _ in range(200):
        card = {"deeper": card}
    with pytest.raises(ValueError, match="nested"):
        resolved_of(Repo(Kind.MODEL, "acme/tiny"), {**INFO, "cardData": card})


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="bounds"):
        resolved_of(
            Repo(Kind.MODEL, "acme/tiny"),
            json_of(json.dumps(INFO | {"cardData": {"x": 0}}).encode().replace(b": 0}", b": 1e999}")),
        )


def test_the_sound_ones_are_sound() -> None:
    assert file_of(FILE)
    assert file_of(LFS)
    assert file_of({"type": "directory"}) is None
    assert resolved_of(Repo(Kind.MODEL, "acme/tiny"), INFO)
    assert len(commits_of([COMMIT] * 60, 50)) == 50


@pytest.mark.parametrize("kind", ["commit", "symlink", "File", ""])
def test_an_entry_of_an_unknown_type_is_no_file(kind: str) -> None:
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        file_of({**FILE, "type": kind})


def test_what_an_answer_leaves_out_is_not_known_rather_than_not_so() -> None:
    terms = resolved_of(Repo(Kind.MODEL, "acme/tiny"), {"id": "acme/tiny", "sha": OID}).terms
    assert (terms.gated, terms.private) == (None, None)
    assert "neither cardData nor tags" in terms.unread
    assert not resolved_of(Repo(Kind.MODEL, "acme/tiny"), {**INFO, "cardData": None, "tags": []}).terms.unread


names = st.lists(st.sampled_from("ab."), min_size=1, max_size=3).map("".join)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@given(st.sets(paths, max_size=12))
def test_a_file_that_is_a_folder_is_found_when_and_only_when_there_is_one(found: set[str]) -> None:
    doubled = {path for path in found if any(other.startswith(f"{path}/") for other in found)}
    answer = file_and_folder(sorted(map(order_of, found)))
    assert answer in doubled if doubled else answer is None
