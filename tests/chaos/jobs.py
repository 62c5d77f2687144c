"""The jobs.yaml of a world: everything short, so that a round is short, and only keys that the program knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.actors import Machine, knows
from tests.chaos.ledger import Kept
from tests.chaos.upstream import ALLOWED, REPOS, REVISIONS
from tests.servers.ports import LOOPBACK, free_port

GRACE = 8
"""Seconds that a blob which nothing names stays. A prune, and a sync beside it, wait a part of it."""
_TIMEOUTS = {"connect": "2s", "first_byte": "3s", "stall": "2s", "min_rate": "50KB/s", "over": "2s"}


OFTEN, SELDOM = "2s", "6h"


def write_jobs(
    machine: Machine,
    endpoints: Sequence[str],
    target: Mapping[str, str],
    kept: Kept,
    every: str = OFTEN,
    lease: float | None = None,
) -> None:
    """Write a machine's configuration; JSON is YAML. `lease` in seconds, for a daemon that is not the only one."""
    folder = machine.config.parent
    document = {
        "version": 1,
        "state_dir": str(folder / f"state-{machine.name}"),
        "upstreams": {"hub": _upstream(endpoints)},
        "targets": {"mirror": {**target, **_grace("BucketEntry" if "endpoint_url" in target else "FolderEntry")}},
        "front": {"listen": f"{LOOPBACK}:{free_port()}"},
        **({"http": {"listen": "none"}} if knows("", "http") else {}),
        **({"ha": {"lease": f"{lease:g}s"}} if lease else {}),
        "defaults": {
            "upstream": "hub",
            "target": "mirror",
            "schedule": {"every": every},
            "on_gone": "withdraw",
            **_retention(kept),
        },
        "licenses": {"allow": [ALLOWED], "missing": "refuse"},
        "jobs": [{"name": "all", "repos": [repo.in_jobs for repo in REPOS], "revisions": list(REVISIONS)}],
        **_grace(""),
    }
    machine.config.write_text(json.dumps(document), encoding="utf-8")
    machine.config.chmod(0o600)


def _upstream(endpoints: Sequence[str]) -> dict[str, Any]:
    timeouts = {"timeouts": _TIMEOUTS} if knows("HubEntry", "timeouts") else {}
    return {"kind": "huggingface", "endpoints": [*endpoints], **timeouts}


def _grace(entry: str) -> dict[str, str]:
    return {"grace": f"{GRACE}s"} if knows(entry, "grace") else {}


def _retention(kept: Kept) -> dict[str, Any]:
    grace = _grace("DefaultsEntry")
    if not knows("DefaultsEntry", "retention"):
        return grace
    return {**grace, "retention": {"snapshots": kept.snapshots, "days": kept.days}}
