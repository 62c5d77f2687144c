"""The program over a mirror that misbehaves on request: it waits to be stopped, breaks, or repeats secrets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence

import mirror_sync.wiring.program
from mirror_sync.cli import main
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.outcome.events import Observer, RunStarted, tell_all
from mirror_sync.domain.outcome.report import PlanReport, RepoOutcome, RepoPlan, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, Repo

AT = "2026-01-01T00:00:00Z"


class SlowMirror:
    """As much of a mirror as `sync` and `plan` need."""

    def __init__(
        self,
        settings: Settings,
        observers: Sequence[Observer],
        stop: threading.Event,
        learn: Callable[[Iterable[str]], None],
        *,
        reading: bool = False,
    ) -> None:
        self.settings = settings
        self._tell = tell_all(tuple(observers))
        self._stop = threading.Event() if "STUBBORN" in os.environ else stop

    def sync(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        *,
        anew: bool = False,
    ) -> RunReport:
        if "BROKEN" in os.environ:
            raise LookupError(os.environ["BROKEN"])
        if "LEAK" in os.environ:
            return self._leak()
        self._tell(RunStarted("run", ("good",), AT))
        self._stop.wait()
        return RunReport("run", AT, AT, (), interrupted=True, left=7, jobs_left=1)

    def plan(self, names: Sequence[str] = ()) -> PlanReport:
        self._tell(RunStarted("run", ("good",), AT))
        self._stop.wait()
        plan = RepoPlan("good", Kind.MODEL, "acme/one", "main", RepoOutcome.PUBLISHED, fetch_files=2, fetch_bytes=26)
        return PlanReport((plan,), interrupted=True)

    def close(self) -> None:
        pass

    def _leak(self) -> RunReport:
        secret = os.environ["TOKEN"]
        self._tell(RunStarted(secret, (f"https://x:{secret}@host", secret.replace("/", "%2F")), AT))
        report = RepoReport("good", Kind.MODEL, "acme/one", "main", RepoOutcome.FAILED, reason=f"Bearer {secret}")
        return RunReport("run", AT, AT, (report,))


if __name__ == "__main__":
    mirror_sync.wiring.program.Mirror = SlowMirror  # type: ignore[assignment, misc]
    main()
