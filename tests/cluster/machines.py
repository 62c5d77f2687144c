"""A coordinator, a Dask scheduler and workers: separate processes over loopback, one jobs.yaml for all."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.outcome.events import Event
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.engine.run import sync_jobs
from mirror_sync.wiring.assembly import Assembly
from mirror_sync.wiring.program import Mirror
from tests.servers.child import Child, child
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]
_SCHEDULER = ("-m", "distributed.cli.dask_scheduler", "--host", LOOPBACK, "--no-dashboard", "--no-show")


class Scheduler:
    """A Dask scheduler as operators start it."""

    def __init__(self, folder: Path, protocol: str = "tcp", environment: Mapping[str, str] | None = None) -> None:
        self._log, self._port, self._stack = folder / "scheduler.log", free_port(), ExitStack()
        self._protocol, self._environment = protocol, environment

    def __enter__(self) -> Scheduler:
        command = [sys.executable, *_SCHEDULER, "--port", str(self._port), "--protocol", self._protocol]
        self.child = self._stack.enter_context(child(command, self._log, self._environment))
        self.child.wait_until(lambda: answers(self._port))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        return f"{self._protocol}://{LOOPBACK}:{self._port}"


class Machines:
    """A coordinator in this process and workers in others. `said` is what jobs.yaml says beside its engine."""

    def __init__(self, folder: Path, address: str, secrets: Mapping[str, str], said: Mapping[str, Any]) -> None:
        self._folder, self.address, self._secrets, self._said = folder, address, secrets, said
        self._stack = ExitStack()
        self._count = 0
        self.events: list[Event] = []
        self.stop = threading.Event()

    def close(self) -> None:
        self._stack.close()

    def config(self, name: str, **changes: Any) -> Path:
        """A machine's jobs.yaml, with a state folder of its own."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        engine = {"kind": "dask", "address": self.address, "wait": "1m"}
        said = {"state_dir": "state", "engine": engine, **self._said, **changes}
        path = folder / "jobs.yaml"
        path.write_text(json.dumps(said), encoding="utf-8")
        return path

    def worker(self, *arguments: str, secrets: Mapping[str, str] | None = None, **changes: Any) -> Child:
        """One that is ready to take work items; with the secrets of all unless it has its own."""
        self._count += 1
        path = self.config(f"worker-{self._count}", **changes)
        command = ("-m", "mirror_sync", "worker", "--config", str(path), *arguments)
        one = self.start(path.parent.name, *command, secrets=secrets)
        one.wait_until(lambda: "is ready" in one.tail())
        return one

    def start(self, name: str, *command: str, secrets: Mapping[str, str] | None = None) -> Child:
        """A process of Python with the secrets of a machine, until the end of the test."""
        environment = {"PYTHONPATH": str(ROOT), **(self._secrets if secrets is None else secrets)}
        return self._stack.enter_context(child([sys.executable, *command], self._folder / f"{name}.log", environment))

    @contextmanager
    def coordinator(self, **changes: Any) -> Iterator[Mirror]:
        """What it is told is in `events`; `stop` stops it."""
        settings = load(self.config("coordinator", **changes), self._secrets)
        mirror = Mirror(settings, observers=(self.events.append,), stop=self.stop)
        try:
            yield mirror
        finally:
            mirror.close()

    def sync(self, **changes: Any) -> RunReport:
        with self.coordinator(**changes) as mirror:
            return mirror.sync(BY_DAEMON)

    @contextmanager
    def side_by_side(self, **changes: Any) -> Iterator[Callable[[str], tuple[threading.Event, Future[RunReport]]]]:
        """Starts a job beside the others, as the daemon does; the event ends its run alone."""
        settings = load(self.config("coordinator", **changes), self._secrets)
        context = Assembly(settings, self.stop).context(self.events.append, lambda report: None)
        stops: list[threading.Event] = []

        def start(name: str) -> tuple[threading.Event, Future[RunReport]]:
            stops.append(threading.Event())
            jobs = [job for job in settings.jobs if job.name == name]
            return stops[-1], runs.submit(
                sync_jobs, replace(context, stop=stops[-1], actor=BY_DAEMON), jobs, settings.jobs
            )

        with ThreadPoolExecutor() as runs:
            try:
                yield start
            except BaseException:
                for stop in stops:
                    stop.set()
                raise

    @contextmanager
    def syncing(self, **changes: Any) -> Iterator[Future[RunReport]]:
        """A sync that goes on beside the block."""
        with self.coordinator(**changes) as mirror, ThreadPoolExecutor(1) as runs:
            try:
                yield runs.submit(mirror.sync, BY_DAEMON)
            except BaseException:
                self.stop.set()
                raise

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def kill(one: Child) -> None:
    """As the kernel does when memory is short."""
    os.kill(one.pid, signal.SIGKILL)
    until(lambda: one.ended() is not None)
