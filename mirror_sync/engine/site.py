"""What the engine is given: sources, targets, a clock, a way to stop, somebody to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from mirror_sync.domain.events import Observer
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import Interrupted
from mirror_sync.ports import ContentIndex, Source, Store


@dataclass(frozen=True, slots=True)
class Target:
    """Where jobs publish. `lock` orders the writers of one repo on this machine."""

    name: str
    store: Store
    index: ContentIndex
    lock: Callable[[Repo], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Site:
    """`stop` asks every loop to end early; `memory` bounds the bytes of file content held at once."""

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    tell: Observer
    clock: Callable[[], datetime]
    stop: threading.Event
    memory: int = 160 * 1024 * 1024

    def go_on(self) -> None:
        """Raise Interrupted when the run was asked to stop."""
        if self.stop.is_set():
            raise Interrupted("stopped before the end")

    def now(self) -> str:
        """ISO 8601 in UTC, in seconds."""
        return self.clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
