"""Which formats of a root document and a refs.json this program reads, and the one that it writes.

    1  as it was at first: a root has one verdict, `license`; a refs.json says no format
    2  a root has `verdicts` and `attachments`, a refs.json `channels` and `log`; both are refused where they have a key
       that is not of the format, since nothing that they name may be overlooked by whoever removes blobs

See docs/design/decisions/0035-the-second-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mirror_sync.domain.bounds import short, text, whole
from mirror_sync.errors import NewerFormat

FORMAT = 2  # what is written
FORMATS = (1, FORMAT)  # what is read
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FAULT = 300  # characters that a message repeats of what is wrong


def format_of(document: Mapping[str, Any], what: str, unsaid: int | None = None) -> int:
    """The format that a document says, `unsaid` where it says none. NewerFormat for one that is not read here.

    KeyError and TypeError for what has none.
    """
    if unsaid is not None and "format" not in document:
        return unsaid
    found = whole(document["format"])
    if found not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        raise NewerFormat(f"a {what} of format {found}, this program reads {known}: a newer mirror-sync wrote it")
    return found


def exactly(document: Any, needed: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    """An object with these keys and no other one. TypeError, KeyError, ValueError."""
    if not isinstance(document, dict):
        raise TypeError(f"an object expected, got {type(document).__name__}")
    for key in needed:
        if key not in document:
            raise KeyError(key)
    strange = sorted(document.keys() - {*needed, *optional})
    if strange:
        raise ValueError(f"the key {strange[0]!r:.80} is not of format {FORMAT}")
    return document


def word(value: object) -> str:
    """A name of ours: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, the first no sign. TypeError, ValueError."""
    if _WORD.fullmatch(text(value)) is None:
        raise ValueError(f"not a name: {value!r:.80}")
    return text(value)


def bounded(value: object, most: int) -> str:
    """A text of at most so many characters. TypeError, ValueError."""
    if len(text(value)) > most:
        raise ValueError(f"a text of {len(text(value)):,} characters, {most:,} are the most")
    return text(value)


def few(value: Collection[Any], most: int) -> Collection[Any]:
    """The same list or object, of at most so many members. TypeError, ValueError."""
    if not isinstance(value, list | tuple | dict):
        raise TypeError(f"a list or an object expected, got {type(value).__name__}")
    if len(value) > most:
        raise ValueError(f"{len(value):,} members, {most:,} are the most")
    return value


def in_brief(error: Exception) -> str:
    """An error in one line, which may repeat what others wrote."""
    return short(repr(error), _FAULT)
