"""Tells what a file is by its bytes, read in ranges: some kilobytes, whatever its size. Nothing is ever loaded.

    opcodes     whether it goes as a pickle, whatever else it looks like
    magic       what begins as a format does: executables, arrays, tables, pictures, sound, models
    zip_files   what lies in a zip, packed in streams and tars
    protobufs   ONNX and SentencePiece
    text        UTF-8, at both ends
    file_class  what the name makes worse

What cannot be told, and what asks for more than a bound, is unknown; that is never data.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

from mirror_sync.domain.formats.file_class import ZIPS, Classified, FileClass, judged_by_name, worse
from mirror_sync.domain.formats.magic import by_magic, executable, safetensors
from mirror_sync.domain.formats.opcodes import OpcodeWalk, PickleSign, has_magic, walk
from mirror_sync.domain.formats.packed import is_tar, tar_file, unpacked
from mirror_sync.domain.formats.protobufs import protobuf
from mirror_sync.domain.formats.ranges import FIRST, HEAD, Ranges, Read, Unclear
from mirror_sync.domain.formats.zip_files import zip_file

VERSION = "1"
"""Of the answers: another one where the same bytes may be told to be something else."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_CONFIG = "config.json"  # ends the names of those that transformers reads with trust_remote_code in mind
_MOST_CONFIG = 4 * 1024 * 1024  # bytes
_CONTROL = bytes({*range(32)} - {*b"\a\b\t\n\v\f\r\x1b"})
_LEADING, _FOLLOWING = 0xC0, 0x80


def classify(path: str, size: int, read: Read) -> Classified:
    """The class of a file of `size` bytes; `read(start, length)` gives bytes of it. Raises what `read` raises.

    No bytes make it raise anything else, or read more than ranges.MOST_BYTES of them.
    """
    ranges = Ranges(size, read)
    try:
        return _classified(path, ranges)
    except Exception as error:
        if ranges.failed is not None:
            raise
        what = str(error) if isinstance(error, Unclear) else "nothing that is known"
        return judged_by_name(path, Classified(FileClass.UNKNOWN, what))


def _classified(path: str, ranges: Ranges) -> Classified:
    if not ranges.size:
        return Classified(FileClass.DATA, "empty")
    found, packed = _of_bytes(ranges)
    if path.lower().endswith(ZIPS) and not ranges.head(FIRST).startswith(_ZIP):
        behind = zip_file(ranges)  # which may stand behind anything
        found = found if behind is None else worse(found, behind)
    if found.of is FileClass.TEXT and path.lower().endswith(_CONFIG):
        found = _config(ranges, found)
    return judged_by_name(path, found, packed=packed)


def _of_bytes(ranges: Ranges) -> tuple[Classified, bool]:
    """What the bytes are; and whether they are a compressed stream."""
    head = ranges.head(FIRST)
    stream = None
    found = executable(ranges, head) or _pickle(ranges, head)
    if found is None and not (found := _file(ranges, head)):
        stream = unpacked(ranges, head)
        found = _unknown() if stream is None else _inside(*stream)
        if stream is None:
            found = protobuf(ranges, head) or _text(ranges) or found
    return found, stream is not None


def _file(ranges: Ranges, head: bytes) -> Classified | None:
    """What has a structure of its own."""
    known = safetensors(ranges, head)
    if known is not None:
        return known
    if has_magic(head):
        return Classified(FileClass.PICKLE, "pickle")
    if head.startswith(_ZIP):
        return zip_file(ranges) or Classified(FileClass.UNKNOWN, "a zip without its directory")
    if is_tar(head):
        return tar_file(ranges)
    return by_magic(ranges, head)


def _pickle(ranges: Ranges, head: bytes) -> Classified | None:
    """What an unpickler would carry out, at least in part, whatever else it looks like."""
    walked = walk(head, whole=len(head) == ranges.size)
    if walked.found in (PickleSign.LONG, PickleSign.LINE) and len(head) < ranges.size:
        head = ranges.head()
        walked = walk(head, whole=len(head) == ranges.size)
    _expect_clear(walked, head)
    if walked.found is PickleSign.NOT or (walked.found is PickleSign.WHOLE and _goes_on_as_text(head, walked.end)):
        return None
    return Classified(FileClass.PICKLE, "pickle")


def _expect_clear(walked: OpcodeWalk, head: bytes) -> None:
    """Unclear where only what comes after a long line would tell."""
    if walked.found is PickleSign.LINE and not has_magic(head):
        raise Unclear("a line of more than 64 KiB that may be the first of a pickle")


def _goes_on_as_text(head: bytes, end: int) -> bool:
    """Whether STOP, of a pickle that calls nothing, stands in the midst of words: `N.B.` is one of None."""
    return bool(head[end:].strip()) and _is_text(head, whole=False)


def _inside(what: str, body: bytes, whole: bool) -> Classified:
    """A compressed stream, by the bytes at its beginning; `whole`: they are all of it."""
    if is_tar(body) and not whole:
        raise Unclear(f"{what} of a tar, of which only the beginning can be looked at")
    inner = Ranges(len(body), lambda start, length: body[start : start + length])
    head = inner.head(FIRST)
    found = executable(inner, head) or _pickle_within(body, whole=whole) or _file_within(inner, head, whole=whole)
    if found.of in (FileClass.DATA, FileClass.TEXT, FileClass.CONTAINER):
        return Classified(FileClass.CONTAINER, f"{what} of {found.what}")
    return Classified(found.of, f"{what} of {found.what}")


def _pickle_within(body: bytes, *, whole: bool) -> Classified | None:
    walked = walk(body, whole=whole)
    _expect_clear(walked, body)
    if walked.found is PickleSign.NOT or (walked.found is PickleSign.WHOLE and _goes_on_as_text(body, walked.end)):
        return Classified(FileClass.PICKLE, "pickle") if has_magic(body) else None
    return Classified(FileClass.PICKLE, "pickle")


def _file_within(inner: Ranges, head: bytes, *, whole: bool) -> Classified:
    """What is seen of a stream to its end is judged as a file; of one that goes on, its words and its magic are."""
    if not inner.size:
        return Classified(FileClass.DATA, "nothing")
    if whole:
        return _file(inner, head) or protobuf(inner, head) or _text(inner) or _unknown()
    if _is_text(inner.head(), whole=False):
        return Classified(FileClass.TEXT, "text")
    if head.startswith(_ZIP):
        raise Unclear("a zip in a stream, of which only the beginning can be looked at")
    return by_magic(inner, head) or _unknown()


def _text(ranges: Ranges) -> Classified | None:
    head = ranges.head()
    whole = len(head) == ranges.size
    if not _is_text(head, whole=whole):
        return None
    if not whole:
        tail = ranges.tail(min(HEAD, ranges.size - len(head)))
        if not _is_text(_from_a_character(tail), whole=True):
            return None
    return Classified(FileClass.TEXT, "text")


def _is_text(body: bytes, *, whole: bool) -> bool:
    """Whether bytes are UTF-8 without control characters; of the beginning of a text the last may be cut."""
    if body.translate(None, _CONTROL) != body:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _from_a_character(tail: bytes) -> bytes:
    """Without the rest of a character that began before."""
    begin = 0
    while begin < min(3, len(tail)) and _FOLLOWING <= tail[begin] < _LEADING:
        begin += 1
    return tail[begin:]


def _config(ranges: Ranges, found: Classified) -> Classified:
    """A config that names code of the repo, which transformers runs where it is trusted, by `auto_map`."""
    if ranges.size > _MOST_CONFIG:
        raise Unclear("a config.json of more than 4 MiB")
    try:  # long numbers stay as they are written: other readers have other bounds of them, or none
        config = json.loads(ranges.at(0, ranges.size).decode("utf-8-sig"), parse_int=str)
    except RecursionError:
        raise Unclear("a config.json that nests too deep") from None
    except ValueError:
        return found
    return Classified(FileClass.CODE, "config with auto_map") if _maps(config) else found


def _maps(config: Any) -> bool:
    """Whether any object of a document has an `auto_map` that names something."""
    left = [config]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if one.get("auto_map"):
                return True
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return False


def _unknown() -> Classified:
    return Classified(FileClass.UNKNOWN, "nothing that is known")
