"""A mirror from a folder into a directory or a bucket, as jobs.yaml has it; its audit; and a run that dies."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import Actor, ActorKind, AuditRecord
from mirror_sync.domain.content.keys import AUDIT, HUB
from mirror_sync.domain.outcome.events import Event, RepoFinished
from mirror_sync.domain.outcome.report import PruneReport, RepoReport, VerifyReport
from mirror_sync.engine.upkeep.verify import Scope
from mirror_sync.ports.store import Store
from mirror_sync.wiring.program import Mirror

ALICE = Actor(ActorKind.USER, "alice@host")
CARD = "---\nlicense: {}\n---\n"


@dataclass
class Works:
    """One machine: its state folder below `folder`, its jobs.yaml, and the target that it shares with others."""

    folder: Path
    target: dict[str, Any]
    upstream: Path
    more: dict[str, Any] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)

    def repo(self, name: str, text: str = "", license_id: str = "mit") -> None:
        """A repo of the upstream with a card, and a commit more where its text changes."""
        place = self.upstream / "acme" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "README.md").write_text(f"{CARD.format(license_id)}{text}", encoding="utf-8")

    def write(self, **more: Any) -> Path:
        """The jobs.yaml of this machine."""
        document = {
            "version": 1,
            "state_dir": str(self.folder / "state"),
            "upstreams": {"local": {"kind": "directory", "url": str(self.upstream)}},
            "targets": {"it": self.target},
            "licenses": {"allow": ["mit"], "review": ["gemma"]},
            "site": {"enabled": False},
            "jobs": [{"name": "a", "repos": ["acme/*"], "retention": {"snapshots": 1, "days": 0}}],
            **self.more,
            **more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def open(self, observers: Sequence[Callable[[Event], None]] = ()) -> Mirror:
        """The mirror, as a new process has it."""
        return Mirror(load(self.folder / "jobs.yaml", {}), (self.told.append, *observers))

    def sync(self, actor: Actor = ALICE) -> dict[str, RepoReport]:
        """By the repos' names."""
        with closing(self.open()) as mirror:
            return {one.repo.removeprefix("acme/"): one for one in mirror.sync(actor).repos}

    def wait(self) -> None:
        """Until what comes is later by the target's clock: a bucket's has seconds."""
        time.sleep(1.1 if "endpoint_url" in self.target else 0)

    def prune(self) -> PruneReport:
        self.wait()
        with closing(self.open()) as mirror:
            return mirror.prune(ALICE)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        with closing(self.open()) as mirror:
            return mirror.verify(ALICE, Scope(repair=repair))

    def acts(self) -> tuple[AuditRecord, ...]:
        with closing(self.open()) as mirror:
            return mirror.audit.acts("it").records

    def done(self) -> list[str]:
        """Verbs and repos, in order."""
        return [f"{one.act.verb} {one.act.repo.removeprefix('acme/')}".rstrip() for one in self.acts()]

    def faults(self) -> tuple[str, ...]:
        with closing(self.open()) as mirror:
            return mirror.audit.prove("it").faults

    @property
    def store(self) -> Store:
        return self.open()._context().targets["it"].store

    def segments(self) -> list[str]:
        """Keys of the audit."""
        return sorted(stat.key for stat in self.store.list(AUDIT))

    def published(self) -> int:
        return sum(stat.key.endswith("refs.json") for stat in self.store.list(HUB))


def die_after(config: str, count: str) -> None:
    """Sync, and be killed when so many repos are published: no `finally`, no `atexit`, as by the kernel."""
    left = int(count)

    def watch(event: Event) -> None:
        nonlocal left
        if isinstance(event, RepoFinished):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    Mirror(load(Path(config), {}), (watch,)).sync(ALICE)


if __name__ == "__main__":
    die_after(*sys.argv[1:])
