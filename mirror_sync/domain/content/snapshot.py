"""The documents of a snapshot: a small Merkle tree whose leaves name the blobs.

    root     one JSON object; names the documents below and keeps what was selected, under which verdicts
    shards   the Hub's recursive tree listing, cut; a JSON array, one entry a line, ordered by `sort_key`
    info     the Hub's answer to /api/{kind}s/{id}/revision/{commit}
    commits  the Hub's answer to /api/{kind}s/{id}/commits/{commit}

and its attachments: blobs that whoever reads the root finds by a name, and that are kept and proved with it.

Entries have the Hub's shape (`GET .../tree/{rev}?recursive=true`) and add `sha256` to every file; `path` is never the
last key, so that a front finds an entry by searching for `"path":"…",`. A shard begins where a hash of its
first path says so: a property of the path itself, so that one changed file rewrites one shard;
and where the one before is full.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

from mirror_sync.domain.bounds import short, text, texts, whole, words
from mirror_sync.domain.content.document_format import FORMAT, bounded, exactly, few, format_of, in_brief, word
from mirror_sync.domain.content.manifest import MirroredFile, is_plain
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.errors import DocumentError, UnsafePath

ENTRIES_PER_SHARD = 400  # on average; see docs/design/decisions/0002-shards.md
FULL_SHARD = 4 * 1024 * 1024  # bytes, after which a shard ends whatever its paths say
FULL_SIBLINGS = 5000  # files; see `sibling_of`
MOST_VERDICTS = MOST_ATTACHMENTS = 256
_RENAMED = {"license": "licence"}  # rules, as older programs wrote them
LONGEST_REASON = 4096  # characters of a verdict
_KEYS = (
    *("format", "repo", "commit", "last", "info", "commits", "selection", "verdicts", "attachments"),
    *("files", "bytes", "shards"),
)
_SIBLINGS = "siblings"  # of an info document: its files, which come last
_PIECE = 1000  # of them that are written at once
_HEX, _COUNT = r"[0-9a-f]", r"0|[1-9][0-9]{0,14}"
_OUR_LINE = re.compile(
    rf'\{{"type":"file","oid":"(?P<oid>{_HEX}{{40}})","size":(?P<size>{_COUNT}),"path":"(?P<path>[^"\\\x00-\x1f]+)"'
    rf'(?:,"lfs":\{{"oid":"{_HEX}{{64}}","size":(?:{_COUNT}),"pointerSize":(?P<pointer>{_COUNT})\}})?'
    rf',"sha256":"(?P<sha256>{_HEX}{{64}})"\}}'
)
_OUR_FOLDER = re.compile(rf'\{{"type":"directory","oid":"{_HEX}{{40}}","path":"[^"\\\x00-\x1f]+","size":0\}}')
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # dumps would make one a call


class Attachment(Protocol):
    """Bytes that are named by their digest, and that need not all be in memory; `size` is how many there are."""

    @property
    def digest(self) -> Sha256: ...

    @property
    def size(self) -> int: ...

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, from the first one on, as often as they are asked for. StoreError where they are on a disk."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes that are named by their digest."""

    body: bytes
    digest: Sha256

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.body)

    def pieces(self) -> Iterator[bytes]:
        """All at once."""
        yield self.body

    @classmethod
    def of(cls, body: bytes) -> Document:
        """A document of these bytes."""
        return cls(body, Sha256.of(body))

    @classmethod
    def of_json(cls, value: Any) -> Document:
        """DocumentError for what no JSON in UTF-8 can hold: half characters, numbers beyond all bounds."""
        try:
            return cls.of(encode_json(value).encode())
        except (ValueError, TypeError, RecursionError) as error:
            raise DocumentError(f"cannot be written as JSON: {_one_line(error)}") from error


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard's place in the root: `first` is the percent-encoded path of its first entry."""

    first: str
    digest: Sha256


@dataclass(frozen=True, slots=True)
class Root:
    """The root document of a snapshot; `size` counts the bytes of all files, `last` is the Hub's lastCommit object.

    `verdicts` are those under which it was published, `attachments` digests of blobs by their names. `left` is what the
    selection leaves out of the commit; None in one that an older program wrote, where nobody knows. `format` is that of
    the document which was read; FORMAT is what is written.
    """

    repo: str  # as jobs.yaml writes it: org/name, dataset:org/name
    commit: CommitId
    last: Mapping[str, str]  # id, title, date
    info: Sha256
    commits: Sha256
    selection: Selection
    verdicts: tuple[Verdict, ...]
    files: int
    size: int
    shards: tuple[Shard, ...]
    left: tuple[LeftOut, ...] | None = None
    attachments: Mapping[str, Sha256] = field(default_factory=dict)
    format: int = FORMAT

    def shard_for(self, path: str) -> int:
        """The index of the only shard that can hold `path`."""
        return max(bisect_right(self.shards, sort_key(path), key=attrgetter("first")) - 1, 0)

    @property
    def leaves(self) -> tuple[Sha256, ...]:
        """What it names that names nothing else."""
        return (self.info, self.commits, *self.attachments.values())

    @property
    def documents(self) -> tuple[Sha256, ...]:
        """All that it names itself."""
        return (*self.leaves, *(shard.digest for shard in self.shards))

    @property
    def reason(self) -> str:
        """Why it may be published, in one line."""
        return "; ".join(verdict.reason for verdict in self.verdicts)

    def encode(self) -> Document:
        """As FORMAT has it, whatever format was read. DocumentError for what JSON, or the format, cannot hold."""
        _expect_writable(self)
        known = self.left is not None and self.selection != Selection()  # a whole repo has no more to say
        left = [[one.rule, one.patterns, one.files, one.bytes] for one in self.left or ()]
        return Document.of_json(
            {
                "format": FORMAT,
                "repo": self.repo,
                "commit": self.commit,
                "last": dict(self.last),
                "info": self.info,
                "commits": self.commits,
                "selection": {"include": self.selection.include, "exclude": self.selection.exclude},
                **({"left": left} if known else {}),
                "verdicts": [verdict_document(one) for one in self.verdicts],
                "attachments": {name: self.attachments[name] for name in sorted(self.attachments)},
                "files": self.files,
                "bytes": self.size,
                "shards": [[shard.first, shard.digest] for shard in self.shards],
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> Root:
        """DocumentError when the bytes are no root document of a known format."""
        try:
            document = json.loads(body.decode())
            written = format_of(document, "root document")
            known = document if written == 1 else exactly(document, _KEYS, ("left",))
            return cls(
                repo=text(known["repo"]),
                commit=CommitId(known["commit"]),
                last=words(known["last"]),
                info=Sha256(known["info"]),
                commits=Sha256(known["commits"]),
                selection=Selection(*(texts(known["selection"][key]) for key in ("include", "exclude"))),
                verdicts=_first_verdict(known["license"]) if written == 1 else read_verdicts(known["verdicts"]),
                files=whole(known["files"]),
                size=whole(known["bytes"]),
                shards=tuple(Shard(text(first), Sha256(digest)) for first, digest in known["shards"]),
                left=_left(known),
                attachments={} if written == 1 else _attachments(known["attachments"]),
                format=written,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DocumentError(f"not a root document: {in_brief(error)}") from error


def _expect_writable(root: Root) -> None:
    """DocumentError for names and numbers of ours that no reader would take."""
    try:
        few(root.verdicts, MOST_VERDICTS)
        few(root.attachments, MOST_ATTACHMENTS)
        for name in (*root.attachments, *(verdict.rule for verdict in root.verdicts)):
            word(name)
    except ValueError as error:
        raise DocumentError(f"cannot be written as a root document: {in_brief(error)}") from error


def verdict_document(verdict: Verdict) -> dict[str, str]:
    """What is kept of a verdict; a reason that is too long is cut."""
    return {"rule": verdict.rule, "outcome": verdict.outcome, "reason": short(verdict.reason, LONGEST_REASON)}


def _first_verdict(document: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """The one of format 1."""
    return (Verdict("licence", Outcome(document["outcome"]), text(document["reason"])),)


def read_verdicts(documents: Sequence[Any]) -> tuple[Verdict, ...]:
    """Verdicts as they were kept. TypeError, KeyError, ValueError for anything else."""
    items = (exactly(one, ("rule", "outcome", "reason")) for one in few(documents, MOST_VERDICTS))
    return tuple(
        Verdict(
            _rule(one["rule"]),
            Outcome(one["outcome"]),
            bounded(one["reason"], LONGEST_REASON),
        )
        for one in items
    )


def _rule(name: object) -> str:
    found = word(name)
    return _RENAMED.get(found, found)


def _attachments(document: Mapping[str, Any]) -> dict[str, Sha256]:
    few(document, MOST_ATTACHMENTS)
    return {word(name): Sha256(digest) for name, digest in document.items()}


def _left(document: Mapping[str, Any]) -> tuple[LeftOut, ...] | None:
    if "left" not in document:
        return None
    return tuple(
        LeftOut(text(rule), texts(of), whole(files), whole(size)) for rule, of, files, size in document["left"]
    )


def sort_key(path: str) -> str:
    """Percent-encoded: pure ASCII, so that Python, njs and a text search agree on the order."""
    return path if is_plain(path) else quote(path, safe="/")


def path_of(key: str) -> str:
    """The path of a `sort_key`."""
    return unquote(key, errors="strict")


def encode_json(value: Any) -> str:
    """Compact JSON, in raw UTF-8, as JavaScript's JSON.stringify writes it. ValueError for NaN and Infinity."""
    return _COMPACT.encode(value)


class Entry(NamedTuple):
    """A line of a listing; of a folder `oid` and `sha256` are empty. `key` is the `sort_key` of its path.

    Digests are hexadecimal, `size` and `pointer_size` in bytes. Light, since there may be millions of them.
    """

    key: str
    size: int
    oid: str
    sha256: str
    pointer_size: int | None

    @classmethod
    def of(cls, file: MirroredFile) -> Entry:
        """A file's."""
        return cls(sort_key(file.path), file.size, file.oid, file.sha256, file.pointer_size)

    @property
    def path(self) -> str:
        """As the upstream calls it."""
        return path_of(self.key)

    @property
    def file(self) -> MirroredFile:
        """What it says of a file. ValueError of a folder."""
        return MirroredFile(self.path, self.size, GitOid(self.oid), Sha256(self.sha256), self.pointer_size)

    @property
    def line(self) -> str:
        """As it stands in the Hub's tree listing, in `encode_json`'s way.

        There is no `xetHash`, since a client that sees one asks for what no bucket speaks.
        """
        if not self.oid:
            return folder_line(self.path)
        key, size, oid, sha256, pointer_size = self
        lfs = "" if pointer_size is None else f',"lfs":{_lfs("oid", sha256, size, pointer_size)}'
        path = encode_json(path_of(key))
        return f'{{"type":"file","oid":"{oid}","size":{size},"path":{path}{lfs},"sha256":"{sha256}"}}'

    @property
    def sibling(self) -> str:
        """As it stands in the Hub's info answer with `?blobs=true`."""
        key, size, oid, sha256, pointer_size = self
        lfs = "" if pointer_size is None else f',"lfs":{_lfs("sha256", sha256, size, pointer_size)}'
        return f'{{"rfilename":{encode_json(path_of(key))},"size":{size},"blobId":"{oid}"{lfs}}}'


def _lfs(name: str, sha256: str, size: int, pointer_size: int) -> str:
    return f'{{"{name}":"{sha256}","size":{size},"pointerSize":{pointer_size}}}'


def sibling_of(path: str) -> str:
    """A file of a very large repo in the Hub's info answer: its name alone.

    Every client that lists a snapshot reads this document whole, and 100,000 full entries would be 20 MB.
    """
    return f'{{"rfilename":{encode_json(path)}}}'


def info_pieces(described: Mapping[str, Any], siblings: Iterable[str]) -> Iterator[bytes]:
    """The info document, piece by piece: what the upstream says of a repo, and its files in the order of paths.

    `siblings` are `joined` of `Entry.sibling`, of more than FULL_SIBLINGS files `joined` of `sibling_of`. DocumentError
    as of `Document.of_json`.
    """
    head = Document.of_json({**{key: described[key] for key in described if key != _SIBLINGS}, _SIBLINGS: []}).body
    yield head.removesuffix(b"]}")
    joint = ""
    for some in siblings:
        yield (joint + some).encode()
        joint = ","
    yield b"]}"


def joined(items: Iterable[str]) -> Iterator[str]:
    """The items of a list, many in one piece."""
    rest = iter(items)
    while some := [*islice(rest, _PIECE)]:
        yield ",".join(some)


def description(info: str) -> dict[str, Any]:
    """What an info document says beside its files; `info` is its beginning, up to them at the least. ValueError."""
    decoder, found, at = json.JSONDecoder(), dict[str, Any](), 1
    while info[at : at + 1] not in ("}", ""):
        key, at = decoder.raw_decode(info, at)
        if not isinstance(key, str):
            break
        if key == _SIBLINGS:
            return found
        found[key], at = decoder.raw_decode(info, at + 1)  # after a colon
        at += info[at : at + 1] == ","
    if not info.startswith("{") or at != len(info.rstrip()) - 1:
        raise ValueError("no info document")
    return found


def folder_of(path: str) -> dict[str, Any]:
    """A folder in the Hub's tree listing.

    Its `oid` is made from its path: the real tree id would change with every file below it (and rewrite the shards of
    all its parents), and would be wrong for a selection of files.
    """
    return {
        "type": "directory",
        "oid": hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest(),
        "path": path,
        "size": 0,
    }


def folder_line(path: str) -> str:
    """A folder as it stands in a shard."""
    return encode_json(folder_of(path))


def cut_shards(entries: Iterable[Entry]) -> Iterator[tuple[Shard, Document]]:
    """A listing in shards, each when it is whole: files and folders, in the order of their keys.

    UnsafePath when a name is both a file and a folder. No more than one shard is held.
    """
    lines: list[str] = []
    first, size, before = "", 0, ""
    for entry in entries:
        key = entry.key
        if key == before:
            raise UnsafePath(entry.path, "is a file and a folder at once")
        if lines and (begins_shard(key) or size >= FULL_SHARD):
            yield _shard(first, lines)
            lines = []
        if not lines:
            first, size = key, 0
        line = entry.line
        lines.append(line)
        size += len(line) if line.isascii() else len(line.encode())
        before = key
    yield _shard(first, lines)


def read_entries(body: bytes) -> list[Entry]:
    """The files of a shard, as `read_shard` gives them; one that this program wrote is read faster."""
    found = _our_entries(body.decode(errors="replace"))
    return [Entry.of(file) for file in read_shard(body)] if found is None else found


def _our_entries(shard: str) -> list[Entry] | None:
    """None where a line is not as `Entry.line` writes it."""
    if not (shard.startswith("[\n{") and shard.endswith("}\n]\n")) or "\ufffd" in shard:
        return None
    found = []
    for line in shard[2:-3].split(",\n"):
        match = _OUR_LINE.fullmatch(line)
        if match is not None:
            oid, size, path, pointer_size, sha256 = match.groups()
            pointer = None if pointer_size is None else int(pointer_size)
            found.append(Entry(sort_key(path), int(size), oid, sha256, pointer))
        elif _OUR_FOLDER.fullmatch(line) is None:
            return None
    return found


def read_shard(body: bytes) -> Iterator[MirroredFile]:
    """The files of a shard, folders left out. DocumentError when the bytes are no shard.

    Prune walks by it: what an entry of another kind refers to would count as unused.
    """
    try:
        for entry in json.loads(body.decode()):
            if entry["type"] == "file":
                lfs = entry.get("lfs")
                yield MirroredFile(
                    path=text(entry["path"]),
                    size=whole(entry["size"]),
                    oid=GitOid(entry["oid"]),
                    sha256=Sha256(entry["sha256"]),
                    pointer_size=None if lfs is None else whole(lfs["pointerSize"]),
                )
            elif entry["type"] != "directory":
                raise DocumentError(
                    f"a shard with an entry of type {entry['type']!r:.60}, which this program cannot read"
                )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DocumentError(f"not a shard document: {in_brief(error)}") from error


def _one_line(error: Exception) -> str:
    """An error's own words, which may repeat what could not be written, in plain ASCII."""
    return ascii(str(error))[1:-1]


def begins_shard(key: str) -> bool:
    """Whether a listing is cut before this key, wherever it stands."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % ENTRIES_PER_SHARD == 0


def _shard(first: str, lines: Iterable[str]) -> tuple[Shard, Document]:
    document = Document.of(("[\n" + ",\n".join(lines) + "\n]\n").encode())
    return Shard(first, document.digest), document
