"""A replica publishes each repo as its target did or does, whole, whatever dies, lies or does not answer."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.replicas import MARK, ReplicaMark, ReplicaState
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import BlobFrozen
from mirror_sync.ports.store import read_all
from tests.places.site import Died, Site, dangling
from tests.waiting import until

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

MIB = 1024 * 1024


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=["folder to folder", "bucket to bucket"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    near, far = request.param.split(" to ")
    server: Callable[[], S3Server] = lambda: request.getfixturevalue("radosgw")  # noqa: E731
    target = server().place("a/prefix/") if near == "bucket" else {}
    return Site(tmp_path, target, server().place("a/prefix/") if far == "bucket" else {})


def test_everything_is_copied_and_no_reader_ever_finds_anything_that_dangles(anywhere: Site) -> None:
    site = anywhere
    site.write("acme/one", a_txt="one")
    site.write("acme/two", big_bin=os.urandom(20 * MIB), same_txt="one")
    site.sync()
    with site.copying() as copying:
        copying.reading = True
        status = copying.copy()
        assert (status.state, status.reason, status.repos) == (ReplicaState.CURRENT, "", 0)
        assert copying.looks >= 2
        across = copying.replicas.across("main", copying.settings_of_far)  # a bucket tells no MD5 of what came in parts
        assert (across.ok, across.faults) == (True, ())
    assert site.refs(site.far()) == site.refs(site.main())
    names = {stat.key for stat in site.main().list("")} - {stat.key for stat in site.main().list("prunes/")}
    assert {stat.key for stat in site.far().list("")} == names | {MARK}
    for key in names:
        assert read_all(site.far(), key, 64 * MIB) == read_all(site.main(), key, 64 * MIB)
    site.write("acme/one", a_txt="another", b_txt="more")
    site.sync()
    with site.copying() as copying:
        copying.reading = True
        assert copying.soon()
        assert sum(key.startswith("put blobs/") for key in copying.far.writes) < 12
    assert site.refs(site.far()) == site.refs(site.main())


def test_a_process_that_dies_at_any_write_leaves_each_repo_as_it_was_or_as_it_is(site: Site) -> None:
    site.more = {"site": {"enabled": False}}
    site.write("acme/one", a_txt="1")
    site.write("acme/two", a_txt="2")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    old = site.refs(site.far())
    site.write("acme/one", a_txt="new 1", b_txt="b")
    site.write("acme/two", a_txt="new 2")
    site.write("acme/three", a_txt="3")
    site.sync()
    new = site.refs(site.main())
    shutil.copytree(site.folder / "far", site.folder / "far.kept")
    shutil.copytree(site.folder / "state", site.folder / "state.kept")
    at, seen = 0, set[int]()
    while True:
        for name in ("far", "state"):
            shutil.rmtree(site.folder / name, ignore_errors=True)  # threads of who has died may be at a blob still
            shutil.copytree(site.folder / f"{name}.kept", site.folder / name, dirs_exist_ok=True)
        with site.copying() as copying:
            copying.reading, copying.far.dies = True, at
            try:
                copying.copy()
            except Died:
                died = True
            else:
                died = False
        now = site.refs(site.far())
        assert all(body in (old.get(repo), new[repo]) for repo, body in now.items()), at
        assert list(dangling(site.far())) == []
        seen.add(sum(now.get(repo) == new[repo] for repo in new))
        with site.copying() as copying:
            assert copying.soon()
        assert site.refs(site.far()) == new
        if not died:
            break
        at += 1
    assert seen == {0, 1, 2, 3}


def test_a_replica_of_which_nothing_has_changed_costs_calls_however_many_repos_there_are(site: Site) -> None:
    costs = []
    for many in (2, 40):
        for number in range(many):
            site.write(f"acme/n{number}", a_txt=str(number))
        site.sync()
        with site.copying() as copying:
            copying.copy()
            assert copying.soon()  # what a run leaves behind: nothing is to be copied any more
            assert copying.soon()
            costs.append((dict(copying.main.calls), dict(copying.far.calls)))
    assert costs[0] == costs[1]
    assert costs[0] == ({"list": 3}, {"read": 1, "put": 1})


def test_a_machine_that_remembers_nothing_reads_each_refs_json_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a standby does that leads now, of more of them than are held in memory."""
    monkeypatch.setattr("mirror_sync.engine.places.replica_pass._KEPT", 1000)
    names = [f"acme/n{number}" for number in range(12)]
    for name in names:
        site.write(name, a_txt=name)
    site.sync()
    with site.copying() as copying:
        copying.copy()
    shutil.rmtree(site.folder / "state")
    with site.copying() as copying:
        read: Counter[str] = Counter()
        copying.main.fails = lambda verb, key: bool(verb == "read" and key.startswith("hub/") and read.update([key]))
        assert copying.copy().state is ReplicaState.CURRENT
    assert read == {refs_key(Repo.parse(name)): 1 for name in names}


def test_a_change_of_one_file_of_many_copies_that_file_and_the_documents_that_name_it(site: Site) -> None:
    site.write("acme/many", **{f"f{number:04}_txt": str(number) for number in range(800)})
    site.sync()
    with site.copying() as copying:
        assert copying.copy().copied_blobs > 800
        site.write("acme/many", f0400_txt="changed")
        site.sync()
        assert copying.soon()
        copied = [key for key in copying.far.writes if key.startswith("put blobs/")]
        assert len(copied) < 12
        assert copying.far.calls["stat"] < 30
        assert copying.main.calls["read"] < 60
        copying.main.calls.clear()
        copying.far.calls.clear()
        assert copying.replicas.across("main", copying.settings_of_far).ok
        assert copying.main.calls == {"list": 2, "read": 1}  # its repos, its blobs; its refs.json
        assert copying.far.calls["list"] == 2
        assert copying.far.calls["read"] < 24  # documents: no file of 800 is read, nor asked for
        assert not copying.far.calls["stat"]


def test_a_take_down_reaches_readers_of_the_replica_before_any_byte_goes_and_then_the_bytes_go(site: Site) -> None:
    site.write("acme/gone", secret_txt="nobody may have this", shared_txt="shared")
    site.write("acme/stays", shared_txt="shared")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    secret, shared = Sha256.of(b"nobody may have this"), Sha256.of(b"shared")
    assert site.far().stat(blob_key(secret)) is not None
    site.withdraw("acme/gone")
    with site.copying() as copying:
        copying.reading = True
        assert copying.soon()
        buried = next(at for at, one in enumerate(copying.far.writes) if one.startswith("put hub/models/acme--gone"))
        assert not any(one.startswith("delete") for one in copying.far.writes[:buried])
    assert site.far().stat(blob_key(secret)) is None
    assert site.far().stat(blob_key(shared)) is not None
    assert site.published(site.far(), "acme/gone").tombstone is not None
    assert site.refs(site.far()) == site.refs(site.main())
    assert list(site.far().list("trust/withdrawn/")) == []


def test_the_daemon_copies_a_take_down_of_which_the_feed_does_not_tell(site: Site) -> None:
    """As where the catalogue could not be published: then the feed is as it was, and is not believed."""
    for name in ("one", "two"):
        site.write(f"acme/{name}", a_txt=name)
    site.sync()
    with site.copying() as copying:
        assert not copying.copy().reason
        site.more = {"site": {"enabled": False}}
        site.withdraw("acme/two")
        assert copying.soon()
        assert site.published(site.far(), "acme/two").tombstone is None, "the feed is believed where nobody doubts it"
        copying.replicas.keep()
        try:
            copying.replicas.changed("main", sure=True)
            until(
                lambda: site.published(site.far(), "acme/two").tombstone is not None,
                lambda: "it is given by the replica still",
            )
        finally:
            copying.replicas.end()


def test_a_take_down_is_shown_though_a_pass_goes_on_elsewhere_and_its_bytes_go_with_the_next(site: Site) -> None:
    site.write("acme/gone", secret_txt="nobody may have this")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    site.withdraw("acme/gone")
    with site.copying() as elsewhere, site.copying() as copying:
        from mirror_sync.state.file_lock import hold

        path = elsewhere.replicas._lock(elsewhere.settings_of_far)
        with hold(path):
            assert copying.soon()
        assert site.published(site.far(), "acme/gone").tombstone is not None
        assert site.far().stat(blob_key(Sha256.of(b"nobody may have this"))) is not None
        assert copying.soon()
    assert site.far().stat(blob_key(Sha256.of(b"nobody may have this"))) is None


def test_what_a_prune_lets_go_of_the_target_goes_from_the_replica_and_what_is_named_stays(site: Site) -> None:
    site.more = {"defaults": {"retention": {"snapshots": 0, "days": 0}}}
    site.write("acme/one", a_txt="old", b_txt="same")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    site.write("acme/one", a_txt="new")
    site.sync()
    with site.copying() as copying:
        copying.soon()
        assert site.far().stat(blob_key(Sha256.of(b"old"))) is not None
        site.prune()
        copying.reading = True
        assert copying.soon()
        assert site.far().stat(blob_key(Sha256.of(b"old"))) is None
        assert site.far().stat(blob_key(Sha256.of(b"same"))) is not None
        assert site.refs(site.far()) == site.refs(site.main())
        copying.soon()
        assert not any(one.startswith("put prunes/") for one in copying.far.writes)  # once


def test_a_target_that_lists_nothing_takes_nothing_from_its_replica(site: Site) -> None:
    site.write("acme/one", a_txt="1")
    site.sync()
    with site.copying() as copying:
        copying.copy()
        before = {stat.key for stat in site.far().list("")}
        shutil.move(site.folder / "main", site.folder / "unmounted")
        (site.folder / "main").mkdir()
        assert not copying.soon()
        status = copying.copy()
        assert "lists no repo at all: is it mounted" in status.reason
        assert {stat.key for stat in site.far().list("")} == before


def test_a_replica_that_was_emptied_or_written_by_somebody_else_is_filled_again(site: Site) -> None:
    site.write("acme/one", a_txt="1")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    shutil.rmtree(site.folder / "far")
    with site.copying() as copying:
        assert copying.soon()
    assert site.refs(site.far()) == site.refs(site.main())
    assert list(dangling(site.far())) == []
    other = ReplicaMark("2026-11-20T08:00:00Z", "another").encode()
    site.far().put(MARK, other, Sha256.of(other))
    site.far().delete([stat.key for stat in site.far().list("hub/")])
    with site.copying() as copying:
        assert copying.soon()
    assert site.refs(site.far()) == site.refs(site.main())


def test_blobs_that_nobody_of_us_has_proved_are_read_before_they_are_relied_on(site: Site) -> None:
    site.write("acme/one", a_txt="the right bytes", b_txt="also right")
    site.sync()
    for body, lies in ((b"the right bytes", b"the wrong bytes"), (b"also right", b"also right")):
        place = site.folder / "far" / blob_key(Sha256.of(body))
        place.parent.mkdir(parents=True)
        place.write_bytes(lies)
    with site.copying() as copying:
        copying.reading = True
        assert copying.copy().state is ReplicaState.CURRENT
        assert f"put {blob_key(Sha256.of(b'also right'))}" not in copying.far.writes
    assert read_all(site.far(), blob_key(Sha256.of(b"the right bytes")), MIB) == b"the right bytes"


def test_what_the_target_has_damaged_is_not_copied_and_stops_no_other_repo(site: Site) -> None:
    site.write("acme/bad", a_txt="was whole")
    site.write("acme/good", a_txt="is whole")
    site.sync()
    key = blob_key(Sha256.of(b"was whole"))
    (site.folder / "main" / key).chmod(0o644)
    (site.folder / "main" / key).write_bytes(b"was_whole")
    with site.copying() as copying:
        status = copying.copy()
        assert "acme/bad: the target holds other bytes under" in status.reason
        assert (status.state, bool(status.behind_since)) == (ReplicaState.EMPTY, True)
    assert set(site.refs(site.far())) == {"acme/good"}
    assert site.far().stat(key) is None
    assert list(dangling(site.far())) == []


@pytest.mark.parametrize("lost", ["blobs/", "hub/"])
def test_a_replica_that_keeps_nothing_of_what_it_confirms_names_nothing_and_says_so(site: Site, lost: str) -> None:
    site.write("acme/one", a_txt="1")
    site.sync()
    with site.copying() as copying:
        copying.far.confirm, copying.far.lies = True, lambda key: key.startswith(lost)  # as a bucket is believed
        assert "confirmed what it did not keep" in copying.copy().reason
        assert list(dangling(site.far())) == []
        assert site.far().stat(MARK) is None
        copying.far.lies = lambda key: False
        assert copying.copy().state is ReplicaState.CURRENT


def test_a_replica_that_goes_on_showing_what_was_taken_down_is_told_of_and_holds_up_nothing(site: Site) -> None:
    site.write("acme/gone", a_txt="1")
    site.sync()
    with site.copying() as copying:
        copying.copy()
        site.withdraw("acme/gone")
        copying.far.lies = lambda key: key.startswith("hub/")
        assert "does not show that it is taken down" in copying.copy().reason
        copying.far.lies = lambda key: False
        assert copying.copy().state is ReplicaState.CURRENT
    assert site.published(site.far(), "acme/gone").tombstone is not None


def test_a_replica_that_does_not_answer_is_asked_for_a_few_repos_and_no_more(site: Site) -> None:
    for number in range(12):
        site.write(f"acme/n{number}", a_txt=str(number))
    site.sync()
    with site.copying() as copying:
        copying.far.fails = lambda verb, key: key.startswith("hub/")
        status = copying.copy()
        assert "no answer" in status.reason
        assert copying.far.calls["read"] < 6
        assert (status.repos, status.snapshots) == (12, 12)


def test_outside_its_hours_nothing_is_copied_but_what_is_behind_is_counted(site: Site) -> None:
    site.write("acme/one", a_txt="1")
    site.sync()
    with site.copying() as copying:
        copying.copy()
    from datetime import UTC, datetime, timedelta

    closed = datetime.now(UTC) + timedelta(hours=3)
    site.replica |= {"hours": f"{closed:%H}:00-{closed:%H}:30"}
    site.write("acme/one", a_txt="2")
    site.sync()
    with site.copying() as copying:
        assert copying.soon()
        assert copying.far.writes == []
        status = copying.replicas.places("main", copying.settings_of_far).status
        assert (status.state, status.repos, status.snapshots) == (ReplicaState.BEHIND, 1, 1)
        assert copying.copy().state is ReplicaState.CURRENT  # by hand it may


def test_repos_that_are_frozen_are_told_and_hold_up_no_other(site: Site) -> None:
    for name in ("a", "b", "c", "d"):
        site.write(f"acme/{name}", own_bin=name * 100)
    site.sync()
    frozen = {blob_key(Sha256.of((name * 100).encode())) for name in ("a", "b", "c")}
    with site.copying() as copying:

        def thawing(verb: str, key: str) -> bool:
            if verb == "read" and key in frozen:
                raise BlobFrozen(key)
            return False

        copying.main.fails = thawing
        status = copying.copy()
    assert "mirror-sync thaw" in status.reason
    assert "2 more" in status.reason
    assert set(site.refs(site.far())) == {"acme/d"}
