"""The engine of jobs.yaml: who brings changed repos up to date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import Field

from mirror_sync.config.findings import Finding
from mirror_sync.config.keys import scalars
from mirror_sync.config.keys.base_model import Keys


class EngineEntry(Keys):
    """Who brings changed repos up to date: the threads of this process, or the workers of a Dask scheduler."""

    kind: Literal["threads", "dask"] = Field(
        default="threads",
        description="threads: this process alone; dask: every mirror-sync worker at the scheduler.",
        examples=["dask"],
    )
    address: scalars.SchedulerAddress | None = Field(
        default=None,
        description="The Dask scheduler: tcp://host:8786, or tls:// with Dask's own configuration of certificates.",
        examples=["tcp://scheduler:8786"],
    )
    wait: scalars.Interval | None = Field(
        default=None,
        description="How long changed repos wait when there is no worker, before they fail; 60s when left out.",
        examples=["60s"],
    )


WAIT = timedelta(seconds=60)


def faults(entry: EngineEntry) -> Iterator[Finding]:
    """Keys that belong to another kind."""
    if entry.kind == "dask" and entry.address is None:
        yield Finding(("engine", "address"), "is missing; write address: tcp://scheduler:8786")
    for key in ("address", "wait"):
        if entry.kind == "threads" and getattr(entry, key) is not None:
            yield Finding(("engine", key), "this key is for kind: dask; remove it, or write kind: dask", key=True)
