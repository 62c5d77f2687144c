"""A SHA-256 whose state can be saved in the middle and gone on with by another process.

hashlib keeps its state to itself. The same code of OpenSSL can be called on a plain struct of 112 bytes, `SHA256_CTX`,
which is its own saved form: https://docs.openssl.org/3.0/man3/SHA256_Init/ (deprecated, and exported by the
distributions' libcrypto), https://github.com/openssl/openssl/blob/openssl-3.0/include/openssl/sha.h (its layout).
ctypes gives the GIL back during a call, as hashlib does, at the same speed: decision 0004.

Where that library or its calls are missing, or its answers differ from hashlib's at import, `resumable` is false and
hashes are hashlib's: they cannot be saved.
"""

from __future__ import annotations

import ctypes
import hashlib
from typing import Protocol

from mirror_sync.domain.digest import Sha256

_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.1.1")  # the struct is the same in both
_STATE = 112  # bytes of SHA256_CTX
_ROOM = 256  # what is given to the library: a larger struct than we know would be seen, and harm nothing
_LENGTH = slice(32, 40)  # of the struct: how many bits were hashed, as two words, the lower first
_DIGEST = 32

Chunk = bytes | bytearray | memoryview


class RunningSha256(Protocol):
    """A hash of bytes in order."""

    def update(self, chunk: Chunk) -> None: ...

    @property
    def digest(self) -> Sha256:
        """Of all bytes so far; more may follow."""
        ...

    def save(self) -> bytes:
        """The state after the bytes so far, for `restore`; empty where it cannot be saved."""
        ...


class PlainSha256:
    """Implements `RunningSha256` by hashlib: cannot be saved."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, chunk: Chunk) -> None:
        self._hash.update(chunk)

    @property
    def digest(self) -> Sha256:
        return Sha256(self._hash.hexdigest())

    def save(self) -> bytes:
        return b""


class OpenSslSha256:
    """Implements `RunningSha256` by a libcrypto of OpenSSL."""

    def __init__(self, library: ctypes.CDLL, state: bytes = b"") -> None:
        self._library = library
        self._state = ctypes.create_string_buffer(state, _ROOM)
        if not state:
            _expect(library.SHA256_Init(self._state))

    def update(self, chunk: Chunk) -> None:
        view = memoryview(chunk).cast("B")
        if view:
            first = bytes(view) if view.readonly else ctypes.byref(ctypes.c_char.from_buffer(view))
            _expect(self._library.SHA256_Update(self._state, first, ctypes.c_size_t(len(view))))

    @property
    def digest(self) -> Sha256:
        state = ctypes.create_string_buffer(self._state.raw, _ROOM)  # the call wipes it
        digest = ctypes.create_string_buffer(_DIGEST)
        _expect(self._library.SHA256_Final(digest, state))
        return Sha256(digest.raw.hex())

    def save(self) -> bytes:
        return self._state.raw[:_STATE]

    @property
    def fits(self) -> bool:
        """Whether the library wrote no further than we save."""
        return not any(self._state.raw[_STATE:])


def running_sha256() -> RunningSha256:
    """A new hash, of the kind that can be saved where there is one."""
    return PlainSha256() if _library is None else OpenSslSha256(_library)


def restore(state: bytes, length: int) -> RunningSha256 | None:
    """The hash that was saved after `length` bytes; None where that cannot be, or the state is none of that length."""
    if _library is None or len(state) != _STATE or _hashed(state) != length:
        return None
    return OpenSslSha256(_library, state)


def resumable() -> bool:
    """Whether hashes can be saved here."""
    return _library is not None


def _hashed(state: bytes) -> int:
    """Bytes that went into a state."""
    low, high = memoryview(state)[_LENGTH].cast("I")
    return int(high << 32 | low) // 8


def _expect(answer: int) -> None:
    if answer != 1:  # a state that is not valid, says the manual; none of ours ever was
        raise RuntimeError("OpenSSL refuses to hash")


def _load() -> ctypes.CDLL | None:
    """The first library that is here and proves itself."""
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            if _agrees(library):
                return library
        except (OSError, AttributeError, RuntimeError):
            continue
    return None


def _agrees(library: ctypes.CDLL) -> bool:
    """Whether a hash that was saved and restored in the middle of a block gives hashlib's digest."""
    body = bytes(range(251)) * 3
    first = OpenSslSha256(library)
    first.update(body[:333])
    second = OpenSslSha256(library, first.save())
    second.update(body[333:])
    whole = second.digest == Sha256.of(body) and first.digest == Sha256.of(body[:333])
    return whole and first.fits and second.fits and _hashed(second.save()) == len(body)


_library = _load()
