"""ModelScope's JSON, which may be anything, as domain values. One of UNREADABLE for what does not fit.

Shapes: modelscope_hub 0.5.1 (`_legacy_api`, `_openapi`, `types`), and answers of modelscope.cn that others published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mirror_sync.domain.content.manifest import OnUnproved, RemoteFile
from mirror_sync.domain.content.upstream import Commit
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.terms import Terms, terms_from_card
from mirror_sync.domain.repo import Repo
from mirror_sync.sources.json_values import check_plain

_EMPTY = Sha256.of(b"")
_SHORT = 8  # digits of a commit's id that a listing tells
_LICENSES = {"apache license 2.0": "apache-2.0", "mit license": "mit", "other": "other"}
"""Display names that are no id of the Hub in other letters, as the SDKs send them."""
_LARGEST = 2**63 - 1  # bytes


@dataclass(frozen=True, slots=True)
class ListingAnswer:
    """One answer of a listing: its entries, and what it tells of the newest commit; `total` None: it is not said."""

    entries: list[Mapping[str, Any]]
    committer: Mapping[str, Any]
    total: int | None = None

    @classmethod
    def of(cls, data: Any) -> ListingAnswer | None:
        """None where there are no files at all: a revision that is not there is answered so, as a success."""
        if isinstance(data, list):
            data = {"Files": data}
        if data is None or typed(data, dict).get("Files") is None:
            return None
        told, total = data.get("LatestCommitter"), data.get("TotalCount")
        entries = [typed(one, dict) for one in typed(data["Files"], list)]
        return cls(entries, told if isinstance(told, dict) else {}, total if isinstance(total, int) else None)

    @property
    def short(self) -> str:
        """How the newest commit's id begins, empty where that is not told."""
        for key in ("Id", "ShortId"):
            told = self.committer.get(key)
            if isinstance(told, str) and len(told) >= _SHORT:
                return told.lower()[: 40 if CommitId.matches(told.lower()) else _SHORT]
        return ""

    def head(self) -> CommitId | None:
        """The whole id of the newest commit: of one that changed a file that is listed here. None: not to be seen."""
        short = self.short
        if CommitId.matches(short):
            return CommitId(short)
        for entry in self.entries if short else ():
            own = entry.get("Revision")
            if isinstance(own, str) and own.startswith(short) and CommitId.matches(own):
                return CommitId(own)
        return None

    def newest(self, commit: CommitId) -> Commit | None:
        """The newest commit as the history has it; None where its time is not told."""
        told = self.committer
        date = date_of(told.get("CommittedDate", told.get("CreatedAt")))
        title = _text(told.get("Title") or told.get("Message") or "").strip()
        first = title.splitlines()[0] if title else "Update"
        author = _text(told.get("AuthorName") or told.get("CommitterName") or "")
        return Commit(commit, first, date, title, (author,) if author else ()) if date else None


@dataclass(frozen=True, slots=True)
class RepoInfo:
    """What `/openapi/v1/{kind}s/{owner}/{name}` tells of a repo."""

    id: str
    terms: Terms
    described: Mapping[str, Any]

    @classmethod
    def of(cls, asked: Repo, data: Any) -> RepoInfo:
        """As the Hub would describe it: a mirror of both answers for both."""
        data = typed(data, dict)
        name = _text(data.get("id") or asked.id)
        if "/" not in name:  # some answers have a number there
            name = asked.id
        license_id = _license(data.get("license"))
        own = data.get("tags")
        tags = [_text(one) for one in own if isinstance(one, str)] if isinstance(own, list) else []
        tags = [one for one in tags if not one.startswith("license:")]
        card = {"license": license_id} if license_id else {}
        gated, private = _flag(data.get("gated")), _flag(data.get("private"))
        described: dict[str, Any] = {
            "id": name,
            "author": name.partition("/")[0],
            "cardData": card,
            "disabled": False,
            "gated": "manual" if gated else gated,
            "private": private,
            "tags": [*tags, *([f"license:{license_id}"] if license_id else [])],
        }
        for key, told in (("lastModified", "last_modified"), ("createdAt", "created_at")):
            if date := date_of(data.get(told)):
                described[key] = date
        check_plain(described)
        unread = "" if "license" in data else "the upstream's answer has no license"
        terms = terms_from_card(card, (), gated=gated, private=private, unread=unread)
        return cls(name, terms, described)


def remote_file(entry: Mapping[str, Any], unproved: OnUnproved) -> RemoteFile | None:
    """An entry of a listing, None for a folder. UnsafePath for a name that must not be published."""
    kind = _text(entry["Type"])
    if kind == "tree":
        return None
    if kind != "blob":
        raise ValueError(f"an entry of type {kind[:40]!r}, neither a file nor a folder")
    path, size, told = _text(entry["Path"]), typed(entry["Size"], int), entry.get("Sha256")
    if not 0 <= size <= _LARGEST:
        raise ValueError("a size that no file has")
    if told:
        return RemoteFile.of_digest(path, size, Sha256(_text(told).lower()))
    if not size:
        return RemoteFile.of_digest(path, size, _EMPTY)
    return RemoteFile(path, size, GitOid(_text(entry["Revision"])), unproved=unproved)


def date_of(told: Any) -> str:
    """A time as the Hub writes it, ISO 8601 in UTC with milliseconds; empty for what is none. Numbers are seconds."""
    try:
        if isinstance(told, int) and not isinstance(told, bool) and told > 0:
            at = datetime.fromtimestamp(told, UTC)
        elif isinstance(told, str) and told:
            at = datetime.fromisoformat(told)
        else:
            return ""
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""


def typed(value: Any, kind: type[Any]) -> Any:
    """The value, if it is of that kind; TypeError."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{kind.__name__} expected, got a {type(value).__name__}")
    return value


def _license(told: Any) -> str:
    """The Hub's id of a licence, empty for none: all that are not in the table are ids in capitals."""
    name = _text(told).strip().lower() if told else ""
    return _LICENSES.get(name, name)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str:
    text: str = typed(value, str)
    text.encode()  # half a character is a ValueError
    return text
