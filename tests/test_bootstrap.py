"""The mirror that a configuration describes: safe for threads, with as many connections as its jobs keep busy."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.state.history import History
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring import program as verbs
from mirror_sync.wiring.adapters import connections_of
from mirror_sync.wiring.program import Mirror

CONFIG = """\
version: 1
state_dir: state
upstreams:
  local: {kind: directory, url: "file://FOLDER/upstream"}
targets:
  disk: {url: "file://FOLDER/mirror"}
  spare: {url: "file://FOLDER/spare"}
defaults: {upstream: local, target: disk}
licenses: {allow: [mit]}
jobs:
  - {name: good, repos: [acme/one]}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "jobs.yaml"
    path.write_text(CONFIG.replace("FOLDER", str(tmp_path)), encoding="utf-8")
    repo = tmp_path / "upstream" / "acme" / "one"
    repo.mkdir(parents=True)
    (repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    return load(path, {})


def stale(folder: Path) -> Path:
    """What an upload has left that was forgotten long ago."""
    left = folder / ".staging" / "1-0123456789abcdef"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of a file")
    os.utime(left, (0, 0))
    return left


def test_threads_that_come_at_once_share_one_history_and_one_site(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[History] = []
    together = threading.Barrier(8)

    class Counted(History):
        def __init__(self, path: Path, *, places: Mapping[str, str], targets: Mapping[str, str], reading: bool) -> None:
            super().__init__(path, places=places, targets=targets, reading=reading)
            made.append(self)

    monkeypatch.setattr(verbs, "History", Counted)
    mirror = Mirror(settings)

    def enter(number: int) -> object:
        together.wait()
        return mirror.history if number % 2 else mirror._context()

    with ThreadPoolExecutor(8) as threads:
        found = {id(thing) for thing in threads.map(enter, range(8))}
    assert len(found) == 2
    assert made == [mirror.history]
    mirror.close()


def test_a_mirror_that_only_serves_opens_no_history(settings: Settings) -> None:
    mirror = Mirror(settings)
    mirror.store("disk")
    mirror.close()
    assert not settings.state_dir.exists()


@pytest.mark.parametrize(("workers", "connections"), [((), 32), ((1,), 32), ((64,), 84), ((8, 64), 112)])
def test_there_are_connections_for_all_that_jobs_do_at_once(workers: tuple[int, ...], connections: int) -> None:
    jobs = [Job(f"job{count}", (), "hub", "bucket", workers=count) for count in workers]
    assert connections_of(jobs) == connections


def test_a_prune_sweeps_what_uploads_left_and_a_dry_run_leaves_it(settings: Settings, tmp_path: Path) -> None:
    left = stale(tmp_path / "mirror")
    mirror = Mirror(settings)
    assert mirror.prune(BY_DAEMON, dry_run=True).ok
    assert left.exists()
    assert mirror.prune(BY_DAEMON).ok
    assert not left.exists()
    mirror.close()


def test_a_target_that_cannot_be_swept_is_a_warning_and_the_others_are_swept(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / ".staging").write_text("a file where a folder should be", encoding="utf-8")
    left = stale(tmp_path / "spare")
    mirror = Mirror(settings)
    with structlog.testing.capture_logs() as logged:
        mirror.sweep()
    assert [(line["log_level"], line["event"], line["target"]) for line in logged] == [
        ("warning", "sweep.failed", "disk"),
        ("info", "sweep.done", "spare"),
    ]
    assert not left.exists()
    mirror.close()


def test_what_was_published_is_remembered_with_its_lag_and_not_read_again(settings: Settings, tmp_path: Path) -> None:
    readme = tmp_path / "upstream" / "acme" / "one" / "README.md"
    mirror = Mirror(settings)
    mirror.sync(BY_DAEMON)
    readme.write_text("---\nlicense: mit\n---\nmore\n", encoding="utf-8")
    (report,) = mirror.sync(BY_DAEMON).repos
    (status,) = mirror.status()
    assert report.lag_seconds is not None
    assert (status.committed, status.published, status.lag_seconds) == (
        report.committed,
        report.published,
        report.lag_seconds,
    )
    refs = read_refs(DirectoryStore(tmp_path / "mirror"), Repo.parse("acme/one"))
    root = refs.root_of("main")
    assert root is not None
    (tmp_path / "mirror" / blob_key(root)).unlink()
    assert [repo.outcome for repo in mirror.sync(BY_DAEMON).repos] == ["unchanged"]
    (tmp_path / "state" / "looks.db").unlink()
    assert [repo.outcome for repo in Mirror(settings).sync(BY_DAEMON).repos] == ["published"]
