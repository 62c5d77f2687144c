"""What one small file more costs a sync, counted and not timed: calls in our code, and calls that enter the kernel.

A bound is a fifth above what was counted. Who raises one has seen by docs/lab/cpu.md what for.
"""

from __future__ import annotations

import _socket
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import mirror_sync
from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.observe.log.event_log import EventLog
from mirror_sync.observe.tally import Tally
from mirror_sync.wiring.program import Mirror
from tests.servers.bucket import S3Server
from tests.standin import LFS, Hub

PACKAGE = str(Path(mirror_sync.__file__).parent)
FEW, MANY = 80, 144  # files; both are in one group of a directory, so that what a group costs is no matter
KERNEL = {"posix", "select", "fcntl"}  # modules of Python whose functions are calls of the kernel, mostly
NO_CALLS = {"fspath", "gettimeout", "fileno", "register", "urandom"}  # but these

BOUNDS = {"directory": (443, 20), "bucket": (486, 27)}  # calls in our code, and into the kernel


class Counted:
    """Counts calls that our code makes, in all threads; what the stand-in does beside it is nobody's."""

    def __init__(self) -> None:
        self.ours: Counter[str] = Counter()
        self.kernel: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return
        if event == "call":
            self.ours[f"{frame.f_code.co_filename.removeprefix(PACKAGE)} {frame.f_code.co_qualname}"] += 1
        elif event == "c_call" and _enters_the_kernel(called):
            self.kernel[called.__name__] += 1


def _enters_the_kernel(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    entered = isinstance(owner, _socket.socket) or (called.__module__ or type(owner).__module__) in KERNEL
    return entered and called.__name__ not in NO_CALLS


def _target(kind: str, folder: Path, gateway: Callable[[], S3Server]) -> dict[str, str]:
    if kind == "directory":
        return {"url": (folder / "mirror").as_uri()}
    return gateway().place()


def _counted(hub: Hub, folder: Path, repo: str, target: dict[str, str]) -> Counted:
    """A sync of one repo, by one worker, as the program has it done."""
    document = {
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"mirror": target},
        "licenses": {"allow": ["mit"]},
        "site": {"enabled": False},
        "jobs": [{"name": "one", "repos": [repo], "workers": 1}],
    }
    folder.mkdir()
    (folder / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")
    mirror, counted = Mirror(load(folder / "jobs.yaml", {}), (EventLog(), Tally())), Counted()
    threading.setprofile(counted)
    sys.setprofile(counted)
    try:
        report = mirror.sync(BY_DAEMON)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        mirror.close()
    assert report.ok, report
    return counted


@pytest.mark.parametrize("kind", BOUNDS)
def test_one_small_file_more_costs_no_more_calls_than_it_did(
    hub: Hub, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    found = []
    for count in (FEW, MANY):
        name = f"acme/of-{count}"
        hub.model(name, license="mit").commit(
            {f"f{n:03}.npy": LFS(b"%d of %d" % (n, count) * 400) for n in range(count)}
        )
        target = _target(kind, tmp_path / str(count), lambda: request.getfixturevalue("moto"))
        found.append(_counted(hub, tmp_path / str(count), name, target))
    few, many = found
    files = MANY - FEW
    for made, before, bound in ((many.ours, few.ours, BOUNDS[kind][0]), (many.kernel, few.kernel, BOUNDS[kind][1])):
        more = Counter({name: (calls - before[name]) / files for name, calls in made.items()})
        assert sum(more.values()) <= bound, "\n".join(f"{calls:6.1f} {name}" for name, calls in more.most_common())
