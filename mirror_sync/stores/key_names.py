"""Which keys every store takes: those that mean the same in a bucket, in a directory and in a URL."""

from __future__ import annotations

from mirror_sync.errors import StoreError

_NO_SEGMENTS = frozenset({"", ".", ".."})
_HIDDEN = "lost+found"
_SHOWN = 120  # characters of a refused key that a message repeats


def check_key(key: str) -> str:
    """The key itself. StoreError for one that is absolute, has `.`, `..` or empty segments, NUL, or a hidden top."""
    segments = key.split("/")
    if key.startswith(".") or segments[0] == _HIDDEN or not (_NO_SEGMENTS.isdisjoint(segments) and _writable(key)):
        raise StoreError(f"not a key: {key[:_SHOWN]!a}")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: the beginning of a key, cut anywhere. StoreError for the beginning of what is no key."""
    folders, _, _ = prefix.rpartition("/")
    if folders or prefix.startswith("/"):
        check_key(folders)
    if not _writable(prefix):
        raise StoreError(f"not a prefix: {prefix[:_SHOWN]!a}")
    return prefix


def hidden(key: str) -> bool:
    """Whether the first segment is one that a store keeps for itself, or that a file system puts at its root."""
    return key.startswith(".") or key.partition("/")[0] == _HIDDEN


def _writable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
