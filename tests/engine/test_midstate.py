"""A hash that was saved and restored is the hash of all the bytes, and nothing else can be restored."""

from __future__ import annotations

import ctypes
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.engine.transfer import resumable_sha256
from mirror_sync.engine.transfer.resumable_sha256 import OpenSslSha256, PlainSha256, restore, resumable, running_sha256

CHUNKS = st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=12)
KINDS = st.sampled_from([bytes, bytearray, memoryview, lambda body: memoryview(bytearray(body))])


@given(CHUNKS, KINDS)
def test_it_is_hashlibs_whatever_the_chunks_and_wherever_it_was_saved(
    chunks: list[tuple[bytes, bool]], kind: type
) -> None:
    running, whole = running_sha256(), b""
    for chunk, saved in chunks:
        running.update(kind(chunk))
        whole += chunk
        if saved:
            found = restore(running.save(), len(whole))
            assert found is not None
            running = found
        assert running.digest == hashlib.sha256(whole).hexdigest()


def test_a_restored_hash_shares_nothing_with_the_saved_one() -> None:
    first = running_sha256()
    first.update(b"abc")
    second = restore(first.save(), 3)
    assert second is not None
    second.update(b"d")
    assert first.digest == hashlib.sha256(b"abc").hexdigest()
    assert second.digest == hashlib.sha256(b"abcd").hexdigest()


def test_lengths_beyond_four_gibibytes_are_counted() -> None:
    """The struct counts bits in two words; made by hand, since hashing so much takes seconds."""
    running = running_sha256()
    state = bytearray(running.save())
    state[32:40] = (2**40 * 8).to_bytes(8, "little")
    assert restore(bytes(state), 2**40) is not None
    assert restore(bytes(state), 0) is None


@pytest.mark.parametrize("state", [b"", b"x", bytes(111), bytes(113)])
def test_what_is_no_state_is_not_restored(state: bytes) -> None:
    assert restore(state, 0) is None


def test_a_state_of_another_length_is_not_restored() -> None:
    running = running_sha256()
    running.update(b"abc")
    assert restore(running.save(), 4) is None


def test_there_is_a_library_here() -> None:
    """Else every other law would be kept by the fallback alone, and nobody would know."""
    assert resumable()
    assert isinstance(running_sha256(), OpenSslSha256)


def test_without_a_library_hashes_are_hashlibs_and_cannot_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = running_sha256().save()
    monkeypatch.setattr(resumable_sha256, "_library", None)
    running = running_sha256()
    assert isinstance(running, PlainSha256)
    running.update(b"abc")
    assert running.digest == hashlib.sha256(b"abc").hexdigest()
    assert (running.save(), restore(saved, 0), resumable()) == (b"", None, False)


class Wrong:
    """A libcrypto whose struct is another: it writes further than ours is long."""

    def __init__(self) -> None:
        self._true = ctypes.CDLL("libcrypto.so.3")

    def __getattr__(self, name: str) -> object:
        call = getattr(self._true, name)

        def longer(state: ctypes.Array[ctypes.c_char], *rest: object) -> object:
            if name == "SHA256_Init":
                state[130] = b"x"
            return call(state, *rest)

        return longer


class Another(Wrong):
    """A libcrypto that hashes by other constants."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._true, {"SHA256_Init": "SHA224_Init"}.get(name, name))


@pytest.mark.parametrize("library", [Wrong, Another, lambda: ctypes.CDLL("libc.so.6")])
def test_a_library_that_does_not_prove_itself_is_not_used(
    monkeypatch: pytest.MonkeyPatch, library: type[Wrong]
) -> None:
    found = library()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: found)
    assert resumable_sha256._load() is None
