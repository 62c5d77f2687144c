"""A coordinator, a Dask scheduler and workers: separate processes over loopback, one jobs.yaml for all."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mirror_sync.bootstrap import Mirror
from mirror_sync.config.load import load
from mirror_sync.domain.events import Event
from tests.servers.child import Child, child
from tests.servers.ports import LOOPBACK, answers, free_port

ROOT = Path(__file__).parents[2]
_PATIENCE = 60  # seconds until a process is given up


class Machines:
    """What runs while the block lasts. `said` is what jobs.yaml says beside the engine and the state folder."""

    def __init__(self, folder: Path, **said: Any) -> None:
        self.folder, self._said = folder, said
        self.port = free_port()
        self._stack = ExitStack()
        self._count = 0
        self.events: list[Event] = []
        self.stop = threading.Event()

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        return f"tcp://{LOOPBACK}:{self.port}"

    def config(self, name: str, engine: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        """A machine's jobs.yaml, with a state folder of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        chosen = {"kind": "dask", "address": self.address, "wait": "20s"} if engine is None else dict(engine)
        path = folder / "jobs.yaml"
        path.write_text(json.dumps({"state_dir": "state", "engine": chosen, **self._said, **changes}), encoding="utf-8")
        return path

    def scheduler(self) -> Child:
        one = self._start("scheduler", "-m", "distributed.cli.dask_scheduler", *_SCHEDULER, "--port", str(self.port))
        one.wait_until(lambda: answers(self.port), _PATIENCE)
        return one

    def worker(self, *arguments: str, **changes: Any) -> Child:
        """One that is ready to take errands."""
        self._count += 1
        path = self.config(f"worker-{self._count}", **changes)
        one = self._start(path.parent.name, "-m", "mirror_sync", "worker", "--config", str(path), *arguments)
        one.wait_until(lambda: "is ready" in one.tail(), _PATIENCE)
        return one

    @contextmanager
    def coordinator(self, engine: Mapping[str, Any] | None = None, **changes: Any) -> Iterator[Mirror]:
        """In this process; what it is told is in `events`."""
        settings = load(self.config("coordinator", engine, **changes), {})
        mirror = Mirror(settings, observers=(self.events.append,), stop=self.stop)
        try:
            yield mirror
        finally:
            mirror.close()

    def _start(self, name: str, *command: str) -> Child:
        log = self.folder / f"{name}.log"
        return self._stack.enter_context(child([sys.executable, *command], log, {"PYTHONPATH": str(ROOT)}))


_SCHEDULER = ("--host", LOOPBACK, "--no-dashboard", "--no-show")
