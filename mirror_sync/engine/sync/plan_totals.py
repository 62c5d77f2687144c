"""What a plan brings to a target, all repos and jobs together: each content once, beside the room that there is."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.outcome.report import RepoOutcome, TargetPlan
from mirror_sync.domain.work import Task, TaskResult
from mirror_sync.engine.context import Target
from mirror_sync.engine.space import documents_of, not_begun, on_disk, with_spare
from mirror_sync.engine.stages import Change
from mirror_sync.errors import StoreError
from mirror_sync.scratch.spilled_map import SpilledMap


class Freight:
    """Safe for many threads: repos are planned side by side."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._claimed = SpilledMap()  # contents
        self._sizes: dict[tuple[str, str], tuple[int, int]] = {}  # by repo and revision: bytes, and snapshots kept
        self._files = self._bytes = self._room = self._documents = self._shared = 0

    def take(self, task: Task, planned: TaskResult | Change) -> Sequence[int]:
        """Count a repo in; returns the sizes of its files that come for it, and for none that was counted before."""
        if isinstance(planned, TaskResult):
            if planned.outcome is RepoOutcome.UNCHANGED:
                with self._lock:
                    self._publish(task, planned.size)
            return ()
        sizes = array("q")
        with self._lock:
            for _, file in planned.listing.fetch():
                if self._claimed.put(file.content.key):
                    sizes.append(file.size)
                    self._room += self._needed(file)
            self._files += len(sizes)
            self._bytes += sum(sizes)
            if self._publish(task, planned.size):
                self._shared += planned.plan.fetch_bytes - sum(sizes)
                self._documents += 0 if planned.root is not None else documents_of(planned.files)
        return sizes

    def _needed(self, file: RemoteFile) -> int:
        """Bytes of room."""
        return sum(on_disk(one.size) for one in not_begun(self._target.store, self._target.notes, [file]))

    def _publish(self, task: Task, size: int) -> bool:
        """Whether nobody has counted this revision of the repo here before."""
        key, versions = (str(task.repo), task.revision), task.job.retention.snapshots
        before = self._sizes.get(key)
        self._sizes[key] = (size, max(versions, before[1] if before else 0))
        return before is None

    def total(self) -> TargetPlan:
        """The sum of all, and the free space as it is now."""
        free, problem = None, ""
        try:
            free = self._target.store.free()
        except StoreError as error:
            problem = str(error)
        published = sum(size for size, _ in self._sizes.values()) - self._shared
        versions = max((kept for _, kept in self._sizes.values()), default=0)
        needed = with_spare(self._room) + self._documents
        return TargetPlan(self._target.name, self._files, self._bytes, needed, free, published, versions, problem)
