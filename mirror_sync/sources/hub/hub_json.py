"""The Hub's JSON, which may be anything, as domain values. One of UNREADABLE for what does not fit.

Shapes: https://huggingface.co/.well-known/openapi.json and huggingface_hub.hf_api.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScanResult
from mirror_sync.domain.policy.terms import Terms, terms_from_card
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.sources.json_values import check_plain

_NAMES = ("_id", "id", "modelId")
_COMMON = ("author", "cardData", "createdAt", "disabled", "gated", "lastModified", "private", "sha", "tags")
PROPERTIES: Mapping[Kind, tuple[str, ...]] = {
    Kind.MODEL: (
        *_COMMON,
        *("config", "gguf", "library_name", "mask_token", "model-index", "pipeline_tag"),
        *("safetensors", "transformersInfo", "widgetData"),
    ),
    Kind.DATASET: (*_COMMON, "citation", "description", "paperswithcode_id"),
    Kind.SPACE: (*(name for name in _COMMON if name != "gated"), "datasets", "models", "sdk"),
    Kind.KERNEL: (),  # the Hub gives all that it knows, and refuses to be asked for less
}
"""What we ask of a repo, in lists and alone: all that clients want in an info answer, and no counters."""
_KEPT = {kind: (*_NAMES, *_COMMON, *asked) for kind, asked in PROPERTIES.items()}
_HEADS = ("cardData", "disabled", "gated", "private", "sha", "tags")
UNREADABLE = (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError)
_GROUPS = ("branches", "tags", "converts")  # of refs
_NOT_DESCRIBED = {"sha"}  # the front answers it from the revision that is asked of it
_VALUES = 2_000_000  # of one answer; a page has a thousand entries
_LARGEST_FILE = 2**63 - 1  # bytes; file systems and stores count no further
_T = TypeVar("_T")


def json_of(body: bytes) -> Any:
    """An answer's JSON. ValueError, RecursionError: NaN and Infinity are no JSON (RFC 8259, 6).

    In memory a value takes many times its bytes, so that their number is bounded, too.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > _VALUES:
        raise ValueError(f"an answer of more than {_VALUES:,} values")
    return json.loads(body, parse_constant=_refuse)


def heads_asked(kind: Kind) -> tuple[str, ...]:
    """What we ask of repos in a list that shall only tell which of them have moved."""
    return tuple(name for name in _HEADS if name in PROPERTIES[kind])


def items_of(answer: Any) -> list[Any]:
    """A page of a list."""
    return _typed(answer, list)


def resolved_of(asked: Repo, item: Any) -> Resolved:
    """A repo's info answer, alone or out of a list."""
    item = _ungated(asked, _typed(item, dict))
    described = {name: item[name] for name in _KEPT[asked.kind] if name in item and name not in _NOT_DESCRIBED}
    check_plain(described)
    return Resolved(
        queried=asked,
        canonical=Repo(asked.kind, _text(item["id"])),
        commit=CommitId(_text(item["sha"])),
        terms=_terms_of(item),
        described=described,
    )


def head_of(asked: Repo, item: Any) -> Resolved:
    """An item of a list, without its description. Light: there may be very many, most with equal terms."""
    item = _ungated(asked, _typed(item, dict))
    name = _text(item["id"])
    current = asked if name == asked.id else Repo(asked.kind, name)
    return Resolved(asked, current, CommitId(_text(item["sha"])), _once(_terms_of(item)), _NOTHING)


def _ungated(asked: Repo, item: dict[str, Any]) -> dict[str, Any]:
    """The Hub has no gate for spaces, and refuses to be asked of one: there its silence means that there is none."""
    return {**item, "gated": False} if asked.kind is Kind.SPACE else item


@lru_cache(maxsize=1024)
def _once(terms: Terms) -> Terms:
    """The same value for all that are equal."""
    return terms


_NOTHING: Mapping[str, Any] = {}


def file_of(entry: Any) -> RemoteFile | None:
    """An entry of a tree listing, None for a folder. UnsafePath for a name that must not be published."""
    if type(entry) is not dict:
        raise TypeError(f"dict expected, got {_shown(entry)}")
    kind = entry["type"]
    if kind != "file":
        if kind == "directory":
            return None
        raise ValueError(f"an entry of type {_shown(_text(kind))}, neither a file nor a folder")
    path, size, oid, lfs = entry["path"], entry["size"], entry["oid"], entry.get("lfs")
    if type(size) is not int or not 0 <= size <= _LARGEST_FILE:
        size = _size(size)
    if lfs is None:
        return RemoteFile(_typed(path, str), size, GitOid(_typed(oid, str)))
    if _size(_typed(lfs, dict)["size"]) != size:
        raise ValueError(f"a file of {size} bytes whose LFS object has {lfs['size']}")
    return RemoteFile(
        path=_typed(path, str),
        size=size,
        oid=GitOid(_typed(oid, str)),
        sha256=Sha256(_text(lfs["oid"])),
        pointer_size=_size(lfs["pointerSize"]),
    )


def order_of(path: str) -> bytes:
    """Sorts what lies in a folder right after what has its name. Paths have no NUL."""
    return path.encode().replace(b"/", b"\0")


def path_in_order(key: bytes) -> str:
    """The path of an `order_of`."""
    return key.replace(b"\0", b"/").decode()


def file_and_folder(ordered: Iterable[bytes]) -> str | None:
    """A path that is a file's and, at once, the folder of another: no disk can hold both; `ordered` as `order_of`."""
    doubled = (path for path, following in pairwise(ordered) if following.startswith(path + b"\0"))
    return next(map(path_in_order, doubled), None)


def scan_of(entry: Any) -> ScannedFile | None:
    """What the Hub's scanners say of a file of an expanded tree listing; None for a folder.

    `status` sums up what each of them says; the worst word of any counts. A word that is not known here is not clean.
    """
    entry = _typed(entry, dict)
    if entry.get("type") == "directory":
        return None
    path, told = _text(entry["path"]), entry.get("securityFileStatus")
    if told is None:
        return ScannedFile(path, ScanResult.NOT_SCANNED, "not yet scanned")
    told = _typed(told, dict)
    by = {"all": told["status"]} | {
        name: one["status"] for name, one in told.items() if isinstance(one, dict) and "status" in one
    }
    said = {name: (_scan_result(word), _text(word)) for name, word in by.items()}
    found = {name: one for name, one in said.items() if one[0].found}
    name, (result, word) = max((found or {"all": said["all"]}).items(), key=lambda one: _WORST.index(one[1][0]))
    return ScannedFile(path, result, "" if result is ScanResult.CLEAN else f"{name}: {word}")


def repo_scan_of(answer: Any) -> RepoScan:
    """An answer of `/scan`: `{"scansDone": true, "filesWithIssues": [{"path": "x.bin", "level": "unsafe"}]}`."""
    answer = _typed(answer, dict)
    done = answer["scansDone"]
    if not isinstance(done, bool):
        raise TypeError(f"scansDone is true or false, not {_shown(done)}")
    issues = [_typed(one, dict) for one in _typed(answer["filesWithIssues"], list)]
    levels = [(_text(one["path"]), _text(one["level"])) for one in issues]
    return RepoScan(done, {path: ScannedFile(path, _scan_result(word), f"/scan: {word}") for path, word in levels})


@dataclass(frozen=True, slots=True)
class RepoScan:
    """What the Hub says of the newest commit of a repo: whether all of it is scanned, and each file with an issue."""

    done: bool
    issues: Mapping[str, ScannedFile]

    def beside(self, said: ScannedFile) -> ScannedFile:
        """The worse of what is said of a file itself and of the repo: what is not scanned as a whole is not clean."""
        told = self.issues.get(said.path, ScannedFile(said.path, ScanResult.CLEAN))
        if not self.done and told.result is ScanResult.CLEAN:
            told = ScannedFile(said.path, ScanResult.NOT_SCANNED, "/scan: the repo is not scanned to its end")
        return max(said, told, key=lambda one: _WORST.index(one.result))  # of two that are as bad, what the file says


def _scan_result(word: Any) -> ScanResult:
    """Source: https://huggingface.co/docs/hub/security-malware, and what its answers hold."""
    return _SCANS.get(_text(word), ScanResult.FAILED)


_WORST = (ScanResult.CLEAN, ScanResult.NOT_SCANNED, ScanResult.FAILED, ScanResult.SUSPICIOUS, ScanResult.DANGEROUS)
_SCANS = {
    **dict.fromkeys(("safe", "innocuous"), ScanResult.CLEAN),
    **dict.fromkeys(("suspicious", "caution"), ScanResult.SUSPICIOUS),
    **dict.fromkeys(("unsafe", "dangerous", "infected"), ScanResult.DANGEROUS),
    **dict.fromkeys(("unscanned", "queued", "scanning", "pending"), ScanResult.NOT_SCANNED),
}


def refs_of(answer: Any) -> tuple[Ref, ...]:
    """The branches, tags and conversions of a repo."""
    groups = _typed(answer, dict)
    return tuple(ref_of(group, entry) for group in _GROUPS for entry in _typed(groups[group], list))


def ref_of(group: str, entry: Any) -> Ref:
    """A branch, a tag or a conversion, whatever it is called; `group` is the list it stands in."""
    entry = _typed(entry, dict)
    return Ref(group, _typed(entry["name"], str), _typed(entry["ref"], str), CommitId(_text(entry["targetCommit"])))


def commits_of(answer: Any, most: int) -> tuple[Commit, ...]:
    """A repo's history, newest first, at most so many."""
    return tuple(commit_of(item) for item in _typed(answer, list)[:most])


def commit_of(item: Any) -> Commit:
    """An entry of a repo's history."""
    item = _typed(item, dict)
    authors = item.get("authors")
    return Commit(
        id=CommitId(_text(item["id"])),
        title=_text(item["title"]),
        date=_text(item["date"]),
        message=_text(item.get("message") or ""),
        authors=tuple(_text(_typed(author, dict)["user"]) for author in _typed(authors or [], list)),
    )


def _terms_of(item: dict[str, Any]) -> Terms:
    """We ask for all of these: what an answer leaves out, or gives as null, is not known, rather than not so.

    The Hub leaves the card out of a repo that has none; it gives tags of every repo.
    """
    card, tags = item.get("cardData"), item.get("tags")
    silent = card is None and tags is None
    return terms_from_card(
        _typed(card if card is not None else {}, dict),
        [_text(tag) for tag in _typed(tags if tags is not None else [], list)],
        gated=_flag(item.get("gated")),
        private=_flag(item.get("private")),
        disabled=bool(item.get("disabled")),
        unread="the upstream's answer has neither cardData nor tags" if silent else "",
    )


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{kind.__name__} expected, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _text(value: Any) -> str:
    text = _typed(value, str)
    text.encode()  # JSON can name half of a character, which nothing can write: UnicodeEncodeError is a ValueError
    return text


def _size(value: Any) -> int:
    size = _typed(value, int)
    if not 0 <= size <= _LARGEST_FILE:
        raise ValueError("a size that no file has")
    return size


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
