"""A folder that pulls the mirror by Debian's rsync, as shipped: whole at any look, whatever the mirror does."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.ports.store import read_all
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.parts import program
from tests.places.site import Site, dangling
from tests.requirements import need
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.waiting import PATIENCE

SHIPPED = Path(__file__).parents[2] / "packaging/rsync"
STEPS = 6
"""Calls of rsync in a pull that nothing disturbs."""
SECRET = b"nobody may have this"
WRAPPER = """#!/bin/sh
at=$(($(cat "$CALLS/at") + 1))
echo $at > "$CALLS/at"
: > "$CALLS/asks.$at"
while [ ! -e "$CALLS/go.$at" ]; do sleep 0.02; done
exec {rsync} "$@"
"""
"""Stands before rsync on PATH: each call waits until it may go."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    need("rsync")
    made = Site(tmp_path)
    made.more = {"defaults": {"retention": {"snapshots": 0, "days": 0}}}
    made.write("acme/one", a_txt="1", same_txt="the same")
    made.write("acme/gone", secret_txt=SECRET, same_txt="the same")
    made.sync()
    return made


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """The shipped configuration, but for where the mirror lies and who may read the folders of a test."""
    text = (SHIPPED / "rsyncd.conf").read_text(encoding="utf-8")
    for line, ours in (
        ("path = /srv/mirror", f"path = {site.folder / 'main'}"),
        ("uid = nobody", f"uid = {os.getuid()}"),
        ("gid = nogroup", f"gid = {os.getgid()}"),
        ("use chroot = yes", f"use chroot = {'yes' if os.getuid() == 0 else 'no'}"),
        ("/run/rsyncd-mirror.lock", str(site.folder / "rsyncd.lock")),
    ):
        assert line in text
        text = text.replace(line, ours)
    conf, port = site.folder / "rsyncd.conf", free_port()
    conf.write_text(text, encoding="utf-8")
    command = [
        program("rsync"),
        "--daemon",
        "--no-detach",
        f"--config={conf}",
        f"--port={port}",
        f"--address={LOOPBACK}",
    ]
    with child(command, site.folder / "rsyncd.log") as daemon:
        daemon.wait_until(lambda: answers(port))
        yield f"rsync://{LOOPBACK}:{port}/mirror"


def begin(site: Site, url: str, calls: Path | None = None) -> subprocess.Popen[str]:
    environ = dict(os.environ)
    if calls is not None:
        calls.mkdir()
        (calls / "at").write_text("0")
        (calls / "rsync").write_text(WRAPPER.format(rsync=program("rsync")))
        (calls / "rsync").chmod(0o755)
        environ |= {"CALLS": str(calls), "PATH": f"{calls}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", str(SHIPPED / "rsync-pull"), url, str(site.folder / "pulled")]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pulled(site: Site, url: str) -> DirectoryStore:
    running = begin(site, url)
    _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, said) == (0, "")
    return DirectoryStore(site.folder / "pulled")


def test_a_folder_that_pulls_has_what_the_mirror_publishes_and_nothing_that_is_nobodys(site: Site, url: str) -> None:
    store = pulled(site, url)
    assert site.refs(store) == site.refs(site.main())
    tops = {path.name for path in (site.folder / "pulled").iterdir() if not path.name.startswith(".")}
    assert tops == {"blobs", "hub", "site", "trust"} & {path.name for path in (site.folder / "main").iterdir()}
    site.write("acme/one", a_txt="2")
    site.sync()
    site.prune()
    store = pulled(site, url)
    keys = {stat.key for stat in site.main().list("blobs/")}
    assert {stat.key for stat in store.list("blobs/")} == keys
    assert all(read_all(store, key, 1024 * 1024) == read_all(site.main(), key, 1024 * 1024) for key in keys)
    assert store.stat(blob_key(Sha256.of(b"1"))) is None


def test_nothing_dangles_at_any_look_wherever_in_a_pull_the_mirror_changes(site: Site, url: str) -> None:
    """A repo is taken down, another published, and what nobody names is removed, before any one of rsync's calls."""
    pulled(site, url)
    for name in ("main", "state", "pulled", "upstream"):
        shutil.copytree(site.folder / name, site.folder / f"{name}.kept")
    for disturbed in range(1, STEPS + 1):
        for name in ("main", "state", "pulled", "upstream"):
            shutil.rmtree(site.folder / name)
            shutil.copytree(site.folder / f"{name}.kept", site.folder / name)
        store, calls = DirectoryStore(site.folder / "pulled"), site.folder / f"calls.{disturbed}"
        running, at = begin(site, url, calls), 1
        while running.poll() is None:
            if (calls / f"asks.{at}").exists():
                assert list(dangling(store)) == [], (disturbed, at)
                if at == disturbed:
                    site.withdraw("acme/gone")
                    site.write("acme/one", a_txt="2")
                    site.write("acme/new", b_txt="3")
                    site.job = {"name": "all", "repos": ["acme/one", "acme/new"]}
                    site.sync()
                    site.prune()
                (calls / f"go.{at}").touch()
                at += 1
            time.sleep(0.01)
        assert (running.returncode, running.communicate()[1]) == (0, ""), disturbed
        assert at > disturbed
        assert list(dangling(store)) == []
    store = pulled(site, url)
    assert site.refs(store) == site.refs(site.main())
    assert store.stat(blob_key(Sha256.of(SECRET))) is None


def test_a_mirror_that_is_not_mounted_takes_nothing_from_who_pulls_it(site: Site, url: str) -> None:
    pulled(site, url)
    kept = {stat.key for stat in DirectoryStore(site.folder / "pulled").list("")}
    shutil.rmtree(site.folder / "main/hub")
    (site.folder / "main/hub").mkdir()
    running = begin(site, url)
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "has repos no more that were there: is it mounted?" in said
    assert {stat.key for stat in DirectoryStore(site.folder / "pulled").list("")} == kept


def test_a_mirror_whose_blobs_are_not_mounted_takes_nothing_from_who_pulls(site: Site, url: str) -> None:
    store = pulled(site, url)
    shutil.move(site.folder / "main/blobs", site.folder / "elsewhere")
    (site.folder / "main/blobs").mkdir()
    running = begin(site, url)
    _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, "is all of it mounted?" in said) == (1, True)
    assert list(dangling(store)) == []
    assert site.refs(store) == site.refs(site.main())


def test_a_mirror_with_files_in_a_cold_place_is_refused_and_nothing_is_lost(site: Site, url: str) -> None:
    store = pulled(site, url)
    before = {stat.key for stat in store.list("")}
    site.main().put("tiers/cold.json", b"{}", Sha256.of(b"{}"))
    pulling = begin(site, url)
    said = pulling.communicate(timeout=PATIENCE)[1]
    assert (pulling.returncode, "keeps files in a cold place" in said) == (1, True), said
    assert {stat.key for stat in store.list("")} == before
    site.main().delete(["tiers/cold.json"])
    assert list(dangling(pulled(site, url))) == []
