"""A daemon whose syncs last until they are stopped. Arguments: jobs.yaml, `polite` or `stubborn`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from mirror_sync.app.wishing import WantedVerdict
from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.daemon.service import run_daemon
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import Care, Tended
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.outcome.report import RepoStatus, RunReport
from mirror_sync.domain.outcome.tier_report import MovedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.observe.log.log import LineWriter, LogStyle, start_log
from mirror_sync.observe.redaction import Redaction
from mirror_sync.state.records import RunRecord


class SlowMirror:
    """Says on stdout what is asked of it."""

    def __init__(self, stop: threading.Event, polite: bool) -> None:
        self._stop = stop if polite else threading.Event()

    def sync(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
        *,
        anew: bool = False,
    ) -> RunReport:
        self._say(" ".join(["sync", *names, *sorted(map(str, repos or ()))]))
        self._stop.wait()
        self._say(f"ended {' '.join(names)}")
        return RunReport("run", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", (), interrupted=True)

    def tend(self, actor: Actor, care: Care) -> None:
        self._say(f"tend {care}")

    def keep_replicas(self) -> None:
        pass

    def watch_names(self, actor: Actor) -> float:
        return 3600.0

    def replica_states(self) -> tuple[ReplicaStatus, ...]:
        return ()

    def look_at_wanted(self, target: str, repo: Repo) -> WantedVerdict:
        raise LookupError("nobody asks")

    def note_asked(self, target: str, repo: Repo) -> None:
        """Nothing was let go of."""

    def is_cold(self, target: str, digest: Sha256) -> bool:
        return False

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        raise NotImplementedError

    def is_taken_down(self, target: str, repo: Repo) -> bool:
        return False

    def tended(self) -> tuple[Tended, ...]:
        return ()

    def sweep(self) -> None:
        raise LookupError("no broom")

    def remembered(self) -> tuple[tuple[RepoStatus, ...], tuple[RunRecord, ...]]:
        return (), ()

    def status(self) -> tuple[RepoStatus, ...]:
        return ()

    def signing_since(self, target: str) -> tuple[str, str]:
        return "", ""

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        return {}

    def speeds(self) -> Mapping[str, Mapping[str, WayPace]]:
        return {}

    def probe(self, target: str) -> bool:
        return True

    def close(self) -> None:
        self._say("closed")

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main(config: str, manner: str) -> None:
    def make(_settings: Settings, stop: threading.Event) -> SlowMirror:
        return SlowMirror(stop, manner == "polite")

    start_log(LogStyle(), LineWriter(), Redaction())
    clean = run_daemon(lambda: load(Path(config), os.environ), make, os.environ)
    os._exit(0 if clean else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
