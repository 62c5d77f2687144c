"""A tombstone says when, by whom and why, and what cannot be one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.tombstone import (
    LONGEST_BY,
    LONGEST_WHY,
    Tombstone,
    decode_withdrawn,
    encode_withdrawn,
)
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.errors import DocumentError

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=LONGEST_BY)


@given(st.builds(Tombstone, words, words, words, st.booleans()))
def test_what_is_written_is_read(tombstone: Tombstone) -> None:
    assert Tombstone.decode(tombstone.encode()) == tombstone


@given(st.sets(st.binary().map(Sha256.of)))
def test_a_list_of_digests_is_read_as_it_was_written(digests: set[Sha256]) -> None:
    assert decode_withdrawn(encode_withdrawn(digests)) == digests


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"at":"","by":"","why":1}',
        b'{"at":"","by":"","why":"","more":""}',
        b'{"at":"","by":"","why":"' + b"x" * (LONGEST_WHY + 1) + b'"}',
    ],
)
def test_what_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentError, match="not a tombstone"):
        Tombstone.decode(body)


@pytest.mark.parametrize("tombstone", [Tombstone("", "x" * (LONGEST_WHY + 1)), Tombstone("", "\ud800")])
def test_what_no_reader_would_take_is_not_written(tombstone: Tombstone) -> None:
    with pytest.raises(DocumentError, match="cannot be written as a tombstone"):
        tombstone.encode()


@pytest.mark.parametrize("body", [b"0" * 63, b"<html>\n", b"0" * 64 + b" " + b"1" * 64 + b"\n"])
def test_what_is_no_list_of_digests_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentError, match="not a list of digests"):
        decode_withdrawn(body)


def test_what_is_buried_has_nothing_but_its_tombstone_and_the_last_statement_whose_serial_goes_on() -> None:
    commit, digest = CommitId("a" * 40), Sha256("b" * 64)
    attached = {"statement": digest, "held.1": digest}
    published = Refs(snapshots={commit: digest}, channels={"stable": commit}, attachments=attached)
    buried = Refs.decode(published.with_tombstone(Sha256("c" * 64)).encode())
    assert buried == Refs(attachments={"statement": digest, "tombstone": Sha256("c" * 64)})
    assert (buried.tombstone, published.tombstone) == (Sha256("c" * 64), None)
