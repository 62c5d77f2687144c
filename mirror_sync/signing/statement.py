"""The statement of a repo: what a mirror says, and signs, that it publishes of it.

    {"repo": "org/name", "serial": 1767225600, "issued": "2026-01-01T00:00:00Z",
     "refs": {"names": {"refs/heads/main": "<commit>"}, "channels": {"<name>": "<commit>"},
              "snapshots": {"<commit>": {"root": "<SHA-256>", "sums": "<SHA-256 of SHA256SUMS>"}}},
     "audit": {"machine": "...", "seq": 12, "sha256": "..."}}

A refs.json names it and its signature as attachments, and is put after them: so a bucket that lies cannot pair names,
commits and snapshots as the mirror never did. `serial` grows by one with each refs.json of the repo that is signed. The
first one is the time in seconds: who has none before it, as after a loss, is higher than whatever was. A snapshot that
has no signed sums has no `sums`. `audit` is the head of the mirror's audit chain, null where it has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_sync.domain.audit_record import AuditHead
from mirror_sync.domain.bounds import text, whole
from mirror_sync.domain.content.document_format import exactly, in_brief
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, HEAD, OURS, Refs
from mirror_sync.domain.content.snapshot import encode_json
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.errors import SigningError


@dataclass(frozen=True, slots=True)
class StatedSnapshot:
    """What is stated of a commit: its root, and its SHA256SUMS where that is signed."""

    root: Sha256
    sums: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is published of a repo, as its mirror says; `issued` in ISO 8601."""

    repo: str
    serial: int
    issued: str
    names: Mapping[str, CommitId] = field(default_factory=dict)
    channels: Mapping[str, CommitId] = field(default_factory=dict)
    snapshots: Mapping[CommitId, StatedSnapshot] = field(default_factory=dict)
    audit: AuditHead | None = None

    def agrees(self, refs: Refs) -> bool:
        """Whether it says of names and snapshots what a refs.json says."""
        roots = {commit: stated.root for commit, stated in self.snapshots.items()}
        return (self.names, self.channels, roots) == (names_of(refs), refs.channels, refs.snapshots)

    def commit_of(self, revision: str) -> CommitId | None:
        """What a channel, a branch, a tag, a full name or a commit id stands for: the mirror's own names first."""
        if CommitId.matches(revision):
            return CommitId(revision) if revision in self.snapshots else None
        ours = self.channels.get(revision.removeprefix(OURS))
        if ours in self.snapshots:
            return ours
        asked = DEFAULT_BRANCH if revision == HEAD else revision
        full = (asked, f"refs/heads/{asked}", f"refs/tags/{asked}")
        return next((self.names[name] for name in full if name in self.names), None)

    def encode(self) -> bytes:
        """As it is signed."""
        document = {
            "repo": self.repo,
            "serial": self.serial,
            "issued": self.issued,
            "refs": {
                "names": dict(sorted(self.names.items())),
                "channels": dict(sorted(self.channels.items())),
                "snapshots": {commit: _stated(one) for commit, one in sorted(self.snapshots.items())},
            },
            "audit": None
            if self.audit is None
            else {"machine": self.audit.machine, "seq": self.audit.seq, "sha256": self.audit.sha256},
        }
        return f"{encode_json(document)}\n".encode()

    @classmethod
    def decode(cls, body: bytes) -> Statement:
        """SigningError for what is no statement; keys that a later program adds are passed over."""
        try:
            document = json.loads(body.decode())
            refs, audit = document["refs"], document["audit"]
            return cls(
                repo=text(document["repo"]),
                serial=whole(document["serial"]),
                issued=text(document["issued"]),
                names=_commits(refs["names"]),
                channels=_commits(refs["channels"]),
                snapshots={CommitId(commit): _read(one) for commit, one in refs["snapshots"].items()},
                audit=None
                if audit is None
                else AuditHead(text(audit["machine"]), whole(audit["seq"]), Sha256(audit["sha256"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SigningError(f"not a statement: {in_brief(error)}") from None


def names_of(refs: Refs) -> dict[str, CommitId]:
    """Full names and their commits."""
    return {ref.ref: ref.target for ref in refs.refs}


def _stated(one: StatedSnapshot) -> dict[str, str]:
    return {"root": one.root} if one.sums is None else {"root": one.root, "sums": one.sums}


def _read(document: Any) -> StatedSnapshot:
    known = exactly(document, ("root",), ("sums",))
    return StatedSnapshot(Sha256(known["root"]), Sha256(known["sums"]) if "sums" in known else None)


def _commits(document: Mapping[str, Any]) -> dict[str, CommitId]:
    return {text(name): CommitId(commit) for name, commit in document.items()}
