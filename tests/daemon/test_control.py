"""Others of this machine can have the daemon start something now."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror_sync.daemon.control import MOST, SOCKET, ask_daemon
from mirror_sync.daemon.requests import RequestQueue, RequestState, Slot
from mirror_sync.domain.audit_record import BY_WEBHOOK
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import UsageError
from tests.daemon.living import Living, Manager, living, write_jobs

NIGHTLY = "name: nightly, schedule: {cron: '0 3 1 1 *'}"
BY_HAND = "name: by-hand"


@contextmanager
def slow(folder: Path, code: int = 0) -> Iterator[Living]:
    """A daemon whose runs last until it ends, with a job that is not due and one without a schedule."""
    write_jobs(folder, NIGHTLY, BY_HAND)
    manager = Manager(str(folder / "notify"))
    with living(
        ["-m", "tests.daemon.slow", str(folder / "jobs.yaml"), "polite"], folder, NOTIFY_SOCKET=manager.address
    ) as daemon:
        manager.until("READY")
        yield daemon
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == code
    manager.close()


def states(folder: Path, name: str) -> dict[str, str]:
    return {begun.job: begun.state for begun in ask_daemon(folder / "state", {"trigger": name})}


def test_a_job_that_is_asked_for_starts_and_what_waits_already_is_merged(tmp_path: Path) -> None:
    with slow(tmp_path) as daemon:
        assert states(tmp_path, "by-hand") == {"by-hand": RequestState.STARTED}
        assert daemon.line() == "sync by-hand"
        assert states(tmp_path, "by-hand") == {"by-hand": RequestState.WAITS}
        assert states(tmp_path, "by-hand") == {"by-hand": RequestState.MERGED}
        assert states(tmp_path, "acme/one") == {"by-hand": RequestState.MERGED, "nightly": RequestState.STARTED}
        assert daemon.line() == "sync nightly acme/one"


def test_a_single_repo_does_not_wait_for_a_run_of_the_whole_job(tmp_path: Path) -> None:
    with slow(tmp_path) as daemon:
        states(tmp_path, "nightly")
        assert daemon.line() == "sync nightly"
        assert states(tmp_path, "acme/one")["nightly"] == RequestState.STARTED
        assert sorted([daemon.line(), daemon.line()]) == ["sync by-hand acme/one", "sync nightly acme/one"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("weekly", "jobs.yaml has no job weekly; it has: nightly, by-hand"),
        ("acme/two", "jobs.yaml has no job that names acme/two"),
        ("dataset:acme/one", "jobs.yaml has no job that names dataset:acme/one"),
        ("a/b/c", "'a/b/c' is no repo id; write org/name"),
    ],
)
def test_what_no_job_is_or_names_is_refused_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    with slow(tmp_path), pytest.raises(UsageError, match=reason.replace(".", "[.]")):
        states(tmp_path, name)


@pytest.mark.parametrize("request_", [b"\n", b"[]\n", b'{"trigger": 1', b"\xff\n", b"{" * (MOST + 1), b"[" * MOST, b""])
def test_a_request_that_is_none_is_refused_and_the_next_one_answered(tmp_path: Path, request_: bytes) -> None:
    with slow(tmp_path), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(tmp_path / "state" / SOCKET))
        line.sendall(request_)
        line.shutdown(socket.SHUT_WR)
        assert "a request is one line" in json.loads(line.recv(4096))["error"]
        assert states(tmp_path, "by-hand") == {"by-hand": RequestState.STARTED}


def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    with slow(tmp_path):
        assert stat.S_IMODE((tmp_path / "state" / SOCKET).stat().st_mode) == 0o600
    assert not (tmp_path / "state" / SOCKET).exists()


def test_the_socket_of_a_killed_daemon_is_replaced_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    with slow(tmp_path, -signal.SIGKILL) as killed:
        killed.signal(signal.SIGKILL)
        killed.wait()
        assert (tmp_path / "state" / SOCKET).exists()
        with pytest.raises(ConnectionError, match="no daemon runs with state_dir"):
            states(tmp_path, "by-hand")
        (tmp_path / "notify").unlink()
        with slow(tmp_path) as daemon:
            assert states(tmp_path, "by-hand") == {"by-hand": RequestState.STARTED}
            assert daemon.line() == "sync by-hand"
            (tmp_path / "notify").unlink()
            with slow(tmp_path) as other:
                other.until_logged("another daemon uses")
            assert states(tmp_path, "by-hand") == {"by-hand": RequestState.WAITS}


def test_a_state_folder_however_deep_has_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)
    path = write_jobs(folder, NIGHTLY)
    with living(["-m", "tests.daemon.slow", str(path), "polite"], folder) as daemon:
        daemon.until_logged("event=daemon.started")
        assert states(folder, "acme/one") == {"nightly": RequestState.STARTED}
        assert os.fspath(folder / "state") not in daemon.log


def test_a_run_of_the_whole_job_brings_the_repos_that_wait() -> None:
    one, whole, single = Repo.parse("acme/one"), Slot("job", whole=True), Slot("job", whole=False)
    waiting = RequestQueue()
    assert [waiting.add("job", asked, BY_WEBHOOK) for asked in (one, one, None)] == [True, False, True]
    assert waiting.holds(single)
    waiting.take(whole)
    assert not waiting.holds(single)
    waiting.add("job", one, BY_WEBHOOK)
    waiting.keep({"other"})
    assert not waiting.holds(single)
