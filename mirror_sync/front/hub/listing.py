"""Finds entries in the text of listing shards, which are never parsed whole.

A shard has one JSON entry a line, sorted by percent-encoded path (domain/content/snapshot.py). Within a string JSON
escapes every quote and line feed, so `"path":"` and a line feed can only stand where the format puts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mirror_sync.domain.content.snapshot import Root, encode_json, sort_key

ReadShard = Callable[[int], bytes]
"""The text of a root's shard, by its number."""

_BEFORE_PATH = rb'^\{"type":"\w+","oid":"\w+",(?:"size":\d+,)?"path":"'
_NAME = rb'[^"\\/]*(?:\\.[^"\\/]*)*'  # the rest of a JSON string, up to the next slash
_PATH = re.compile(rb'"path":("[^"\\]*(?:\\.[^"\\]*)*"),')
_AFTER_NAME = rb'",.*\}'
HEAVY = 16 << 20  # bytes of the entries of one page
PAGE = 1000  # entries, as on the Hub; docs/design/decisions/0014-pages-of-a-listing.md

_EMPTY = b"[\n\n]\n"
_PAST_SLASH = "0"  # follows "/" in ASCII: past everything inside a folder


@dataclass(frozen=True, slots=True)
class ListingRequest:
    """A listing: what lies in `folder` ("" is the top), at any depth when `recursive`."""

    folder: str
    recursive: bool


class EntryPlace(NamedTuple):
    """Where a page begins: at an entry, counted among those that the listing wants of a shard."""

    shard: int
    entry: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries of a listing, and where the others begin."""

    entries: list[bytes]
    next: EntryPlace | None


def find(shard: bytes, path: str) -> bytes | None:
    """The entry of `path`, as it stands in the shard."""
    at = shard.find(f'"path":{encode_json(path)},'.encode())
    if at < 0:
        return None
    return shard[shard.rfind(b"\n", 0, at) + 1 : shard.index(b"\n", at)].removesuffix(b",")


def find_all(root: Root, read: ReadShard, paths: Iterable[str]) -> list[bytes]:
    """The entries of those of `paths` that there are, in the order asked. Each shard is read and gone through once."""
    wanted: dict[int, list[str]] = {}
    order = list(paths)
    for path in order:
        wanted.setdefault(root.shard_for(path), []).append(path)
    found: dict[str, bytes] = {}
    for number, here in sorted(wanted.items()):
        found |= _pick(read(number), here)
    return [found[path] for path in order if path in found]


def _pick(shard: bytes, paths: list[str]) -> dict[str, bytes]:
    """The entries of several paths of a shard, in one pass over its lines."""
    named = {encode_json(path).encode(): path for path in paths}
    entries = ((_PATH.search(line), line) for line in lines(shard))
    return {named[at[1]]: line for at, line in entries if at is not None and at[1] in named}


def lines(shard: bytes) -> list[bytes]:
    """The entries of a shard."""
    return [] if shard == _EMPTY else shard[2:-3].split(b",\n")


def count(shard: bytes) -> int:
    """How many entries a shard has, none of which is read."""
    return 0 if shard == _EMPTY else shard.count(b"\n") - 2


def page(root: Root, read: ReadShard, wanted: ListingRequest, start: EntryPlace | None, most: int = PAGE) -> EntryPage:
    """What a listing has from `start` on, None: from its beginning; `most` entries.

    Shards are joined until the page is full: many clients read no second one. Only where names are of monstrous length
    HEAVY ends it before.
    """
    end, found_in = end_shard(root, wanted.folder), _finder(wanted)
    number, skip = start or EntryPlace(first_shard(root, wanted.folder), 0)
    entries, weight = list[bytes](), 0
    while number < end:
        shard = read(number)
        found, stop = found_in(shard), skip + most - len(entries)
        entries += found[skip:stop]
        weight += sum(map(len, found[skip:stop]))
        if len(found) > stop or weight > HEAVY:
            return EntryPage(entries, EntryPlace(number, min(stop, len(found))))
        deeper = 0 if wanted.recursive else _shard_after_child(root, shard, wanted.folder)
        number, skip = max(number + 1, deeper), 0
    return EntryPage(entries, None)


def place_after(
    root: Root, read: ReadShard, counted: Callable[[int], int], folder: str, entries: int
) -> EntryPlace | None:
    """Where a recursive listing of `folder` goes on behind its first `entries`; None where it has no more.

    `counted` tells how many entries a shard has: those between the first and the last of a folder hold nothing else.
    """
    first, end = first_shard(root, folder), end_shard(root, folder)
    found_in = _finder(ListingRequest(folder, recursive=True))
    for number in range(first, end):
        whole = not folder or first < number < end - 1
        here = counted(number) if whole else len(found_in(read(number)))
        if entries < here:
            return EntryPlace(number, entries)
        entries -= here
    return None


def first_shard(root: Root, folder: str) -> int:
    """The number of the first shard that can hold something under `folder`."""
    return root.shard_for(f"{folder}/") if folder else 0


def end_shard(root: Root, folder: str) -> int:
    """The number after the last shard that can hold something under `folder`."""
    if not folder:
        return len(root.shards)
    past = sort_key(folder) + _PAST_SLASH
    return next((number for number, shard in enumerate(root.shards) if shard.first >= past), len(root.shards))


def _finder(wanted: ListingRequest) -> Callable[[bytes], list[bytes]]:
    """What finds the entries that a listing wants of a shard."""
    if wanted.recursive and not wanted.folder:
        return lines
    rest = rb".*\}" if wanted.recursive else _NAME + _AFTER_NAME
    return re.compile(_BEFORE_PATH + _inside(wanted.folder) + rest, re.MULTILINE).findall


def array(entries: list[bytes], last_commit: Mapping[str, str] | None) -> bytes:
    """A JSON array of entries, with the Hub's `lastCommit` in each when it is given."""
    body = b",\n".join(entries)
    if last_commit is not None:
        head = f'{{"lastCommit":{encode_json(dict(last_commit))},'.encode()
        body = (b"\n" + body).replace(b"\n{", b"\n" + head)
    return b"[" + body + b"]"


def _inside(folder: str) -> bytes:
    return re.escape(encode_json(f"{folder}/")[1:-1].encode()) if folder else b""


def _shard_after_child(root: Root, shard: bytes, folder: str) -> int:
    """The shard in which the child of `folder` that the shard's last line belongs to has ended."""
    if shard == _EMPTY:
        return 0
    last = _path_of(shard[shard.rfind(b"\n", 0, -3) + 1 : -3])
    prefix = f"{folder}/" if folder else ""
    child, slash, _ = last.removeprefix(prefix).partition("/")
    if not (last.startswith(prefix) and slash):
        return 0
    return root.shard_for(f"{prefix}{child}{_PAST_SLASH}")


def _path_of(line: bytes) -> str:
    entry: dict[str, Any] = json.loads(line)
    return str(entry["path"])
