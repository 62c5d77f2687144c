"""A job whose repos are brought by workers: the same report as without them, whoever dies."""

from __future__ import annotations

import dataclasses
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from os import kill as send
from typing import Any

import pytest

from mirror_sync.cluster.attempt_record import LOST
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import BytesFetched, Called, FileFinished, RepoPlanned, Retrying
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.engine.transfer.multipart import in_flight
from tests.cluster.machines import Machines, Scheduler, kill
from tests.servers.child import Child
from tests.standin import LFS, Generated, Hub, Small, faults
from tests.waiting import until

MIB = 1024 * 1024
BIG = 40 * MIB
PART = 5 * MIB  # of such a file
THREADS = {"engine": {"kind": "threads"}}

EVERYWHERE = pytest.mark.parametrize("target", ["directory", "radosgw"], indirect=True)


def offer(hub: Hub, name: str = "acme/x", seed: int = 1) -> None:
    files: dict[str, LFS | Small] = {
        "big": LFS(Generated(BIG, seed)),
        "config.json": Small(f'{{"is": {seed}}}'.encode()),
    }
    hub.model(name, license="mit").commit(files)


def fetched(hub: Hub) -> int:
    """Bytes of large files that the stand-in has sent."""
    return sum(record.sent for record in hub.log.records("GET *", origin="cdn"))


def is_busy(worker: Child) -> bool:
    return "errand.started" in worker.tail()


def plain(report: RunReport) -> list[RepoReport]:
    """What does not differ between two runs of the same: all but how long it took, and when it was."""
    timeless = (dataclasses.replace(one, seconds=0.0, published=one.published and "then") for one in report.repos)
    return sorted(timeless, key=lambda repo: repo.repo)


@EVERYWHERE
def test_the_report_is_that_of_threads(hub: Hub, machines: Machines, target: dict[str, Any]) -> None:
    offer(hub)
    offer(hub, "acme/y", seed=2)
    hub.model("acme/closed", license="cc-by-nc-4.0").commit({"a": Small(b"a")})
    elsewhere = {"mirror": {**target, "url": f"{target['url']}/elsewhere"}}
    here = machines.sync(**THREADS, targets=elsewhere, state_dir="here")
    machines.worker()
    machines.worker()
    assert plain(machines.sync()) == plain(here)
    assert fetched(hub) == 2 * 2 * BIG
    assert {repo.outcome for repo in machines.sync().repos} == {RepoOutcome.UNCHANGED, RepoOutcome.REFUSED}


def test_what_a_job_selects_is_brought_by_workers(hub: Hub, machines: Machines) -> None:
    offer(hub)
    offer(hub, "acme/y", seed=2)
    hub.model("acme/y", downloads=5)
    machines.worker()
    (report,) = machines.sync(jobs=[{"name": "acme", "select": {"author": "acme", "limit": 1}}]).repos
    assert (report.repo, report.outcome) == ("acme/y", RepoOutcome.PUBLISHED)


def test_what_a_worker_has_held_no_other_one_fetches_again(hub: Hub, machines: Machines) -> None:
    hub.model("acme/x", license="mit").commit({"model.pkl": LFS(b"N.")})
    policy = {"formats": {"allow": ["data"]}}
    first = machines.worker(policy=policy)
    (held,) = machines.sync(policy=policy).repos
    assert (held.outcome, held.code, held.fetched_files) == ("held", "formats", 1)
    kill(first)
    machines.worker(policy=policy)
    with machines.coordinator(policy=policy) as mirror:
        store = mirror._context().targets["mirror"].store
        store.delete([blob_key(Sha256.of(b"N."))])  # as a prune does
        (again,) = mirror.sync(BY_DAEMON).repos
    assert (again.outcome, again.reason, again.fetched_files) == ("held", held.reason, 0)


def test_what_workers_ask_of_an_upstream_is_told_where_it_is_counted(hub: Hub, machines: Machines) -> None:
    offer(hub)
    machines.worker()
    assert machines.sync().ok
    calls = Counter((event.kind, event.result) for event in machines.told(Called))
    assert calls["resolvers", "3xx"] + calls["resolvers", "2xx"] == hub.calls("GET", "*/resolve/*")
    assert calls["elsewhere", "2xx"] == hub.calls("GET", origin="cdn")


@EVERYWHERE
def test_a_worker_that_is_killed_costs_the_parts_in_flight(hub: Hub, machines: Machines) -> None:
    offer(hub)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    workers = [machines.worker(), machines.worker()]
    with machines.syncing() as run:
        until(lambda: fetched(hub) > BIG // 4)
        first, second = sorted(workers, key=is_busy, reverse=True)
        kill(first)
        hub.faults.clear()
        (repo,) = run.result().repos
    assert (repo.outcome, repo.fetched_files, repo.fetched_bytes) == ("published", 2, BIG + len(b'{"is": 1}'))
    assert fetched(hub) - BIG <= in_flight(BIG // PART) * PART
    assert [event.cause for event in machines.told(Retrying)] == [LOST]
    assert len(machines.told(RepoPlanned)) == 1
    assert "errand.finished" in second.tail()
    assert machines.sync(**THREADS).count(RepoOutcome.UNCHANGED) == 1


def test_a_worker_that_is_stopped_gives_its_errands_back(hub: Hub, machines: Machines) -> None:
    offer(hub)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    workers = [machines.worker(), machines.worker()]
    with machines.syncing() as run:
        until(lambda: fetched(hub) > BIG // 4)
        first, _ = sorted(workers, key=is_busy, reverse=True)
        send(first.pid, signal.SIGTERM)
        until(lambda: first.ended() is not None)
        hub.faults.clear()
        assert run.result().ok
    assert first.ended() == 0
    assert fetched(hub) - BIG <= in_flight(BIG // PART) * PART
    assert machines.told(Retrying) == []


def test_a_stop_ends_what_is_out_and_the_next_run_goes_on(hub: Hub, machines: Machines) -> None:
    offer(hub)
    offer(hub, "acme/y", seed=2)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    machines.worker("--repos", "1")
    with machines.syncing() as run:
        until(lambda: fetched(hub) > BIG // 4)
        machines.stop.set()
        report = run.result()
    assert (report.interrupted, report.left) == (True, 2)
    (cut,) = report.repos
    assert (cut.outcome, cut.fetched_bytes >= PART) == (RepoOutcome.INTERRUPTED, True)
    machines.stop.clear()
    hub.faults.clear()
    whole = machines.sync()
    assert whole.count(RepoOutcome.PUBLISHED) == 2
    assert sum(repo.resumed_bytes for repo in whole.repos) == cut.fetched_bytes // PART * PART, "small files are reused"
    assert fetched(hub) - 2 * BIG <= in_flight(BIG // PART) * PART


def test_a_job_that_is_stopped_ends_its_own_errands_alone(hub: Hub, machines: Machines) -> None:
    """Also on the same worker, and those of the other job that begin later."""
    for seed, name in enumerate(("short/x", "long/x", "long/y")):
        offer(hub, name, seed)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    worker = machines.worker("--repos", "2")
    jobs = [{"name": name, "repos": [f"{name}/*"]} for name in ("short", "long")]
    with machines.side_by_side(jobs=jobs) as start:
        stop, short = start("short")
        until(lambda: fetched(hub) > BIG // 4)
        _, long = start("long")
        until(lambda: any(event.repo.owner == "long" for event in machines.told(BytesFetched)))
        stop.set()
        stopped = short.result()
        hub.faults.clear()
        whole = long.result()
    assert (stopped.interrupted, stopped.left) == (True, 1)
    assert [repo.outcome for repo in stopped.repos] == [RepoOutcome.INTERRUPTED]
    assert (whole.interrupted, whole.count(RepoOutcome.PUBLISHED)) == (False, 2)
    assert worker.tail().count("errand.given-back") == 1
    assert machines.sync(jobs=jobs).count(RepoOutcome.PUBLISHED) == 1
    assert fetched(hub) - 3 * BIG <= in_flight(BIG // PART) * PART


def test_workers_go_on_for_a_coordinator_that_was_killed_and_came_back(hub: Hub, machines: Machines) -> None:
    offer(hub)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    worker = machines.worker()
    first = machines.start("first", "-m", "mirror_sync", "sync", "--config", str(machines.config("coordinator")))
    until(lambda: fetched(hub) > BIG // 4)
    kill(first)
    until(lambda: "errand.given-back" in worker.tail())
    hub.faults.clear()
    assert machines.sync().ok
    assert fetched(hub) - BIG <= in_flight(BIG // PART) * PART


def test_a_content_of_two_repos_is_fetched_once_by_whichever_worker(hub: Hub, machines: Machines) -> None:
    for name in ("acme/x", "acme/y", "acme/z"):
        offer(hub, name)
    hub.faults.add(faults.trickle(10 * MIB), "GET *", origin="cdn")
    machines.worker("--repos", "1")
    machines.worker("--repos", "1")
    report = machines.sync()
    assert report.ok
    assert fetched(hub) == BIG
    assert sum(repo.fetched_bytes for repo in report.repos if repo.fetched_bytes > BIG - 1) // BIG == 1
    assert all(event.error is None for event in machines.told(FileFinished))


def test_a_jobs_limits_hold_as_the_coordinator_has_them(hub: Hub, machines: Machines) -> None:
    """A worker reads its own jobs.yaml when it starts: what changes later travels with the work item."""
    hub.model("acme/x", license="mit").commit({f"{number}.bin": LFS(Generated(1 * MIB, number)) for number in range(8)})
    hub.faults.add(faults.delay(0.2), "GET *", origin="cdn")
    machines.worker()
    assert machines.sync(jobs=[{"name": "job", "repos": ["acme/*"], "connections": 1}]).ok
    assert hub.most_connections("cdn") == 1


class TestNobody:
    """What cannot be carried out fails with one line that says why, and the next run tries again."""

    def test_no_scheduler(self, hub: Hub, make: Callable[..., Machines]) -> None:
        offer(hub)
        machines = make("tcp://127.0.0.1:9")
        report = machines.sync(engine={"kind": "dask", "address": machines.address, "wait": "1s"})
        (repo,) = report.repos
        assert (repo.outcome, repo.code) == ("failed", "cluster")
        assert "no Dask scheduler answers at tcp://127.0.0.1:9" in repo.reason
        assert "\n" not in repo.reason

    def test_no_worker(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        (repo,) = machines.sync(engine={"kind": "dask", "address": machines.address, "wait": "1s"}).repos
        assert (repo.outcome, repo.code) == ("failed", "cluster")
        assert f"no worker with mirror-sync-0.1.0 is at {machines.address} for 1 s" in repo.reason
        machines.worker()
        assert machines.sync().ok

    def test_workers_of_another_version(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        stranger = ("--resources", "mirror-sync-0.0.9=4", "--no-nanny", "--no-dashboard")
        log = machines.start("stranger", "-m", "distributed.cli.dask_worker", machines.address, *stranger)
        until(lambda: "Registered to" in log.tail())
        (repo,) = machines.sync(engine={"kind": "dask", "address": machines.address, "wait": "1s"}).repos
        assert repo.outcome == "failed"
        assert "127.0.0.1 has mirror-sync-0.0.9: install one version everywhere" in repo.reason

    def test_a_worker_with_another_target_of_that_name(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        machines.worker(targets={"mirror": {"url": "file:///nowhere"}})
        (repo,) = machines.sync().repos
        assert repo.outcome == "failed"
        assert "has another target mirror in its jobs.yaml" in repo.reason

    def test_a_worker_that_would_sign_what_the_daemon_does_not(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        machines.worker(trust={"bom": ["cyclonedx"]})
        (repo,) = machines.sync().repos
        assert repo.outcome == "failed"
        assert "has another trust in its jobs.yaml" in repo.reason

    def test_a_worker_whose_front_has_other_doors(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        machines.worker(front={"oci": True})
        (repo,) = machines.sync().repos
        assert repo.outcome == "failed"
        assert "has another front in its jobs.yaml" in repo.reason

    def test_a_repo_that_kills_every_worker(self, hub: Hub, machines: Machines) -> None:
        offer(hub)
        hub.faults.add(faults.trickle(1 * MIB), "GET *", origin="cdn")
        with machines.syncing() as run:
            for _ in range(4):
                worker = machines.worker()
                until(partial(is_busy, worker))
                kill(worker)
            (repo,) = run.result().repos
        assert (repo.outcome, repo.code) == ("failed", "cluster")
        assert repo.reason.startswith("4 workers died at this repo, the last one at tcp://127.0.0.1:")


def test_a_scheduler_that_is_lost_costs_the_run_and_its_workers_end(
    hub: Hub, make: Callable[..., Machines], tmp_path_factory: pytest.TempPathFactory
) -> None:
    offer(hub)
    hub.faults.add(faults.trickle(2 * MIB), "GET *", origin="cdn")
    with Scheduler(tmp_path_factory.mktemp("mortal")) as scheduler:
        machines = make(scheduler.address)
        worker = machines.worker()
        with machines.syncing() as run:
            until(lambda: fetched(hub) > BIG // 4)
            kill(scheduler.child)
            (repo,) = run.result().repos
    assert (repo.outcome, repo.code) == ("failed", "cluster")
    assert "scheduler" in repo.reason
    until(lambda: worker.ended() is not None)
    assert worker.ended() == 1
    assert "was lost" in worker.tail()
