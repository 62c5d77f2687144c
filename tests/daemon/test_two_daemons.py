"""Two daemons with the same jobs: one works at a time, and the other goes on where it was."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.control import ask_daemon, ask_role
from mirror_sync.errors import ConfigError, UsageError
from mirror_sync.ports.lease_place import LEASE_KEY
from tests.daemon.living import Living
from tests.daemon.pair import LEASE, SECRET, Member, runs, waits
from tests.servers.bucket import S3Server
from tests.servers.forgetful import forgetful
from tests.standin import LFS, Hub
from tests.waiting import until

WEIGHTS = b"w" * 100_000
PAYLOAD = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "model", "name": "acme/one"}}


@pytest.fixture(params=["directory", "radosgw"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Any]:
    if request.param == "directory":
        (tmp_path / "mirror").mkdir()
        return {"url": (tmp_path / "mirror").as_uri()}
    server: S3Server = request.getfixturevalue(request.param)
    return server.place("mirror/")


def fetches(hub: Hub) -> int:
    """How often the contents of large files were asked for."""
    return hub.calls("GET", origin="cdn")


def published(log: str) -> int:
    return log.count("event=repo.published")


@pytest.mark.timeout(600)
def test_one_works_whatever_is_done_to_it_and_nothing_is_run_or_fetched_twice(
    hub: Hub, tmp_path: Path, target: Mapping[str, Any]
) -> None:
    repo = hub.model("acme/one", license="mit")
    repo.commit({"weights.bin": LFS(WEIGHTS)})
    one, two = Member(tmp_path / "one", hub, target), Member(tmp_path / "two", hub, target)
    with ExitStack() as stack:
        first = stack.enter_context(one.start())
        until(lambda: one.leads, lambda: first.log)
        second = stack.enter_context(two.start())
        until(lambda: two.stands_by and len(runs(first.log)) > 1, lambda: second.log)
        assert (runs(second.log), fetches(hub)) == ([], 1)

        lock = (tmp_path / "mirror" / LEASE_KEY).with_suffix(".lock")  # in a folder, whose lease is written under it
        lock.parent.mkdir(parents=True, exist_ok=True)
        first.suspend(lock)
        repo.commit({"weights.bin": LFS(b"2" + WEIGHTS)})
        until(lambda: two.leads and published(second.log) == 1, lambda: second.log)
        (waited,) = waits(second.log)
        assert waited >= LEASE
        before = len(runs(first.log))
        first.signal(signal.SIGCONT)
        until(lambda: one.stands_by and "event=lease.lost" in first.log, lambda: first.log)
        assert len(runs(first.log)) == before
        assert two.leads

        second.signal(signal.SIGTERM)  # it gives the lease back: nobody waits
        assert second.wait() == 0
        until(lambda: one.leads and len(runs(first.log)) > before, lambda: first.log)
        assert waits(first.log)[-1] == 0

        (two.folder / "stderr").unlink()
        second = stack.enter_context(two.start())
        until(lambda: two.stands_by, lambda: second.log)
        repo.commit({"weights.bin": LFS(b"3" + WEIGHTS)})
        until(lambda: published(first.log) == 2, lambda: first.log)
        first.signal(signal.SIGKILL)
        first.wait()
        until(lambda: two.leads and len(runs(second.log)) > 1, lambda: second.log)
        assert waits(second.log)[-1] >= LEASE
        assert (published(second.log), fetches(hub)) == (0, 3)


@pytest.mark.timeout(300)
def test_a_standby_says_who_has_to_be_asked(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/one", license="mit").commit({"weights.bin": LFS(WEIGHTS)})
    (tmp_path / "mirror").mkdir()
    target = {"url": (tmp_path / "mirror").as_uri()}
    one, two = Member(tmp_path / "one", hub, target, every="6h"), Member(tmp_path / "two", hub, target, every="6h")
    with one.start() as leader, two.start() as other:
        members: list[tuple[Member, Living]] = [(one, leader), (two, other)]
        until(lambda: sorted(bool(member.leads) for member, _ in members) == [False, True] and other.log != "")
        until(lambda: one.stands_by or two.stands_by)
        members.sort(key=lambda pair: pair[0].leads)
        (standby, _), (works, log) = members
        log.until_logged("event=run.finished")

        with pytest.raises(UsageError, match=r"this one is the standby since .*; .* holds the lease"):
            ask_daemon(standby.folder / "state", {"trigger": "models"})
        body, known = json.dumps(PAYLOAD).encode(), {"X_Webhook_Secret": SECRET}
        status, said = standby.ask("/webhook", body, **known)
        assert (status, "holds the lease" in said["error"]) == (503, True)
        assert works.ask("/webhook", body, **known)[0] == 202
        question = "/miss?what=file&target=mirror&repo=acme/x&method=GET&at=/&name=&role=&client=127.0.0.1"
        assert standby.ask(question, X_Front_Secret=SECRET)[0] == 503
        assert works.ask(question, X_Front_Secret=SECRET)[0] == 200

        assert [member.ask("/readyz")[0] for member in (standby, works)] == [200, 200]
        assert ask_role(standby.folder / "state").startswith("standby since ")
        assert ask_role(works.folder / "state").startswith("leader since ")
        metrics = [member.ask("/metrics")[1] for member in (standby, works)]
        assert ['mirror_sync_ha_leader{target="mirror"} 0.0' in metrics[0], "ha_leader" in metrics[1]] == [True, True]
        assert 'mirror_sync_ha_leader{target="mirror"} 1.0' in metrics[1]
        assert 'mirror_sync_job_overdue_seconds{mirror_job="models"} 0.0' in metrics[0]


def test_a_daemon_does_not_start_where_two_would_work(hub: Hub, tmp_path: Path, moto: S3Server) -> None:
    with forgetful(moto.endpoint_url) as between:
        one = Member(tmp_path / "one", hub, moto.place("mirror/", endpoint_url=between.url))
        with one.start() as daemon:
            assert daemon.wait() == 2
            (said,) = daemon.log.splitlines()
    assert "jobs.yaml:1:" in said
    assert "ha: s3://" in said
    assert "the server ignores If-None-Match: * of a PUT, so that two daemons would both run" in said


def test_two_jobs_yaml_with_several_targets_say_which_holds_the_lease(tmp_path: Path) -> None:
    document = {
        "ha": {"lease": "2s"},
        "upstreams": {"hub": {"kind": "huggingface"}},
        "targets": {name: {"url": f"./{name}"} for name in ("a", "b")},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "models", "repos": ["acme/one"], "target": "a"}],
    }
    path = tmp_path / "jobs.yaml"
    for entry, said in (
        ({"lease": "2s", "target": "a"}, "ha.lease: is less than 3s, and a slow answer would end it; write 30s"),
        ({}, "ha.target: is missing, and there are several targets; write one of a, b"),
        ({"target": "c"}, "ha.target: 'c' is not under targets; there are: a, b"),
    ):
        path.write_text(json.dumps(document | {"ha": entry}), encoding="utf-8")
        with pytest.raises(ConfigError) as told:
            load(path, {})
        assert [f"{fault.where}: {fault.message}" for fault in told.value.faults] == [said]
    path.write_text(json.dumps(document | {"ha": {"target": "b"}}), encoding="utf-8")
    settings = load(path, {})
    assert settings.ha is not None
    assert (settings.leased, settings.ha.lease.total_seconds()) == ("b", 30)
