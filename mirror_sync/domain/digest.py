"""Digests are types, never bare strings, and are computed while the bytes pass."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Self


class _Hex(str):
    """Lower-case hexadecimal text of a fixed length; ValueError for anything else."""

    __slots__ = ()
    _pattern: ClassVar[re.Pattern[str]]

    def __new__(cls, text: str) -> Self:
        if cls._pattern.fullmatch(text) is None:
            raise ValueError(f"not a {cls.__name__}: {text[:80]!r}")
        return super().__new__(cls, text)


class Sha256(_Hex):
    """A SHA-256 digest, 64 hexadecimal digits."""

    __slots__ = ()
    _pattern = re.compile(r"[0-9a-f]{64}")

    @classmethod
    def of(cls, body: bytes | bytearray | memoryview) -> Self:
        """The digest of some bytes."""
        return cls(hashlib.sha256(body).hexdigest())


class GitOid(_Hex):
    """A git object id: SHA-1 over a header and the content, 40 hexadecimal digits."""

    __slots__ = ()
    _pattern = re.compile(r"[0-9a-f]{40}")

    @classmethod
    def of_blob(cls, body: bytes) -> Self:
        """The id that git gives to a file with these bytes."""
        return cls(git_blob_hash(len(body), body).hexdigest())


class CommitId(_Hex):
    """The id of a commit, 40 hexadecimal digits."""

    __slots__ = ()
    _pattern = re.compile(r"[0-9a-f]{40}")

    @classmethod
    def matches(cls, revision: str) -> bool:
        """Whether a revision names a commit by its full id."""
        return cls._pattern.fullmatch(revision) is not None


Promise = Sha256 | GitOid
"""What an upstream promises about a file's content: SHA-256 (LFS, Xet) or the git blob id (small files)."""


GIT_SIZED = (
    1024 * 1024
)  # bytes: what upstreams keep without LFS is mostly smaller; a second hash of all else is a waste


class ContentHash:
    """Hashes a file of a known size while its bytes pass, so that either kind of promise can be checked.

    A file that may be a small one elsewhere is hashed in git's way too, whatever its promise.
    """

    def __init__(self, size: int, promise: Promise) -> None:
        self._sha256 = hashlib.sha256()
        self._git = git_blob_hash(size) if isinstance(promise, GitOid) or size <= GIT_SIZED else None
        self._promise = promise

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take in the bytes that come next."""
        self._sha256.update(chunk)
        if self._git is not None:
            self._git.update(chunk)

    @property
    def sha256(self) -> Sha256:
        """The digest of all that came."""
        return Sha256(self._sha256.hexdigest())

    @property
    def oid(self) -> GitOid | None:
        """The git id of the content; None where it is too large to be asked for by one."""
        return None if self._git is None else GitOid(self._git.hexdigest())

    @property
    def actual(self) -> Promise:
        """The digest of the promise's own kind, to be compared with it."""
        return self.oid if isinstance(self._promise, GitOid) and self.oid is not None else self.sha256

    @property
    def kept(self) -> bool:
        """Whether what came is what was promised."""
        return self.actual == self._promise


def git_blob_hash(size: int, body: bytes = b"") -> hashlib._Hash:
    """Hashes a blob of `size` bytes as git does, from its beginning; `body` are the first of them."""
    # SHA-1 is git's choice, not ours: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    return hashlib.sha1(b"blob %d\0" % size + body, usedforsecurity=False)


_DIGITS = 12  # hexadecimal digits of a digest that place it between 0 and 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The blobs whose digests lie in a window of size `share` (above 0, up to 1).

    The windows of successive rounds lie side by side: after 1/share rounds every blob was in one.
    """

    share: float = 1.0
    round: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"a sample is a share above 0% and up to 100%, not {self.share!r}")

    def wants(self, digest: Sha256) -> bool:
        """Whether a blob is looked at in this round."""
        place = int(digest[:_DIGITS], 16) / float(16**_DIGITS)
        return (place - self.round * self.share) % 1.0 < self.share
