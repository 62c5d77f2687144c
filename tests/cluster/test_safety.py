"""Who may speak, and with whose secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.machines import Machines, Scheduler
from tests.servers.certificates import Authority
from tests.standin import Hub, Small
from tests.waiting import until

CONFIG = "DASK_DISTRIBUTED__COMM__"


@pytest.mark.parametrize(("secrets", "outcome"), [({}, "held"), ({"HF_TOKEN": "theirs"}, "published")])
def test_a_worker_reads_upstream_with_its_own_token_alone(
    hub: Hub, make: Callable[..., Machines], scheduler: Scheduler, secrets: dict[str, str], outcome: str
) -> None:
    hub.token("ours", approved=["acme/x"])
    hub.token("theirs", approved=["acme/x"])
    hub.model("acme/x", license="mit", gated="auto").commit({"a": Small(b"a")})
    machines = make(scheduler.address, {"HF_TOKEN": "ours"})
    machines.worker(secrets=secrets)
    (repo,) = machines.sync().repos
    assert (repo.outcome, repo.code) == (outcome, "gated" if outcome == "held" else "")


def test_with_tls_only_those_with_a_certificate_take_part(
    hub: Hub, make: Callable[..., Machines], tmp_path: Path
) -> None:
    hub.model("acme/x", license="mit").commit({"a": Small(b"a")})
    environment = certified(tmp_path)
    with Scheduler(tmp_path, "tls", environment) as scheduler:
        machines = make(scheduler.address, environment)
        machines.worker()
        path = str(machines.config("coordinator"))
        ended = machines.start("coordinator", "-m", "mirror_sync", "sync", "--json", "--quiet", "--config", path)
        until(lambda: ended.ended() is not None)
        assert ended.ended() == 0
        assert json.loads(ended.log.read_text())["repos"][0]["outcome"] == "published"
        stranger = machines.start("stranger", "-m", "mirror_sync", "sync", "--config", path, secrets={})
        hub.model("acme/y", license="mit").commit({"b": Small(b"b")})
        until(lambda: stranger.ended() is not None)
        assert stranger.ended() == 1
        assert f"no Dask scheduler answers at {scheduler.address}" in stranger.log.read_text()


def certified(folder: Path) -> dict[str, str]:
    """What Dask is told of a certificate that stands for all of a cluster."""
    authority = Authority(folder)
    mine = authority.certify()
    said = {f"{CONFIG}REQUIRE_ENCRYPTION": "True", f"{CONFIG}TLS__CA_FILE": str(authority.file)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        said |= {f"{CONFIG}TLS__{role}__CERT": str(mine.chain), f"{CONFIG}TLS__{role}__KEY": str(mine.key)}
    return said


def test_without_the_extra_one_line_says_what_to_install(hub: Hub, make: Callable[..., Machines]) -> None:
    machines = make("tcp://127.0.0.1:9")
    program = "import sys; sys.modules['distributed'] = None; from mirror_sync.cli import main; main()"
    ended = machines.start("bare", "-c", program, "worker", "--config", str(machines.config("bare-worker")))
    until(lambda: ended.ended() is not None)
    assert ended.ended() == 1
    assert ended.log.read_text().endswith("needs the extra: pip install 'mirror-sync[cluster]'\n")
