"""What changed between two mirrored snapshots of a repo: a pure comparison of two manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mirror_sync.domain.content.manifest import Manifest, MirroredFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo


class ChangeKind(StrEnum):
    """What became of a file between two snapshots."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that does not hold the same bytes in both; `before` or `after` is None where it is not there at all."""

    path: str
    before: MirroredFile | None
    after: MirroredFile | None

    @property
    def turn(self) -> ChangeKind:
        """What became of it, by the sides on which it is."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED

    @property
    def growth(self) -> int:
        """Bytes; negative where the file shrank or left."""
        return (self.after.size if self.after else 0) - (self.before.size if self.before else 0)

    def encode(self) -> dict[str, Any]:
        """An entry of `changes` in the document of `diff --json`; sizes in bytes."""
        sides = {"before": self.before, "after": self.after}
        seen = {name: file and {"size": file.size, "sha256": file.sha256} for name, file in sides.items()}
        return {"path": self.path, "state": self.turn, **seen}


@dataclass(frozen=True, slots=True)
class AttachmentChange:
    """An attachment that is not the same blob in both roots; None where one has none of that name."""

    name: str
    before: Sha256 | None
    after: Sha256 | None

    def encode(self) -> dict[str, str | None]:
        """As it stands in the document of `diff --json`."""
        return {"name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Difference:
    """From commit `before` to commit `after` of a repo; `same` counts the files that hold the same bytes in both.

    `attachments` are no files of the repo: they count nowhere else.
    """

    repo: Repo
    before: CommitId
    after: CommitId
    changes: tuple[FileChange, ...]
    same: int
    attachments: tuple[AttachmentChange, ...] = ()

    @property
    def growth(self) -> int:
        """Bytes."""
        return sum(change.growth for change in self.changes)

    def count(self, turn: ChangeKind) -> int:
        """How many files this became of."""
        return sum(change.turn is turn for change in self.changes)

    def encode(self) -> dict[str, Any]:
        """The document of `diff --json`; sizes in bytes. `attachments` only where some differ."""
        attachments = {"attachments": [change.encode() for change in self.attachments]} if self.attachments else {}
        return {
            "repo": str(self.repo),
            "before": self.before,
            "after": self.after,
            "same_files": self.same,
            "growth_bytes": self.growth,
            "changes": [change.encode() for change in self.changes],
            **attachments,
        }


def changes(before: Manifest, after: Manifest) -> Iterator[FileChange]:
    """The paths whose bytes differ, in order."""
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None or new is None or old.sha256 != new.sha256:
            yield FileChange(path, old, new)


def attachment_changes(before: Mapping[str, Sha256], after: Mapping[str, Sha256]) -> Iterator[AttachmentChange]:
    """The attachments of two roots that differ, in the order of their names."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield AttachmentChange(name, before.get(name), after.get(name))
