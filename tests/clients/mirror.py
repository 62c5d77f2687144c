"""A mirror of the client suite's repos: made by the program's own command line, then served by one front."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.clients.repos import DATASET, MANY, MODEL, TAG
from tests.clients.truth import Truth
from tests.servers.child import child
from tests.servers.nginx import nginx
from tests.servers.ports import LOOPBACK, answers, free_port

FrontName = Literal["serve", "nginx"]
TargetName = Literal["directory", "s3"]
WORKERS = {"user": "root"} if os.geteuid() == 0 else {}
"""nginx's workers must enter the tests' folders, which are closed to all others."""
PROGRAM = [sys.executable, "-m", "mirror_sync"]


@dataclass(frozen=True)
class Mirror:
    """A mirror that answers."""

    url: str
    """What users set HF_ENDPOINT to."""
    truth: Truth = field(repr=False)
    front: FrontName
    target: TargetName
    log: Callable[[], str] = field(repr=False)
    """The end of the front's log."""


@dataclass(frozen=True)
class Synced:
    """A target that holds the suite's repos, and the job file they came by."""

    folder: Path
    jobs: Mapping[str, Any]
    truth: Truth
    target: TargetName

    def configuration(self, port: int, **more: object) -> Path:
        """A job file whose front listens on this port, with other keys of `front`; JSON is YAML."""
        path = self.folder / f"jobs-{port}.yaml"
        path.write_text(
            json.dumps({**self.jobs, "front": {"listen": f"{LOOPBACK}:{port}", "by_digest": True, **WORKERS, **more}}),
            encoding="utf-8",
        )
        path.chmod(0o600)
        return path


def directory_target(folder: Path) -> dict[str, str]:
    """A target of jobs.yaml: a folder."""
    return {"url": (folder / "mirror").absolute().as_uri()}


def sync(hub_url: str, truth: Truth, folder: Path, name: TargetName, target: Mapping[str, str]) -> Synced:
    """Mirrors the suite's repos from the Hub at this URL. Raises AssertionError with what the program said."""
    jobs = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub_url]}},
        "targets": {"bucket": target},
        "defaults": {"upstream": "hub", "target": "bucket"},
        "licenses": {"allow": ["apache-2.0", "mit"], "missing": "refuse"},
        "jobs": [
            {"name": "tagged", "repos": [MODEL], "revisions": ["main", TAG], "readers": "everyone"},
            {"name": "plain", "repos": [MANY, f"dataset:{DATASET}"], "readers": "everyone"},
        ],
    }
    synced = Synced(folder, jobs, truth, name)
    run_program("-c", synced.configuration(free_port()), "sync", "--json")
    return synced


def run_program(*words: str | Path) -> str:
    """What a command of the program prints. Raises AssertionError with what it said unless it ends with 0."""
    command = [*PROGRAM, *map(str, words)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    said = (
        f"{' '.join(command[2:])} ended with {outcome.returncode}:\n{outcome.stdout[-3000:]}\n{outcome.stderr[-3000:]}"
    )
    assert outcome.returncode == 0, said
    return outcome.stdout


@contextmanager
def serving(synced: Synced, front: FrontName, **more: object) -> Iterator[Mirror]:
    """The mirror behind one of the two fronts, for as long as the block lasts; `more` are keys of `front`."""
    port = free_port()
    configuration, scheme = synced.configuration(port, **more), "https" if "tls" in more else "http"
    with FRONTS[front](configuration, port) as log:
        yield Mirror(f"{scheme}://{LOOPBACK}:{port}", synced.truth, front, synced.target, log)


@contextmanager
def _serve(configuration: Path, port: int) -> Iterator[Callable[[], str]]:
    log = configuration.with_suffix(".serve.log")
    with child([*PROGRAM, "-c", configuration, "serve"], log) as running:
        running.wait_until(lambda: answers(port), 60)
        yield running.tail


@contextmanager
def _nginx(configuration: Path, port: int) -> Iterator[Callable[[], str]]:
    folder = configuration.with_suffix(".nginx")
    run_program("-c", configuration, "front", "nginx", "-o", folder)
    with nginx(folder / "nginx.conf", port) as running:
        yield running.tail


FRONTS = {"serve": _serve, "nginx": _nginx}
"""What runs a front on a job file and a port, for as long as a block lasts; gives what reads the end of its log."""
