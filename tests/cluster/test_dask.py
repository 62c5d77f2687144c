"""Errands on the workers of a real scheduler: the same report, whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.machines import Machines
from tests.standin import LFS, Generated, Hub, Small

MIB = 1024 * 1024


def said(hub: Hub, target: dict[str, Any]) -> dict[str, Any]:
    return {
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"mirror": target},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "job", "repos": ["acme/*"]}],
    }


@pytest.fixture
def machines(hub: Hub, tmp_path: Path) -> Iterator[Machines]:
    with Machines(tmp_path, **said(hub, {"url": f"file://{tmp_path}/mirror"})) as made:
        yield made


def test_a_repo_is_brought_by_a_worker(hub: Hub, machines: Machines) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(Generated(40 * MIB, 1)), "config.json": Small(b"{}")})
    machines.scheduler()
    machines.worker()
    with machines.coordinator() as mirror:
        report = mirror.sync()
        print(report)
        print(*map(type, machines.events), sep="\n")
        assert report.ok
        assert mirror.sync().count("unchanged") == 1
