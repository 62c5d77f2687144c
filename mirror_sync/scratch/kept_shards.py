"""Shards of a published listing whose files are all wanted, as they are: they are named again, not read into rows.

What an upstream promises of a file makes all of its line in a shard but the SHA-256 of one that is not in LFS. So the
wanted files between the first keys of two shards are written as the lines that they would have, and these are compared
with the shard's bytes, without those digests. Where they are the same, character by character, then the shard says of
every one of these files, and of no other, what a new one would; nothing that it says of them is believed, but for the
SHA-256 of a git id, as always (decision 29).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mirror_sync.domain.content.snapshot import Shard, begins_shard, encode_json, folder_line, path_of
from mirror_sync.errors import DocumentError

END = "\x7f"  # sorts behind every key, which is plain ASCII
ReadShards = Callable[[Sequence[Shard]], Iterable[bytes]]
"""Gives the proved bytes of shards, in their order. KeyMissing, DocumentError, what a store raises."""

_PROVED = re.compile(r'(?<="),"sha256":"[0-9a-f]{64}"\}(?=,\n|\Z)')  # of a line that has no `lfs`
_HEAD, _JOINT, _TAIL = "[\n", ",\n", "\n]\n"
_FILE = b'\n{"type":"file"'
_PATH = "CASE WHEN instr(key, '%') THEN path_in_json(key) ELSE key END"
_HEX = "lower(hex({}))".format
_LINE = (
    f"""'{{"type":"file","oid":"' || {_HEX("oid")} || '","size":' || size || ',"path":"' || {_PATH} || '"' || """
    "CASE WHEN pointer_size IS NULL AND sha256 IS NULL THEN '' "
    f"""WHEN pointer_size IS NOT NULL THEN ',"lfs":{{"oid":"' || {_HEX("sha256")} || '","size":' || size || """
    f"""',"pointerSize":' || pointer_size || '}},"sha256":"' || {_HEX("sha256")} || '"}}' END"""
)
TEXT = (
    f"SELECT min(key), group_concat(line, '{_JOINT}') FROM (SELECT key, {_LINE} AS line FROM files "
    "WHERE key >= ?1 AND key < ?2 UNION ALL SELECT key, folder_line(key) FROM folders WHERE key >= ?1 AND key < ?2 "
    "ORDER BY key LIMIT ?3)"
)
"""The first key, and the lines, of wanted files and folders from a key on, up to another, of so many at the most."""
FUNCTIONS = {
    "path_in_json": lambda key: encode_json(path_of(key))[1:-1],
    "folder_line": lambda key: folder_line(path_of(key)),
    "path_of": path_of,
}
"""What the questions of a file table call, of one argument."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Keys from `first` on, up to `after`: those of a shard that is kept, or of what lies between two of them."""

    first: str
    after: str
    shard: Shard | None = None


def shards_in_order(shards: Iterable[Shard], read: ReadShards, at_once: int) -> Iterator[tuple[Stretch, bytes]]:
    """Each shard, where its keys lie, and its bytes; some are read at once. DocumentError where they go back."""
    distinct = [*{shard.digest: shard for shard in shards}.values()]
    firsts = ["", *(shard.first for shard in distinct[1:]), END]
    for start in range(0, len(distinct), at_once):
        some = distinct[start : start + at_once]
        for number, body in enumerate(read(some), start):
            if firsts[number] >= firsts[number + 1]:
                raise DocumentError(
                    f"a root whose shards are not in order: {firsts[number]!a} comes twice, or too late"
                )
            yield Stretch(firsts[number], firsts[number + 1], distinct[number]), body


def promises(body: bytes) -> str | None:
    """The lines of a shard without what no upstream tells; None for bytes that no program of ours writes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if not (text.startswith(_HEAD) and text.endswith(_TAIL)):
        return None
    return _PROVED.sub("", text[len(_HEAD) : -len(_TAIL)])


def lines_in(text: str) -> int:
    """How many entries such lines are of."""
    return text.count(_JOINT) + 1


def files_in(body: bytes) -> int:
    """How many files a shard that is kept has."""
    return body.count(_FILE)


def may_be_kept(stretch: Stretch, first: str | None, following: str | None) -> bool:
    """Whether a shard of the same lines would be cut so anew: by the first key in it, and the first one behind it."""
    begins = stretch.first == "" or begins_shard(stretch.first)
    told = stretch.shard is not None and stretch.shard.first == first
    return begins and told and (following is None or begins_shard(following))


def between(kept: Sequence[Stretch]) -> Iterator[Stretch]:
    """All keys there are: those stretches, and what lies before, between and behind them."""
    first = ""
    for stretch in kept:
        if first < stretch.first:
            yield Stretch(first, stretch.first)
        yield stretch
        first = stretch.after
    if first < END:
        yield Stretch(first, END)
