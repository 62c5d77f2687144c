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
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from mirror_sync.domain.bounds import short, text, texts, whole, words
from mirror_sync.domain.content.document_format import FORMAT, bounded, exactly, few, format_of, in_brief, word
from mirror_sync.domain.content.manifest import Manifest, MirroredFile
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.errors import DocumentError, UnsafePath

ENTRIES_PER_SHARD = 400  # on average; see docs/design/decisions/0002-shards.md
FULL_SHARD = 4 * 1024 * 1024  # bytes, after which a shard ends whatever its paths say
FULL_SIBLINGS = 5000  # files; see `siblings`
MOST_VERDICTS = MOST_ATTACHMENTS = 256
LONGEST_REASON = 4096  # characters of a verdict
_KEYS = (
    *("format", "repo", "commit", "last", "info", "commits", "selection", "verdicts", "attachments"),
    *("files", "bytes", "shards"),
)
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # dumps would make one a call


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes that are named by their digest."""

    body: bytes
    digest: Sha256

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
    return (Verdict("license", Outcome(document["outcome"]), text(document["reason"])),)


def read_verdicts(documents: Sequence[Any]) -> tuple[Verdict, ...]:
    """Verdicts as they were kept. TypeError, KeyError, ValueError for anything else."""
    items = (exactly(one, ("rule", "outcome", "reason")) for one in few(documents, MOST_VERDICTS))
    return tuple(
        Verdict(word(one["rule"]), Outcome(one["outcome"]), bounded(one["reason"], LONGEST_REASON)) for one in items
    )


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
    return quote(path, safe="/")


def encode_json(value: Any) -> str:
    """Compact JSON, in raw UTF-8, as JavaScript's JSON.stringify writes it. ValueError for NaN and Infinity."""
    return _COMPACT.encode(value)


def entry_of(file: MirroredFile) -> dict[str, Any]:
    """A file in the Hub's tree listing; no `xetHash`, since a client that sees one asks for what no bucket speaks."""
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": file.path}
    if file.pointer_size is not None:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry | {"sha256": file.sha256}


def siblings(manifest: Manifest) -> list[dict[str, Any]]:
    """The files in the Hub's info answer, as with `?blobs=true`; of a very large repo their names alone.

    Every client that lists a snapshot reads this document whole, and 100,000 full entries would be 20 MB.
    """
    if len(manifest) > FULL_SIBLINGS:
        return [{"rfilename": path} for path in sorted(manifest)]
    return [_sibling(manifest[path]) for path in sorted(manifest)]


def _sibling(file: MirroredFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.oid}
    if file.pointer_size is not None:
        entry["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


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


def cut_shards(manifest: Manifest) -> Iterator[tuple[Shard, Document]]:
    """The listing of a manifest, folders included, in shards. UnsafePath when a name is both a file and a folder."""
    entries = sorted((sort_key(path), path) for path in {*manifest, *_folders(manifest)})
    lines: list[bytes] = []
    first, size = "", 0
    for key, path in entries:
        if lines and (_begins_shard(key) or size >= FULL_SHARD):
            yield _shard(first, lines)
            lines = []
        if not lines:
            first, size = key, 0
        file = manifest.get(path)
        lines.append(encode_json(folder_of(path) if file is None else entry_of(file)).encode())
        size += len(lines[-1])
    yield _shard(first, lines)


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


def _folders(manifest: Manifest) -> set[str]:
    folders: set[str] = set()
    for path in manifest:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    for path in folders & manifest.keys():
        raise UnsafePath(path, "is a file and a folder at once")
    return folders


def _begins_shard(key: str) -> bool:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % ENTRIES_PER_SHARD == 0


def _shard(first: str, lines: Iterable[bytes]) -> tuple[Shard, Document]:
    document = Document.of(b"[\n" + b",\n".join(lines) + b"\n]\n")
    return Shard(first, document.digest), document
