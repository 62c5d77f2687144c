"""What is known of a replica: the word that it holds of itself, and how far it is, as whoever copies to it knows.

    site/replica.json    {"format": 1, "published": "2026-11-20T08:00:00Z", "copy": "5f0c..."}

All that the target had published up to `published` is in the replica; fronts say so by the header X-Mirror-Published.
`copy` is a word of the machine that copies: where another one stands here, or none, somebody else has written the
replica, or taken of it, and nothing that was remembered of it is believed.

    replicas/<name>/<kinds>/<org--name>.json    {"format": 1, "roots": ["5f0c..."]}

lies in the target, where readers have a front over the replica, too: the snapshots of a repo that are there, by the
SHA-256 of their roots. It is written after what it tells of, and shortened before that goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mirror_sync.domain.bounds import text, whole
from mirror_sync.domain.content.document_format import in_brief
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, NewerFormat

MARK = site_key("replica.json")
PUBLISHED_HEADER = "X-Mirror-Published"
STATUS = "status"  # the name by which a status is remembered
LARGEST_MARK = 4096  # bytes
_FORMAT = 1
_TIME = re.compile(r"[0-9TZ:.-]{16,32}")  # as njs takes it for a header


@dataclass(frozen=True, slots=True)
class ReplicaMark:
    """`published` in ISO 8601, UTC."""

    published: str
    copy: str

    def encode(self) -> bytes:
        """The document."""
        said = {"format": _FORMAT, "published": self.published, "copy": self.copy}
        return json.dumps(said, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, body: bytes) -> ReplicaMark:
        """DocumentError for what is none; NewerFormat for one of another format."""
        try:
            known = json.loads(body.decode())
            if whole(known["format"]) != _FORMAT:
                raise NewerFormat(f"a replica.json of format {known['format']}: a newer mirror-sync wrote it")
            found = cls(text(known["published"]), text(known["copy"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a replica.json: {in_brief(error)}") from error
        if _TIME.fullmatch(found.published) is None or moment(found.published) is None:
            raise DocumentError("not a replica.json: its time is none")
        return found


@dataclass(frozen=True, slots=True)
class ReplicaFront:
    """Where readers find a replica: `url` without a slash at its end. `name` is the replica's."""

    name: str
    url: str

    def files_of(self, repo: Repo) -> str:
        """Where all revisions of a repo have their files there."""
        return f"{self.url}/{repo.kind.place}{repo.id}/resolve/"


def encode_held(roots: Iterable[Sha256]) -> bytes:
    """What a replica has of a repo."""
    return json.dumps({"format": _FORMAT, "roots": sorted(roots)}, separators=(",", ":")).encode() + b"\n"


def decode_held(body: bytes) -> frozenset[Sha256]:
    """DocumentError for anything else; NewerFormat for one of another format."""
    try:
        known = json.loads(body.decode())
        if whole(known["format"]) != _FORMAT:
            raise NewerFormat(f"roots at a replica of format {known['format']}: a newer mirror-sync wrote it")
        return frozenset(Sha256(text(root)) for root in known["roots"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not the roots at a replica: {in_brief(error)}") from error


class ReplicaState(StrEnum):
    """How far a replica is, in a word."""

    CURRENT = "current"
    BEHIND = "behind"
    EMPTY = "empty"  # it has never held all


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """How far a replica is; times in ISO 8601, empty for never.

    `published`: all that the target had published up to then is there. `behind_since`: when something was found first
    that is not. `repos` and `snapshots` of the target are to be copied still, as far as was counted. `tried`: when it
    was last copied to; `reason`: why that came to no end, empty where it did. `copied_blobs` of `copied_bytes` went
    there then. `pruned`: the prune of the target that it has followed last.
    """

    target: str
    name: str
    published: str = ""
    behind_since: str = ""
    repos: int = 0
    snapshots: int = 0
    tried: str = ""
    reason: str = ""
    copied_blobs: int = 0
    copied_bytes: int = 0
    pruned: str = ""

    @property
    def state(self) -> ReplicaState:
        """In a word."""
        if not self.published:
            return ReplicaState.EMPTY
        return ReplicaState.BEHIND if self.behind_since else ReplicaState.CURRENT

    def seconds_behind(self, now: datetime) -> float:
        """For how long something has been published that is not there; 0 for nothing."""
        since = moment(self.behind_since)
        return 0.0 if since is None else max(0.0, (now - since).total_seconds())

    def document(self, now: datetime) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "state": self.state, "seconds_behind": round(self.seconds_behind(now))}

    def encode(self) -> bytes:
        """As it is remembered."""
        return json.dumps(asdict(self)).encode()

    def recalled(self, body: bytes | None) -> ReplicaStatus:
        """What was remembered of this very replica; itself where that cannot be read."""
        try:
            known: Mapping[str, Any] = json.loads(body or b"{}")
            kinds = {field.name: type(field.default) for field in fields(self) if field.name not in ("target", "name")}
            sound = {name: known[name] for name, kind in kinds.items() if isinstance(known.get(name), kind)}
            return replace(self, **sound)
        except (ValueError, TypeError, AttributeError):
            return self
