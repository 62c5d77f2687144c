"""The deletion guard: an upstream that suddenly lists much less is not believed before a person has looked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mirror_sync.domain.manifest import MirroredFile, RemoteFile


@dataclass(frozen=True, slots=True)
class Guard:
    """How much of a published snapshot a new commit may remove: a share of its files, 1 being any.

    Files are counted, not bytes: a listing that was cut short lacks files, while a model that drops one format of its
    weights for another loses most of its bytes in good health. A file that only moved is not removed.
    """

    max_removed: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.max_removed <= 1:
            raise ValueError(f"guard.max_removed is a share from 0% to 100%, not {self.max_removed!r}")

    def objection(
        self, published: Collection[MirroredFile], desired: Collection[RemoteFile | MirroredFile], *, listed: int
    ) -> str:
        """Why the desired files must not replace the published ones; empty when they may.

        Both were selected alike. `listed` counts all files of the new commit, before any selection.
        """
        if self.max_removed >= 1 or not published:
            return ""
        if not listed:
            return f"it lists no file, where {len(published)} are published; guard.max_removed is {self}"
        removed = _removed(published, desired)
        if removed <= self.max_removed * len(published):
            return ""
        return f"it removes {removed} of {len(published)} published files; guard.max_removed is {self}"

    def __str__(self) -> str:
        return f"{self.max_removed * 100:g}%"


def _removed(published: Collection[MirroredFile], desired: Collection[RemoteFile | MirroredFile]) -> int:
    paths, contents = {file.path for file in desired}, {file.promise for file in desired}
    return sum(file.path not in paths and file.promise not in contents for file in published)
