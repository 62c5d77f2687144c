"""Scanners are processes of their own: bounded, ended with all that they start, and known by what they are."""

from __future__ import annotations

import pickle
import threading
import time
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.policy.scan_policy import ScanCommand, ScanLimits
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import Interrupted, StoreUnavailable
from mirror_sync.scanners.command_scanner import CommandScanner
from mirror_sync.scanners.pickle_process import BoundedPickleScanner
from mirror_sync.scanners.pickle_scanner import pickle_scanner
from tests.standin import Hub
from tests.trust import recipes
from tests.trust.site import Site
from tests.trust.test_scans import SAFE, STATE, commanded, content, found_in, program, seen

__all__ = ["content"]  # a fixture

# A process that leaves its group and its session, and whose parent ends: its own parent is nobody's of the command.
LEAVES = "setsid sh -c 'sh -c \"echo \\$\\$ > {mark}; exec sleep 300\" &'; while ! test -s {mark}; do sleep 0.05; done"


def is_gone(mark: Path) -> bool:
    return not Path(f"/proc/{mark.read_text().strip()}").exists()


@pytest.mark.parametrize(("end", "result"), [("exit 0", "clean"), ("exit 1", "dangerous"), ("sleep 300", "failed")])
def test_what_a_command_has_started_ends_with_it_also_what_left_its_group_and_its_session(
    tmp_path: Path, content: Any, end: str, result: str
) -> None:
    body, mark = content(b"hello"), tmp_path / "mark"
    limits = ScanLimits(timeout=timedelta(seconds=20 if result == "failed" else 300))
    scanner = commanded(tmp_path, f"{LEAVES.format(mark=mark)}; {end}", limits=limits)
    assert scanner.scan("a", found_in("a", body), body).result == result
    assert is_gone(mark)


def test_a_stop_ends_what_has_left_the_group_of_a_command(tmp_path: Path, content: Any) -> None:
    body, mark, stop = content(b"hello"), tmp_path / "mark", threading.Event()
    command = ScanCommand((program(tmp_path, f"{LEAVES.format(mark=mark)}; sleep 300"), "{file}"))
    scanner = CommandScanner(command, tmp_path / "scans", lambda: stop)

    def when_it_runs() -> None:
        while not mark.exists() or not mark.read_text():
            time.sleep(0.05)
        stop.set()

    watching = threading.Thread(target=when_it_runs)
    watching.start()
    with pytest.raises(Interrupted):
        scanner.scan("a", found_in("a", body), body)
    watching.join()
    assert is_gone(mark)


def bounded(stop: threading.Event | None = None, **limits: Any) -> BoundedPickleScanner:
    return BoundedPickleScanner(ScanLimits(**limits), lambda: stop or threading.Event())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("model.pt", recipes.torch_zip(OrderedDict(a=1))),
        ("short.pkl", pickle.dumps({})),
        ("delta.pkl", pickle.dumps(timedelta(1))),
        ("words.bin", recipes.TEXT),
        ("broken.pkl", b"\x80\x04cos\n"),
    ],
)
def test_picklescan_says_the_same_in_a_process_of_its_own(content: Any, name: str, body: bytes) -> None:
    stored = content(body)
    found = found_in(name, stored)
    scanner = bounded()
    assert scanner.wants(name, found)
    assert scanner.scan(name, found, stored) == pickle_scanner().scan(name, found, stored)
    assert scanner.version == pickle_scanner().version


def test_what_picklescan_does_not_end_with_in_time_is_a_failed_scan(content: Any) -> None:
    stored = content(recipes.torch_zip())
    said = bounded(timeout=timedelta(0)).scan("model.pt", found_in("model.pt", stored), stored)
    assert (said.result, said.why) == ("failed", "no answer in 0 s")


def test_picklescan_has_no_more_memory_than_it_may_take(content: Any) -> None:
    """A limit of the kernel's would be no limit: picklescan goes on after a MemoryError, and calls the file clean."""
    stored = content(b"\x80\x04" + b"N0" * 1_000_000 + b"N.")
    found = found_in("many.pkl", stored)
    said = bounded(memory=40 << 20).scan("many.pkl", found, stored)
    assert (said.result, said.why) == ("failed", "it takes more than 41,943,040 bytes of memory")


def test_a_stop_ends_picklescan_and_a_target_that_is_silent_is_no_answer_of_its(content: Any) -> None:
    stored, stop = content(recipes.torch_zip()), threading.Event()
    found = found_in("model.pt", stored)

    class Slow:
        size = stored.size
        chunks = stored.chunks

        def read(self, start: int, length: int) -> bytes:
            stop.set()
            time.sleep(0.5)
            return bytes(length)

    class Silent(Slow):
        def read(self, start: int, length: int) -> bytes:
            raise StoreUnavailable("the target is silent")

    with pytest.raises(StoreUnavailable):
        bounded().scan("model.pt", found, Silent())
    stop.set()
    with pytest.raises(Interrupted):
        bounded(stop).scan("model.pt", found, Slow())


def listing(folder: Path, status: int, more: str = "") -> dict[str, Any]:
    """A policy whose command finds something in model.pt, or nothing; it notes which files it was given."""
    found = f'basename "$1" >> {folder}/seen; case "$1" in *.pt) exit {status};; esac {more}'
    return {"scan": {"command": [program(folder, found), "{file}"]}}


def test_a_false_finding_ends_with_the_program_that_made_it(hub: Hub, site: Site, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.pt": STATE})
    policy = listing(tmp_path, 1)
    assert [site.set(policy).sync().outcome, site.sync().outcome] == ["held", "held"]
    assert seen(tmp_path) == ["README.md", "model.pt"]
    listing(tmp_path, 0)  # another program of the same name
    assert site.sync().outcome == "published", "also to a process that goes on"


def test_what_a_program_says_of_its_version_counts_where_it_is_asked(hub: Hub, site: Site, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.pt": STATE})
    signatures = tmp_path / "signatures"
    signatures.write_text("1")
    policy = listing(tmp_path, 1)
    policy["scan"]["command"][0] = program(tmp_path, f'case "$1" in *.pt) exit $(cat {signatures});; esac')
    policy["scan"]["version"] = ["/bin/cat", str(signatures)]
    assert site.set(policy).sync().outcome == "held"
    signatures.write_text("0")
    assert site.set(policy).sync().outcome == "published", "a new process asks at once, one that goes on each minute"


def test_rescan_again_has_what_is_held_scanned_anew_by_the_next_sync(hub: Hub, site: Site, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.pt": STATE})
    signatures = tmp_path / "signatures"
    signatures.write_text("1")
    policy = listing(tmp_path, 1)
    policy["scan"]["command"][0] = program(tmp_path, f'case "$1" in *.pt) exit $(cat {signatures});; esac')
    assert site.set(policy).sync().outcome == "held"
    signatures.write_text("0")
    assert site.sync().outcome == "held", "nobody has seen that"
    assert site.mirror is not None
    assert site.mirror.rescan(Repo.parse("acme/x"), again=True).ok
    assert site.sync().outcome == "published"


def test_the_version_of_a_command_is_of_its_scripts_too(tmp_path: Path) -> None:
    script = tmp_path / "scan.py"
    script.write_text("1")
    scanner = CommandScanner(ScanCommand(("/bin/sh", str(script), "{file}")), tmp_path / "scans", threading.Event)
    before = scanner.version
    assert scanner.version == before
    script.write_text("22")
    assert scanner.version != before
