"""The daemon keeps to its jobs, its signals and its word to the service manager."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.living import Living, Manager, living, write_jobs

HOURLY = "name: hourly, schedule: {every: 1h}"
NIGHTLY = "name: nightly, schedule: {cron: '0 3 * * *'}"
DAILY = "name: daily, schedule: {every: 1d}"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def slow(folder: Path, manager: Manager, manner: str = "polite") -> list[str]:
    return ["-m", "tests.daemon.slow", str(folder / "jobs.yaml"), manner]


def started(daemon: Living, manager: Manager) -> None:
    assert manager.until("READY") == "1"
    assert daemon.line() == "sync hourly"


def test_sigterm_while_a_job_runs_ends_it_cleanly_with_exit_code_0(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    with living(slow(tmp_path, manager), tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        started(daemon, manager)
        daemon.signal(signal.SIGTERM)
        manager.until("STOPPING")
        assert daemon.wait() == 0
        assert daemon.rest() == ["ended hourly", "closed"]


def test_sigterm_ends_even_with_a_job_that_does_not_let_go(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    with living(slow(tmp_path, manager, "stubborn"), tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        started(daemon, manager)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 1
        assert "a sync did not end in time" in daemon.log


def test_sighup_takes_new_jobs_in_and_lets_a_running_one_finish(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    with living(slow(tmp_path, manager), tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        started(daemon, manager)
        write_jobs(tmp_path, DAILY, NIGHTLY)
        daemon.signal(signal.SIGHUP)
        manager.until("RELOADING")
        manager.until("READY")
        assert daemon.line() == "sync daily"
        assert "; next nightly at " in manager.status("running daily, hourly")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert sorted(daemon.rest()) == ["closed", "closed", "ended daily", "ended hourly"]


def test_sighup_with_a_faulty_file_keeps_the_old_jobs_and_logs_every_fault(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    with living(slow(tmp_path, manager), tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        started(daemon, manager)
        path = write_jobs(tmp_path, DAILY.replace("1d", "soon"), NIGHTLY.replace("*", "x", 1))
        daemon.signal(signal.SIGHUP)
        manager.until("RELOADING")
        manager.until("READY")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert daemon.log.count("event=config.fault") == 2
        assert daemon.log.count(f"{path.name}:") == 2
        assert "daemon.not-reloaded" in daemon.log
        assert daemon.rest() == ["ended hourly", "closed"]


def test_the_watchdog_is_fed_while_jobs_run(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}
    with living(slow(tmp_path, manager), tmp_path, **environ) as daemon:
        started(daemon, manager)
        for _ in range(5):
            manager.until("WATCHDOG")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_a_sweep_at_the_start_that_fails_is_logged_and_disturbs_nobody(tmp_path: Path, manager: Manager) -> None:
    write_jobs(tmp_path, HOURLY)
    with living(slow(tmp_path, manager), tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        started(daemon, manager)
        daemon.until_logged("level=error event=sweep.failed")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert 'reason="LookupError: no broom"' in daemon.log


def test_what_transfers_have_left_is_swept_at_the_start(tmp_path: Path, manager: Manager) -> None:
    path = write_jobs(tmp_path, NIGHTLY)
    left, young = (tmp_path / "mirror" / ".staging" / name for name in ("1-left", "1-young"))
    left.parent.mkdir(parents=True)
    for file in (left, young):
        file.write_bytes(b"half of a file")
    os.utime(left, (0, 0))
    command = ["-m", "mirror_sync", "--config", str(path), "daemon"]
    with living(command, tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        daemon.until_logged("event=sweep.done target=disk uploads=1")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert (left.exists(), young.exists()) == (False, True)


def test_a_job_with_an_interval_runs_at_the_start_and_publishes(tmp_path: Path, manager: Manager) -> None:
    path = write_jobs(tmp_path, HOURLY, NIGHTLY)
    command = ["-m", "mirror_sync", "--config", str(path), "daemon"]
    with living(command, tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        manager.status("running hourly")
        manager.status("next ")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "event=repo.published job=hourly repo=acme/one@main" in daemon.log
    assert (tmp_path / "mirror" / "hub" / "models" / "acme--one" / "refs.json").exists()


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        ("name: by-hand", "jobs: 1 job, and none has a schedule; nothing would ever run"),
        ("name: late, schedule: {every: never}", "jobs[0].schedule.every: "),
    ],
)
def test_a_daemon_that_could_do_nothing_ends_at_once_with_exit_code_2(tmp_path: Path, job: str, fault: str) -> None:
    path = write_jobs(tmp_path, job)
    with living(["-m", "mirror_sync", "--config", str(path), "daemon"], tmp_path) as daemon:
        assert daemon.wait() == 2
        assert fault in daemon.log
