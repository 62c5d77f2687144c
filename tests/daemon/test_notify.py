"""sd_notify: the right words, to either kind of socket, and silence where nobody listens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.daemon.notify import Notifier
from tests.daemon.living import Manager


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@mirror-sync-test-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


def test_every_state_is_told_in_the_words_of_sd_notify(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    notifier.ready("2 jobs")
    notifier.reloading()
    notifier.alive()
    notifier.stopping()
    assert manager.next() == {"READY": "1", "STATUS": "2 jobs"}
    assert manager.next()["RELOADING"] == "1"
    assert manager.next() == {"WATCHDOG": "1"}
    assert manager.next()["STOPPING"] == "1"


def test_a_reload_tells_a_time_that_systemd_can_compare(manager: Manager) -> None:
    Notifier({"NOTIFY_SOCKET": manager.address}).reloading()
    assert manager.next()["MONOTONIC_USEC"].isdigit()


def test_a_manager_that_is_gone_or_was_never_there_is_no_error(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        Notifier(environ).ready("2 jobs")


@pytest.mark.parametrize(
    ("environ", "beat"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_a_sign_of_life_is_due_at_half_the_time_that_the_watchdog_allows(
    environ: dict[str, str], beat: float | None
) -> None:
    assert Notifier(environ).beat == beat
