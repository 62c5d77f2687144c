"""`replicate`, `verify --across`, `target promote` as a person calls them; and a sync beside a replica that is dead."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from threading import Event

import pytest

from mirror_sync.app.places import bulk_filling
from mirror_sync.config.load import load
from mirror_sync.config.promoted_target import promoted
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.domain.outcome.replicas import MARK
from mirror_sync.errors import Interrupted, StoreUnavailable, UsageError
from tests.cli.program import Ended, Program
from tests.peak_memory import peak_of
from tests.places.site import Site
from tests.requirements import need_tool

BODY = b"the bytes of a file"
MIB = 1024 * 1024
BOUND = 300 * MIB


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.write("acme/one", a_txt=BODY)
    made.jobs_yaml()
    return made


def call(site: Site, *arguments: str) -> Ended:
    return Program(site.folder)("-q", *arguments)


def test_a_sync_copies_to_the_replica_and_across_finds_what_is_lost_there_which_anew_mends(site: Site) -> None:
    assert call(site, "sync").code == 0
    told = call(site, "verify", "--across")
    assert (told.code, "main/far: 1 repo, 6 blobs: the same as the target" in told.out) == (0, True), told
    place = site.folder / "far" / blob_key(Sha256.of(BODY))
    place.unlink()
    told = call(site, "verify", "--across")
    assert told.code == 1
    assert f"main/far: a.txt, sha256 {Sha256.of(BODY)}: it is not there" in told.out
    assert "mend it by mirror-sync replicate --target main --replica far --anew" in " ".join(told.out.split())
    assert call(site, "replicate", "--anew").code == 0
    assert call(site, "verify", "--across").code == 0
    place.write_bytes(BODY[::-1])  # of the same size: only who reads it can tell
    assert call(site, "replicate", "--anew").code == 0
    assert place.read_bytes() == BODY
    found = json.loads(call(site, "status", "--json").out)["replicas"]
    assert [(one["target"], one["name"], one["state"], one["reason"]) for one in found] == [
        ("main", "far", "current", "")
    ]
    shown = json.loads((site.folder / "main/site/status.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in shown["replicas"]] == ["far"]


def test_a_copy_of_a_file_that_is_larger_than_the_bound_of_memory_stays_below_it(site: Site) -> None:
    with (site.upstream / "acme/one/large.bin").open("wb") as file:
        file.truncate(BOUND + 20 * MIB)
    site.sync()  # of the target alone
    path = site.jobs_yaml()
    _, peak = peak_of(path, "-q", "replicate")
    assert peak < BOUND
    assert sum(one.stat().st_size > BOUND for one in (site.folder / "far/blobs").rglob("*")) == 1


def test_across_names_a_repo_that_the_replica_alone_has(site: Site) -> None:
    assert call(site, "sync").code == 0
    (published,) = (site.folder / "far/hub/models").iterdir()
    shutil.copytree(published, published.with_name("acme--foreign"))
    told = call(site, "verify", "--across")
    assert (told.code, "acme/foreign" in told.out) == (1, True), told
    assert "the target publishes no such repo: somebody else wrote here" in " ".join(told.out.split())


def test_a_replica_that_is_dead_fails_no_sync_and_says_so_itself(site: Site) -> None:
    with socket.socket() as silent:  # takes connections, and never answers one
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        site.replica = {
            "name": "far",
            "url": "s3://far-away",
            "endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "access_key": "a",
            "secret_key": "b",
            "wait": "1s",
        }
        site.jobs_yaml()
        told = call(site, "sync")
        assert (told.code, "1 repo: 1 published" in told.out) == (0, True), told
        status = call(site, "status")
    assert status.code == 0
    assert "replica main/far: no pass of this machine has come to its end" in status.out
    told = call(site, "replicate")  # by now nobody listens at all
    assert (told.code, "empty" in told.out) == (1, True), told


def test_a_promoted_replica_is_the_target_and_the_old_one_its_replica(site: Site) -> None:
    assert call(site, "sync").code == 0
    assert call(site, "target", "promote", "nowhere").code == 2
    told = call(site, "target", "promote", "far", "--dry-run")
    assert (told.code, "It could become the target" in told.out) == (0, True), told
    told = call(site, "target", "promote", "main/far")
    changed = f"far is whole: 1 repo. In {site.folder / 'jobs.yaml'} it is the target now, and main its replica."
    assert (told.code, changed in told.out, "DNS" in told.out) == (0, True, True), told
    targets = load(site.folder / "jobs.yaml", {}).targets
    assert isinstance(targets["far"], DirectoryTarget)
    assert targets["far"].root == site.folder / "far"
    assert [(one.name, one.at) for one in targets["far"].replicas] == [
        ("main", DirectoryTarget(site.folder / "main", targets["far"].grace))
    ]
    assert not (site.folder / "far" / MARK).exists()
    site.write("acme/one", a_txt="newer")
    told = Program(site.folder)("-q", "sync")
    assert told.code == 0, told
    body = (site.folder / "far/hub/models/acme--one/refs.json").read_bytes()
    assert (site.folder / "main/hub/models/acme--one/refs.json").read_bytes() == body
    assert (site.folder / "main" / MARK).exists()
    assert not (site.folder / "far" / MARK).exists()


def test_a_replica_takes_the_place_of_a_target_that_is_lost_only_where_somebody_says_so_and_it_is_whole(
    site: Site,
) -> None:
    assert call(site, "sync").code == 0
    shutil.rmtree(site.folder / "main")
    before = (site.folder / "jobs.yaml").read_text(encoding="utf-8")
    told = call(site, "target", "promote", "far")
    assert (told.code, "target promote far --without-old" in told.err) == (2, True), told
    assert (site.folder / "jobs.yaml").read_text(encoding="utf-8") == before
    place = site.folder / "far" / blob_key(Sha256.of(BODY))
    place.unlink()
    told = call(site, "target", "promote", "far", "--without-old")
    assert (told.code, "is not whole (1 fault, the first" in told.err) == (2, True), told
    place.write_bytes(BODY)
    assert call(site, "target", "promote", "far", "--without-old").code == 0
    assert set(load(site.folder / "jobs.yaml", {}).targets) == {"far"}


BLOCK = """\
version: 1
state_dir: ./state
upstreams: {local: {kind: directory, url: ./in}}
targets:
  main:             # in the basement
    url: s3://models-main   # do not empty
    endpoint_url: "http://127.0.0.1:9000"
    access_key: ${S3_KEY:-}   # of the team
    secret_key: ${S3_SECRET:-}
    grace: 24h
    replicas:
      # across the river
      - name: far
        url: file:///srv/far
        hours: 01:00-06:00
      - {name: disk, url: ./disk}
  other: {url: ./other}
defaults: {target: main}
jobs:
  - {name: a, repos: [acme/a], target: other}
  - name: b
    target: main  # the usual one
    repos: [acme/b]
"""


@pytest.mark.parametrize("replica", ["far", "disk"])
def test_jobs_yaml_is_changed_in_place_with_all_its_comments_and_back_again(tmp_path: Path, replica: str) -> None:
    path = tmp_path / "jobs.yaml"
    environ = {"S3_KEY": "0123456789", "S3_SECRET": "0123456789"}
    path.write_text(BLOCK, encoding="utf-8")
    before = load(path, environ)
    made = promoted(path, BLOCK, "main", replica)
    path.write_text(made, encoding="utf-8")
    after = load(path, environ)
    for comment in ("# in the basement", "# do not empty", "# across the river", "# the usual one", "# of the team"):
        assert comment in made
    old, new = before.targets["main"], after.targets[replica]
    assert set(after.targets) == {replica, "other"}
    assert isinstance(new, DirectoryTarget)
    moved = next(one for one in new.replicas if one.name == "main")
    gone = next(one for one in old.replicas if one.name == replica)
    assert isinstance(moved.at, S3Target)
    assert (moved.at.bucket, moved.at.access_key, moved.at.grace, moved.hours) == (
        *("models-main", "0123456789", old.grace),
        gone.hours,
    )
    assert new.grace == gone.at.grace
    assert [job.target for job in after.jobs] == ["other", replica]
    again = promoted(path, made, replica, "main")
    path.write_text(again, encoding="utf-8")
    assert load(path, environ).targets == before.targets
    assert load(path, environ).jobs == before.jobs


def test_the_lease_of_two_daemons_follows_its_target_and_a_class_of_storage_goes_into_no_folder(tmp_path: Path) -> None:
    path, environ = tmp_path / "jobs.yaml", {"S3_KEY": "0123456789", "S3_SECRET": "0123456789"}
    text = BLOCK.replace("defaults:", "ha: {target: main, lease: 30s}  # both of us\ndefaults:")
    made = promoted(path, text, "main", "far")
    path.write_text(made, encoding="utf-8")
    assert load(path, environ).leased == "far"
    assert "# both of us" in made
    tiers = "    tiers: {cold: {after_unread: 30d, class: GLACIER}, logs: [/var/log/a.log]}\n    replicas:\n"
    with pytest.raises(UsageError, match="a class of storage, which the folder of far has not"):
        promoted(path, BLOCK.replace("    replicas:\n", tiers), "main", "far")


def test_what_cannot_be_changed_in_place_is_left_as_it_is(tmp_path: Path) -> None:
    text = BLOCK.replace("replicas:\n", "replicas: &all\n").replace("{url: ./other}", "{url: ./other, replicas: *all}")
    with pytest.raises(UsageError, match="change places under targets by hand"):
        promoted(tmp_path / "jobs.yaml", text, "main", "far")
    with pytest.raises(UsageError, match="there is a target other already"):
        promoted(tmp_path / "jobs.yaml", BLOCK.replace("name: far", "name: other"), "main", "other")


def test_rclone_fills_blobs_which_are_proved_before_anything_names_them(site: Site) -> None:
    beside = need_tool("rclone").parent
    with site.program() as program:
        from mirror_sync.domain.audit_record import BY_DAEMON

        program.sync(BY_DAEMON)
    lies = blob_key(Sha256.of(BODY))
    (site.folder / "main" / lies).chmod(0o644)
    (site.folder / "main" / lies).write_bytes(BODY[::-1])  # rclone brings what is there
    by_rclone = Program(site.folder, environ={"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"})
    told = by_rclone("-q", "replicate", "--engine", "rclone")
    assert (told.code, "the target holds other bytes" in " ".join(told.out.split())) == (1, True), told
    assert (site.folder / "far" / lies).read_bytes() == BODY[::-1]
    assert not (site.folder / "far/hub").exists()
    (site.folder / "main" / lies).write_bytes(BODY)
    told = call(site, "replicate")  # which remembers that something there was never proved
    assert (told.code, "1 blob copied" in told.out) == (0, True), told
    assert (site.folder / "far" / lies).read_bytes() == BODY
    told = call(site, "replicate", "--engine", "rclone")
    assert (told.code, "there is no rclone on PATH" in told.err) == (2, True), told


def test_a_rclone_that_does_not_end_is_ended_and_only_its_last_words_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "rclone"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    main, far = (DirectoryTarget(tmp_path / name) for name in ("main", "far"))
    program.write_text("#!/bin/sh\nyes 'all is well' | head -c 1000000\necho 'no such bucket'\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(StoreUnavailable, match=r"^rclone ended with 3: .{,400} no such bucket$"):
        bulk_filling.fill_by_rclone(main, far, Event())
    deaf = tmp_path / "deaf"
    program.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {deaf}\nwhile :; do sleep 0.1; done\n")
    monkeypatch.setattr(bulk_filling, "_FAREWELL", 0.2)
    stop = WhenThere(deaf)
    with pytest.raises(Interrupted):
        bulk_filling.fill_by_rclone(main, far, stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int(deaf.read_text()), 0)


class WhenThere(Event):
    """Set when a file has been written."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def is_set(self) -> bool:
        return self._path.exists() and self._path.read_text().endswith("\n")
