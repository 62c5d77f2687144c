"""What an export and an import of a bundle came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part of a bundle: its size in bytes, and the SHA-256 of its bytes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What is in a bundle: `repos` as people write them; `blobs` and their `bytes`, those in pieces once.

    `needs`: blobs that the receiver must have already. `resumed` parts are of an earlier, interrupted call, and of
    these so many were `carried` away since. `signer` is the fingerprint of the key, None for no signature.
    """

    folder: str
    target: str
    repos: tuple[str, ...]
    parts: tuple[WrittenPart, ...]
    blobs: int
    bytes: int
    needs: int
    signer: str | None
    resumed: int = 0
    carried: int = 0

    def encode(self) -> dict[str, Any]:
        """The document of `export --json`."""
        return asdict(self)


class Imported(StrEnum):
    """What became of a repo of a bundle."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"  # taken down where the bundle comes from, and here by that
    KEPT_DOWN = "kept-down"  # by a person here: nothing of it was published
    OLDER = "older"  # than what was imported before: refused
    INCOMPLETE = "incomplete"  # blobs are not here; what there was before stays
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImportedRepo:
    """A repo of a bundle. `snapshots` are those that were published now; `why` is empty where there is nothing to say.

    `kept` names what the bundle would have moved, and stays as a person set it here.
    """

    repo: str
    outcome: Imported
    snapshots: int = 0
    kept: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: `blobs` and their `bytes` were brought now, `there` blobs of its parts were here before.

    `signer`: who has signed the bundle; None where nobody's signature was looked at. `problems` are sentences: which
    part, which file, what to bring.
    """

    folder: str
    target: str
    signer: str | None
    repos: tuple[ImportedRepo, ...]
    blobs: int
    bytes: int
    there: int
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all of the bundle is published, but for what a person here has decided."""
        bad = (Imported.OLDER, Imported.INCOMPLETE, Imported.FAILED)
        return not self.problems and all(one.outcome not in bad for one in self.repos)

    def encode(self) -> dict[str, Any]:
        """The document of `import --json`."""
        return {"ok": self.ok, **asdict(self)}
