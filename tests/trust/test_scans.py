"""Scanners: what they say holds or lets pass, what fails never does, and nothing is scanned twice."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import sys
import threading
import time
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.app.versions.releasing import Wanted
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.classifier import classify
from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.domain.outcome.events import Event, SnapshotTurnedBad
from mirror_sync.domain.outcome.notices import Notice
from mirror_sync.domain.policy.scan_policy import (
    OnFailure,
    ScanCommand,
    ScanLimits,
    ScannedFile,
    ScannerReport,
    ScanPolicy,
    ScanResult,
    judge_scans,
)
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.inspection.blob_content import BlobContent
from mirror_sync.engine.inspection.turned_notes import TURNED
from mirror_sync.engine.published import read_refs
from mirror_sync.errors import Interrupted, StoreUnavailable, UsageError
from mirror_sync.observe.notify.state_notices import Notices
from mirror_sync.ports.scanner import FileContent
from mirror_sync.scanners.bounded_command import without_network
from mirror_sync.scanners.command_scanner import CommandScanner
from mirror_sync.scanners.pickle_scanner import PickleScanner, pickle_scanner
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.observers.test_notices import into
from tests.standin import LFS, Hub, faults
from tests.trust import recipes
from tests.trust.site import Site

SAFE: dict[str, Any] = {"README.md": b"hello"}
MANY = b"\x80\x04" + b"N0" * 20_000 + b"N."
STATE = LFS(recipes.torch_zip(OrderedDict(a=1)))


@pytest.fixture
def content(tmp_path: Path) -> Any:
    """Makes the content of a stored file."""
    store = DirectoryStore(tmp_path / "bucket")

    def stored(body: bytes) -> BlobContent:
        store.put(blob_key(Sha256.of(body)), body, Sha256.of(body))
        return BlobContent(store, Sha256.of(body), len(body))

    return stored


def found_in(name: str, content: FileContent) -> Classified:
    return classify(name, content.size, content.read)


def program(folder: Path, text: str) -> str:
    """A scanner of our own: a script of sh."""
    path = folder / "scanner"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def commanded(folder: Path, text: str, **limits: Any) -> CommandScanner:
    command = ScanCommand((program(folder, text), "{file}"), **limits)
    return CommandScanner(command, folder / "scans", threading.Event)


@pytest.mark.parametrize(
    ("text", "result", "why"),
    [
        ("exit 0", "clean", ""),
        ("echo Found: it is bad; exit 1", "dangerous", "Found: it is bad"),
        ("echo no database >&2; exit 2", "failed", "exit status 2: no database"),
        ("kill -9 $$", "failed", "ended by signal 9"),
        ('test "$(cat "$1")" = hello && test "${1##*/}" = a.txt', "clean", ""),
        ('test -z "$SECRET" && test -n "$PATH"', "clean", ""),
    ],
)
def test_the_exit_status_of_a_command_is_its_answer(
    tmp_path: Path, content: Any, text: str, result: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "word")
    body = content(b"hello")
    said = commanded(tmp_path, text).scan("deep/a.txt", found_in("a.txt", body), body)
    assert (said.result, said.why) == (result, why)
    assert list((tmp_path / "scans").iterdir()) == [], "no copy is left"


def test_a_command_that_takes_too_long_has_failed_and_nothing_of_it_goes_on(tmp_path: Path, content: Any) -> None:
    body, mark = content(b"hello"), tmp_path / "pid"
    scanner = commanded(
        tmp_path, f"sleep 300 & echo $! > {mark}; wait", limits=ScanLimits(timeout=timedelta(seconds=2))
    )
    said = scanner.scan("a", found_in("a", body), body)
    assert (said.result, said.why) == ("failed", "no answer in 2 s")
    for _ in range(100):
        if not Path(f"/proc/{mark.read_text().strip()}").exists():
            return
        time.sleep(0.1)
    state = Path(f"/proc/{mark.read_text().strip()}/stat").read_text()
    assert state.split()[2] == "Z", "only its entry waits to be collected"


def test_a_command_has_no_more_memory_than_it_may_take(tmp_path: Path, content: Any) -> None:
    body = content(b"hello")
    takes = f"exec {sys.executable} -c 'print(len(bytearray(1 << 30)))'"
    assert commanded(tmp_path, takes, limits=ScanLimits(memory=256 << 20)).scan(
        "a", found_in("a", body), body
    ).result in (
        ScanResult.FAILED,
        ScanResult.DANGEROUS,  # Python ends by 1 for what it did not catch
    )
    assert (
        commanded(tmp_path, takes, limits=ScanLimits(memory=4 << 30)).scan("a", found_in("a", body), body).result
        == "clean"
    )


def test_a_command_that_says_too_much_has_failed_before_the_disk_is_full(tmp_path: Path, content: Any) -> None:
    body = content(b"hello")
    scanner = commanded(tmp_path, "exec yes", limits=ScanLimits(timeout=timedelta(minutes=5)))
    said = scanner.scan("a", found_in("a", body), body)
    assert (said.result, said.why) == ("failed", "it said more than 16,777,216 bytes")


def test_a_copy_that_a_killed_process_has_left_is_removed_and_one_that_is_scanned_is_not(
    tmp_path: Path, content: Any
) -> None:
    body, folder = content(b"hello"), tmp_path / "scans"
    stop = threading.Event()
    slow = ScanCommand((program(tmp_path, "touch ready; sleep 300"), "{file}"))
    scanner = CommandScanner(slow, folder, lambda: stop)
    for name in ("scan-left", "another"):
        (folder / name).mkdir(parents=True)
        (folder / name / "weights").write_bytes(b"hello")
        os.utime(folder / name, (0, 0))
    with ThreadPoolExecutor() as pool:
        going = pool.submit(scanner.scan, "a", found_in("a", body), body)
        while not (ready := [one for one in folder.glob("*/ready") if one.is_file()]):
            time.sleep(0.05)
        os.utime(ready[0].parent, (0, 0))
        other = CommandScanner(ScanCommand(("true",)), folder, threading.Event)
        assert other.scan("b", found_in("b", body), body).result == "clean"
        assert {one.name for one in folder.iterdir()} == {"another", ready[0].parent.name}
        stop.set()
        with pytest.raises(Interrupted):
            going.result()
    assert [one.name for one in folder.iterdir()] == ["another"]


def test_a_command_has_no_network_or_its_name_says_so(tmp_path: Path, content: Any) -> None:
    scanner, body = commanded(tmp_path, 'test "$(grep -c : /proc/net/dev)" -le 1'), content(b"hello")
    if without_network():
        assert scanner.scan("a", found_in("a", body), body).result == "clean"
    else:
        assert "not kept from the network" in scanner.name


def test_a_command_that_is_not_there_has_failed(tmp_path: Path, content: Any) -> None:
    body = content(b"hello")
    scanner = CommandScanner(ScanCommand((str(tmp_path / "none"), "{file}")), tmp_path / "scans", threading.Event)
    assert scanner.scan("a", found_in("a", body), body).result == "failed"


def test_a_stop_ends_a_command(tmp_path: Path, content: Any) -> None:
    body, stop = content(b"hello"), threading.Event()
    command = ScanCommand((program(tmp_path, "sleep 300"), "{file}"))
    scanner = CommandScanner(command, tmp_path / "scans", lambda: stop)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Interrupted):
        scanner.scan("a", found_in("a", body), body)


@pytest.mark.parametrize(
    ("name", "body", "result"),
    [
        ("model.pt", recipes.torch_zip(OrderedDict(a=1)), "clean"),
        ("plain", recipes.FILES["plain-4.data"][1], "clean"),
        ("partial.pkl", pickle.dumps(partial(len)), "dangerous"),  # what picklescan calls it
        ("delta.pkl", pickle.dumps(timedelta(1)), "suspicious"),
        ("packed.joblib", recipes.FILES["packed.joblib"][1], "not scanned"),
        ("packed.pkl.gz", gzip.compress(b"N.", mtime=0), "not scanned"),
        ("words.bin", recipes.TEXT, "not scanned"),
        ("old-torch.tar", recipes.FILES["old-torch.tar"][1], "not scanned"),
    ],
)
def test_picklescan_is_asked_about_what_it_can_read_and_all_else_is_not_scanned(
    content: Any, name: str, body: bytes, result: str
) -> None:
    stored, scanner = content(body), pickle_scanner()
    found = found_in(name, stored)
    assert scanner.wants(name, found)
    assert scanner.scan(name, found, stored).result == result


def test_picklescan_reads_ranges_and_what_it_cannot_read_is_no_answer_of_its(content: Any) -> None:
    stored = content(recipes.torch_zip())

    class Silent:
        size = stored.size

        def read(self, start: int, length: int) -> bytes:
            raise StoreUnavailable("the target is silent")

        chunks = stored.chunks

    with pytest.raises(StoreUnavailable):
        pickle_scanner().scan("model.pt", found_in("model.pt", stored), Silent())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("many.pkl", MANY),
        ("many.pt", MANY),
        ("packed.pt", recipes.zipped({"m/data.pkl": MANY}, zipfile.ZIP_DEFLATED)),
        ("numbers.bin", b"\x80\x02" + b"K\x010" * 20_000 + b"N."),
        ("long.pkl", b"\x80\x04B" + (2_000_000).to_bytes(4, "little") + bytes(2_000_000) + b"."),
        ("line.pkl", b"\x80\x04V" + b"a" * 2_000_000 + b"\n."),
    ],
)
def test_a_pickle_that_takes_more_memory_than_there_is_for_it_is_a_failed_scan(
    content: Any, name: str, body: bytes
) -> None:
    """picklescan keeps all opcodes, and calls clean what it could not read to its end."""
    stored, scanner = content(body), pickle_scanner(held=1_000_000)
    said = scanner.scan(name, found_in(name, stored), stored)
    assert (said.result, said.why.startswith("it h")) == ("failed", True)
    few = content(recipes.torch_zip())
    assert scanner.scan("a.pt", found_in("a.pt", few), few).result == "clean"


def test_without_picklescan_a_pickle_is_not_scanned(content: Any) -> None:
    stored = content(recipes.torch_zip())
    said = PickleScanner(None, "").scan("model.pt", found_in("model.pt", stored), stored)
    assert (said.result, "mirror-sync[scan]" in said.why) == ("not scanned", True)


@pytest.mark.parametrize("result", list(ScanResult))
@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_only_clean_passes(result: ScanResult, on_failure: OnFailure) -> None:
    bad = () if result is ScanResult.CLEAN else (ScannedFile("a", result, "why"),)
    reports = [ScannerReport("one", "1", "now", 2, bad), ScannerReport("two", "2", "now", 2)]
    verdict = judge_scans(ScanPolicy(on_failure=on_failure), reports)
    wanted = "allowed" if not bad else "held" if result.found or on_failure is OnFailure.HOLD else "refused"
    assert (verdict.rule, verdict.outcome, verdict.code) == ("scan", wanted, "scan")
    assert "one 1 (now)" in verdict.reason


def counting(folder: Path, status: int = 0) -> dict[str, Any]:
    """A policy with a command that notes which files it was given."""
    return {"scan": {"command": [program(folder, f'basename "$1" >> {folder}/seen; exit {status}'), "{file}"]}}


def seen(folder: Path) -> list[str]:
    path = folder / "seen"
    return sorted(path.read_text().split()) if path.exists() else []


def test_each_file_is_scanned_once_and_the_root_says_by_whom_and_when(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "empty": b"", "model.pt": STATE})
    report = site.set(counting(tmp_path)).sync()
    assert report.outcome == "published", report.reason
    assert seen(tmp_path) == ["README.md", "model.pt"], "what is empty holds nothing"
    verdict = site.root().verdicts[-1]
    assert (verdict.rule, verdict.outcome, "2 files clean" in verdict.reason) == ("scan", "allowed", True)
    assert sorted(site.root().attachments) == ["classes", "scans"]
    repo.commit({"more.txt": b"more"})
    assert site.sync().outcome == "published"
    assert seen(tmp_path) == ["README.md", "model.pt", "more.txt"]


def test_what_a_scanner_finds_is_held_and_neither_fetched_nor_scanned_again(
    hub: Hub, site: Site, tmp_path: Path
) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    site.set(counting(tmp_path, 1))
    report = site.sync()
    assert (report.outcome, report.code, "is dangerous" in report.reason) == ("held", "scan", True)
    site.prune()
    again = site.sync()
    assert (again.outcome, again.reason, again.fetched_files) == ("held", report.reason, 0)
    assert len(seen(tmp_path)) == 2
    repo.commit({"more.txt": b"more"})
    assert site.sync().outcome == "held"
    assert len(seen(tmp_path)) == 3


def test_a_scan_that_failed_is_held_and_made_again_by_the_next_run(hub: Hub, site: Site, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    site.set(counting(tmp_path, 3))
    assert [site.sync().outcome, site.sync().outcome] == ["held", "held"]
    assert len(seen(tmp_path)) == 2
    counting(tmp_path, 0)  # the same command, which works now
    assert site.sync().outcome == "published"


def test_a_new_scanner_looks_at_what_was_published_before_it(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    assert site.set({"scan": {"picklescan": True}}).sync().outcome == "published"
    repo.commit({"more.txt": b"more"})
    site.set(counting(tmp_path)).sync()
    assert seen(tmp_path) == ["README.md", "model.pt", "more.txt"]


@pytest.mark.parametrize(
    ("levels", "done", "outcome", "said"),
    [
        ({}, True, "published", "hub"),
        ({"model.pt": "unsafe"}, True, "held", "model.pt is dangerous (all: unsafe)"),
        ({"model.pt": "suspicious"}, True, "held", "model.pt is suspicious"),
        ({}, False, "held", "README.md is not scanned (all: unscanned)"),
        ({"README.md": "a new word"}, True, "held", "README.md is failed"),
    ],
)
def test_what_the_hub_does_not_call_safe_waits(
    hub: Hub, site: Site, levels: dict[str, str], done: bool, outcome: str, said: str
) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    repo.scan(levels, done=done)
    report = site.set({"scan": {"hub": "hold"}}).sync()
    told = report.reason if outcome == "held" else site.root().verdicts[-1].reason
    assert (report.outcome, said in told) == (outcome, True), told


@pytest.mark.parametrize(
    ("of_repo", "of_files", "said"),
    [
        ({"model.pt": "unsafe"}, {}, "model.pt is dangerous (/scan: unsafe)"),
        ({"model.pt": "queued"}, {}, "model.pt is not scanned (/scan: queued)"),
        ({"model.pt": "error"}, {}, "model.pt is failed (/scan: error)"),
        ({"model.pt": "queued"}, {"model.pt": "unsafe"}, "model.pt is dangerous (all: unsafe)"),
        ({}, {"model.pt": "queued"}, "model.pt is not scanned (all: queued)"),
        ({"another.pt": "unsafe"}, {}, ""),
    ],
)
def test_the_worse_word_counts_of_what_the_hub_says_of_a_file_and_of_its_repo(
    hub: Hub, site: Site, of_repo: dict[str, str], of_files: dict[str, str], said: str
) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.pt": STATE})
    hub.model("acme/x").scan(of_repo, files=of_files)
    report = site.set({"scan": {"hub": "hold"}}).sync()
    assert (report.outcome, said in report.reason) == ("held" if said else "published", True), report.reason


def test_a_repo_that_the_hub_has_not_scanned_to_its_end_waits_whatever_is_said_of_its_files(
    hub: Hub, site: Site
) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    hub.model("acme/x").scan({}, done=False, files={})
    report = site.set({"scan": {"hub": "hold"}}).sync()
    assert report.outcome == "held"
    assert "README.md is not scanned (/scan: the repo is not scanned to its end)" in report.reason
    hub.model("acme/x").scan({}, files={})
    assert site.sync().outcome == "published", "what is not told yet is asked again"


def test_the_hub_is_asked_once_about_a_commit_and_once_for_each_hundred_files(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit({f"{n}.txt": b"%d" % n for n in range(230)})
    assert site.set({"scan": {"hub": "hold"}}).plan().api_calls == 7, "a look, listing, history, and these"
    assert site.sync().outcome == "published"
    asked = [one.path for one in hub.log if one.path.endswith("/scan") or "/paths-info/" in one.path]
    assert (len(asked), sum(path.endswith("/scan") for path in asked)) == (4, 1)
    assert site.sync().outcome == "unchanged"
    assert sum("/scan" in one.path for one in hub.log) == 1


def test_a_hub_without_a_verdict_on_repos_is_believed_by_what_it_says_of_files(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.pt": STATE})
    hub.faults.add(faults.status(404), "/api/models/acme/x/scan")
    report = site.set({"scan": {"hub": "hold"}}).sync()
    assert report.outcome == "published", report.reason


@pytest.mark.parametrize("answer", [{}, {"scansDone": "yes", "filesWithIssues": []}, {"scansDone": True}, []])
def test_a_verdict_on_a_repo_that_cannot_be_read_publishes_nothing(hub: Hub, site: Site, answer: object) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    hub.faults.add(faults.status(200, body=json.dumps(answer).encode()), "/api/models/acme/x/scan")
    report = site.set({"scan": {"hub": "hold"}}).sync()
    assert (report.outcome, report.code) == ("failed", "bad-answer"), report.reason


def test_a_job_may_ask_more_scanners(hub: Hub, site: Site, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    site.set({"scan": {"hub": "hold"}}, policy=counting(tmp_path, 1))
    assert site.sync().outcome == "held"
    assert list((tmp_path / "state" / "scans").iterdir()) == []


def turned(site: Site) -> list[SnapshotTurnedBad]:
    """What the last rescan told of."""
    assert site.mirror is not None
    told: list[Event] = []
    site.mirror._overhears.append(told.append)
    assert not site.mirror.rescan(Repo.parse("acme/x")).ok
    return [event for event in told if isinstance(event, SnapshotTurnedBad)]


def test_what_turned_bad_is_told_and_stays_and_a_new_commit_that_has_it_is_held(
    hub: Hub, site: Site, tmp_path: Path
) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({**SAFE, "model.pt": STATE})
    assert site.set(counting(tmp_path)).sync().outcome == "published"
    assert site.mirror is not None
    assert site.mirror.rescan().ok
    (tended,) = site.mirror.tended()
    assert (tended.target, tended.care, tended.faults) == ("it", "rescan", 0)
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')
    (event,) = turned(site)
    assert (event.repo, event.commit) == ("acme/x", first)
    assert "model.pt is dangerous (it is bad now)" in event.reason
    assert (site.sync().outcome, site.root().commit) == ("unchanged", first)
    repo.commit({"more.txt": b"more"})
    held = site.sync()
    assert (held.outcome, held.code, "model.pt is dangerous (it is bad now)" in held.reason) == ("held", "scan", True)
    counting(tmp_path)  # a false alarm, which the scanner's maker has mended
    assert site.mirror.rescan().ok
    assert site.sync().outcome == "published"


def test_another_machine_holds_new_commits_by_what_a_rescan_found_here(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    assert site.set(counting(tmp_path)).sync().outcome == "published"
    before = read_refs(site.plain, Repo.parse("acme/x"))
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')
    assert len(turned(site)) == 1
    noted = read_refs(site.plain, Repo.parse("acme/x"))
    assert (noted.snapshots, noted.refs) == (before.snapshots, before.refs), "nothing is taken away"
    counting(tmp_path)  # the other machine's scanner has no such signature yet
    first, site.state = site.state, tmp_path / "another"
    site.set(counting(tmp_path))
    repo.commit({"more.txt": b"more"})
    held = site.sync()
    assert (held.outcome, held.code, "model.pt is dangerous (it is bad now)" in held.reason) == ("held", "scan", True)
    repo.commit({"model.pt": b"other bytes"})
    assert site.sync().outcome == "published", "the file that was found is not in it"
    assert site.mirror is not None
    assert site.mirror.rescan().ok
    assert TURNED not in read_refs(site.plain, Repo.parse("acme/x")).attachments
    site.state = first
    site.set(counting(tmp_path))
    repo.commit({"model.pt": STATE})
    assert site.sync().outcome == "published", "a false alarm that one machine has ended holds nothing on another"


def test_what_a_name_of_ours_leads_to_is_scanned_again_too(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({**SAFE, "model.pt": STATE})
    assert site.set(counting(tmp_path)).sync().outcome == "published"
    assert site.mirror is not None
    site.mirror.releases.promote(
        Wanted(BY_DAEMON, "it", Repo.parse("acme/x"), "approved", wait=False), "main", "stable"
    )
    repo.commit({"model.pt": b"other bytes"})
    assert site.sync().outcome == "published"
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')
    assert {event.revision: event.commit for event in turned(site)}["refs/channels/stable"] == first


def test_a_note_that_cannot_be_written_hides_what_was_found_in_no_other_repo(
    hub: Hub, site: Site, tmp_path: Path
) -> None:
    for name in ("acme/w", "acme/x"):
        hub.model(name, license="mit").commit({**SAFE, "model.pt": STATE})
    site.set(counting(tmp_path), repos=["acme/w", "acme/x"])
    assert site.mirror is not None
    assert site.mirror.sync(BY_DAEMON).ok
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')

    def refuse(key: str) -> None:
        if key == refs_key(Repo.parse("acme/w")):
            raise StoreUnavailable("the disk is read-only")

    site.store.before_put = refuse
    with pytest.raises(StoreUnavailable, match="read-only"):
        site.mirror.rescan()
    assert TURNED in read_refs(site.plain, Repo.parse("acme/x")).attachments
    site.store.before_put = lambda key: None
    counting(tmp_path)
    hub.model("acme/w").commit({"more.txt": b"more"})
    held = next(one for one in site.mirror.sync(BY_DAEMON).repos if one.repo == "acme/w")
    assert (held.outcome, held.code) == ("held", "scan"), "this machine holds by it all the same"


def test_what_is_noted_and_cannot_be_read_publishes_nothing(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    site.set(counting(tmp_path)).sync()
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')
    turned(site)
    digest = read_refs(site.plain, Repo.parse("acme/x")).attachments[TURNED]
    site.plain.delete([blob_key(digest)])
    repo.commit({"more.txt": b"more"})
    report = site.sync()
    assert (report.outcome, "the note is gone: mirror-sync rescan" in report.reason) == ("failed", True)


def test_what_a_rescan_found_before_it_was_stopped_holds_new_commits_too(hub: Hub, site: Site, tmp_path: Path) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "model.pt": STATE})
    assert site.set(counting(tmp_path)).sync().outcome == "published"
    after, nothing = refs_key(Repo.parse("acme/z")), Refs().encode()  # whose turn comes when the stop has come
    site.plain.put(after, nothing, Sha256.of(nothing))
    program(tmp_path, 'case "$1" in *.pt) echo it is bad now; exit 1;; esac')
    mirror = site.mirror
    assert mirror is not None
    mirror._overhears.append(lambda event: mirror.stop.set() if isinstance(event, SnapshotTurnedBad) else None)
    assert mirror.rescan().interrupted
    mirror.stop.clear()
    counting(tmp_path)
    repo.commit({"more.txt": b"more"})
    held = site.sync()
    assert (held.outcome, held.code, "model.pt is dangerous (it is bad now)" in held.reason) == ("held", "scan", True)


def test_hooks_of_what_is_held_are_told_of_what_turned_bad() -> None:
    told: list[Notice] = []
    parts = "job", Kind.MODEL, "acme/x", "main", "c" * 40
    Notices(list, into(told))(SnapshotTurnedBad(*parts, "one: model.pt is dangerous"))
    (notice,) = told
    said = "what is published turned bad: one: model.pt is dangerous"
    assert notice.text == f"mirror-sync held: acme/x@main (job job, commit cccccccc): {said}"


def test_a_rescan_without_a_policy_or_of_what_is_not_mirrored_is_a_misuse(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    mirror = site.set().mirror
    assert mirror is not None
    with pytest.raises(UsageError, match="no job has a policy"):
        mirror.rescan()
    site.set({"formats": {"allow": ["text"]}}).sync()
    assert site.mirror is not None
    with pytest.raises(UsageError, match="nothing of acme/y is mirrored"):
        site.mirror.rescan(Repo.parse("acme/y"))
    site.set({"formats": {"refuse": ["text"]}})
    (one,) = site.mirror.rescan().snapshots
    assert (one.result, "policy.formats refuses text" in one.reason) == ("bad", True)


def test_what_a_person_has_approved_is_clean_to_a_rescan_too(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    said = {"repo": "acme/x", "commit": "any", "rule": "formats", "outcome": "approve", "by": "Ada", "why": "read"}
    (site.folder / "decisions.yaml").write_text(json.dumps({"version": 1, "decisions": [said]}), encoding="utf-8")
    assert site.set({"formats": {"hold": ["text"], "allow": ["data"]}}).sync().outcome == "published"
    assert site.mirror is not None
    (one,) = site.mirror.rescan().snapshots
    assert (one.result, "approved by Ada: read" in one.reason) == ("clean", True)
