"""A real Prometheus watches a real daemon: alerts are silent while all is well, and fire when something breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests import waiting
from tests.daemon.living import living
from tests.requirements import need
from tests.servers.ports import free_port
from tests.servers.prometheus import Prometheus, prometheus
from tests.standin import LFS, Hub

RULES = Path(__file__).parents[2] / "monitoring" / "alerts.yml"
TOKEN = "hf_watched"


def hasty_rules() -> str:
    """The shipped rules, with shorter times: what takes minutes in a life takes seconds in a test."""
    text = re.sub(r"for: \d+m", "for: 1s", RULES.read_text(encoding="utf-8"))
    return text.replace("> 300 +", "> 2 +")


def write_jobs(folder: Path, hub: Hub, port: int) -> Path:
    document = {
        "state_dir": str(folder / "state"),
        "http": {"listen": f"127.0.0.1:{port}"},
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url], "token": TOKEN}},
        "targets": {"disk": {"url": str(folder / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "front": {"watch": {"log": str(folder / "access.log")}},
        "jobs": [{"name": "models", "repos": ["acme/one"], "schedule": {"every": "2s"}}],
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def answers(log: Path, status: int) -> None:
    """A front has answered twenty readers."""
    line = json.dumps({"status": status, "bytes": 5, "first": 0.01, "zone": "", "cache": "", "pointer": ""})
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n" * 20)


def until(watching: Prometheus, holds: Callable[[], bool]) -> None:
    waiting.until(holds, lambda: f"firing: {watching.firing()}\n{watching.child.tail()}")


def fires(watching: Prometheus, names: Collection[str]) -> None:
    until(watching, lambda: watching.firing().keys() >= set(names))


@pytest.mark.timeout(600)
def test_alerts_fire_when_the_upstream_refuses_us_and_end_when_it_no_longer_does(hub: Hub, tmp_path: Path) -> None:
    need("prometheus")
    hub.token(TOKEN, user="ada")
    hub.model("acme/one", license="mit").commit({"weights.bin": LFS(b"w" * 1000)})
    port, front = free_port(), tmp_path / "access.log"
    front.touch()
    command = ["-m", "mirror_sync", "--config", str(write_jobs(tmp_path, hub, port)), "daemon"]
    with prometheus(port, hasty_rules()) as watching:
        fires(watching, ["MirrorSyncWatchdog", "MirrorSyncAbsent"])
        with living(command, tmp_path) as daemon:
            daemon.until_logged("event=run.finished")
            until(watching, lambda: watching.query('mirror_sync_job_outcome{outcome="complete"} == 1') != [])
            until(watching, lambda: watching.firing().keys() <= {"MirrorSyncWatchdog", "MirrorSyncStorageFull"})
            assert watching.query("mirror_sync_stored_bytes_total")[0][1] >= 1000

            until(watching, lambda: watching.query("mirror_sync_front_watched == 1") != [])
            answers(front, 200)
            until(watching, lambda: watching.query('mirror_sync_front_requests_total{status="2xx"} == 20') != [])
            assert watching.query("mirror_sync_front_sent_bytes_total")[0][1] == 100
            assert "MirrorSyncFrontFailing" not in watching.firing()
            answers(front, 502)
            fires(watching, ["MirrorSyncFrontFailing"])
            front.unlink()
            front.mkdir()
            fires(watching, ["MirrorSyncFrontUnwatched"])
            front.rmdir()
            front.touch()
            until(watching, lambda: "MirrorSyncFrontUnwatched" not in watching.firing())

            hub.world.tokens.clear()
            fires(watching, ["MirrorSyncTokenRejected"])
            (rejected,) = watching.firing()["MirrorSyncTokenRejected"]
            assert (rejected["mirror_job"], rejected["job"]) == ("models", "mirror-sync")
            assert not watching.firing().keys() & {"MirrorSyncLag", "MirrorSyncNoSuccess", "MirrorSyncJobFailing"}

            hub.token(TOKEN, user="ada")
            left = {"MirrorSyncWatchdog", "MirrorSyncStorageFull", "MirrorSyncFrontFailing"}  # of the last five minutes
            until(watching, lambda: watching.firing().keys() <= left)
        fires(watching, ["MirrorSyncAbsent"])
