"""Why a repo was taken down, by whom and when: a document that its refs.json names in the place of all snapshots.

    {"at": "2026-11-20T08:00:00Z", "by": "jane", "why": "a licence that was withdrawn"}

with `"closed": true` of a repo that its upstream gave to some people only; and the lists of digests that are given to
nobody while their blobs are being removed: one a line, sorted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import bounded, exactly, in_brief
from mirror_sync.domain.content.snapshot import encode_json
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError

LONGEST_WHY = 1000  # characters
LONGEST_BY = 200


@dataclass(frozen=True, slots=True)
class Tombstone:
    """`at` in ISO 8601; `by` is empty where nobody is named. `closed`: not everybody may hear of it."""

    at: str
    why: str
    by: str = ""
    closed: bool = False

    @property
    def said(self) -> str:
        """In words, to whoever asks for the repo."""
        return f"taken down on {self.at[:10]}{f' by {self.by}' if self.by else ''}: {self.why}"

    def encode(self) -> bytes:
        """DocumentError for words that are too long, or that no file can hold."""
        try:
            bounded(self.why, LONGEST_WHY)
            bounded(self.by, LONGEST_BY)
            said: dict[str, object] = {"at": self.at, "by": self.by, "why": self.why}
            return encode_json(said | ({"closed": True} if self.closed else {})).encode()
        except ValueError as error:
            raise DocumentError(f"cannot be written as a tombstone: {in_brief(error)}") from error

    @classmethod
    def decode(cls, body: bytes) -> Tombstone:
        """DocumentError when the bytes are no tombstone."""
        try:
            known = exactly(json.loads(body.decode()), ("at", "by", "why"), ("closed",))
            said = text(known["at"]), bounded(known["why"], LONGEST_WHY), bounded(known["by"], LONGEST_BY)
            return cls(*said, closed="closed" in known)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a tombstone: {in_brief(error)}") from error


def withdrawn_reason(said: str, repo: Repo) -> str:
    """Why a job does not bring what was taken down, in these words, and what lets it come back."""
    return f"{said}; mirror-sync restore {repo} lets it come back"


def encode_withdrawn(digests: Iterable[Sha256]) -> bytes:
    """A list of digests that are given to nobody."""
    return "".join(f"{digest}\n" for digest in sorted(digests)).encode()


def decode_withdrawn(body: bytes) -> frozenset[Sha256]:
    """DocumentError when the bytes are no list of digests."""
    try:
        return frozenset(Sha256(line) for line in body.decode("ascii").splitlines())
    except ValueError as error:
        raise DocumentError(f"not a list of digests: {in_brief(error)}") from error
