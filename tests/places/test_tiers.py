"""What nobody reads lies elsewhere, and is published as before: whatever dies, is damaged, or is not mounted."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.cli.output.tier_text import tier_text
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import COLD_MARK, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.cooling import ByHand
from mirror_sync.domain.job.keep import ReadTimes
from mirror_sync.domain.outcome.tier_report import Move, TierReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.places.tier_pass import TieredTarget, TierPass
from mirror_sync.engine.upkeep.verify import Scope
from mirror_sync.errors import BlobFrozen, StoreError, StoreUnavailable
from mirror_sync.ports.store import Store
from mirror_sync.state.reads_file import note_by_hand, tier_notes
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.two_places import TwoPlaces
from mirror_sync.wiring.adapters import open_tiers
from mirror_sync.wiring.assembly import Assembly
from tests.cli.program import Program
from tests.places.site import Died, Site, Watched, dangling
from tests.servers.bucket import S3Server

DAY = 86_400.0
SIZE = 300_000
A, B, C = (Repo.parse(f"acme/{name}") for name in "abc")
SHARED, MINE = b"s" * SIZE, {name: name.encode() * SIZE for name in "abc"}


class Shelves:
    """Three repos, of which a and b have a file in common, published a hundred days before the passes that are made."""

    def __init__(
        self,
        folder: Path,
        cold: dict[str, Any] | None = None,
        target: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self.cold = folder / "cold"
        entry = cold or {"target": {"url": str(self.cold)}}
        tiers = {"cold": {"after_unread": "30d", **entry}, "logs": [str(folder / "access.log*")], **(more or {})}
        self.site = Site(folder, {**(target or {}), "tiers": tiers})
        self.now = time.time() + 100 * DAY
        self.reads = ReadTimes(time.time() - DAY, "")
        self.by_hand = ByHand()
        for name in "abc":
            shared = {"shared_bin": SHARED} if name != "c" else {}
            self.site.write(f"acme/{name}", own_bin=MINE[name], small_txt=name, **shared)
        self.site.sync()

    def read(self, **ago: float) -> Shelves:
        """Of repos by their letters, so many days before a pass."""
        read = {Repo.parse(f"acme/{name}"): self.now - days * DAY for name, days in ago.items()}
        self.reads = replace(self.reads, read=read)
        return self

    @contextmanager
    def opened(self, watched: Callable[[TwoPlaces], TwoPlaces] = lambda both: both) -> Iterator[TierPass]:
        with self.site.program() as program:
            context = Assembly(program.settings, program.stop).context(lambda event: None, lambda report: None)
            target = context.targets["main"]
            assert target.tiering is not None
            assert target.tiers is not None
            tiering, tiers = target.tiering, target.tiers
            if isinstance(tiering, TwoPlaces):
                tiering = watched(tiering)
                target = replace(target, store=tiering)
            context = replace(context, reads=lambda _: self.reads)
            yield TierPass(context, TieredTarget(target, tiering, tiers, self.by_hand), self.now)

    def pass_over(self, only: Repo | None = None, *, dry_run: bool = False) -> TierReport:
        with self.opened() as tier_pass:
            if not dry_run:
                tier_pass._tiering.ready(begun=False)
            return tier_pass.run(only, dry_run=dry_run)

    def store(self) -> Store:
        return self.site.main()

    def lies(self) -> dict[str, bool]:
        """Of the large files, by name, whether it is cold."""
        with self.site.program() as program:
            tiering = open_tiers(program.settings.targets["main"]).tiering
            assert tiering is not None
            return {name: tiering.is_cold(key_of(body)) for name, body in {**MINE, "shared": SHARED}.items()}


def key_of(body: bytes) -> str:
    return blob_key(Sha256.of(body))


def moves(report: TierReport) -> dict[str, tuple[str, int]]:
    assert report.ok, report.faults
    return {one.repo: (one.move.value, one.blobs) for one in report.repos}


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


def test_what_nobody_reads_goes_and_what_a_warm_repo_names_too_stays_and_all_is_published_as_before(
    shelves: Shelves,
) -> None:
    shelves.read(a=5)
    before = shelves.site.refs(shelves.store())
    rehearsed = shelves.pass_over(dry_run=True)
    assert not shelves.cold.exists()
    report = shelves.pass_over()
    assert moves(report) == {"acme/b": ("archived", 1), "acme/c": ("archived", 1)} == moves(rehearsed)
    assert (report.warm, report.cold) == (rehearsed.warm, rehearsed.cold)
    assert report.cold == 2 * SIZE
    assert shelves.lies() == {"a": False, "b": True, "c": True, "shared": False}
    assert shelves.site.refs(shelves.store()) == before
    assert list(dangling(shelves.store())) == []
    assert moves(shelves.pass_over()) == {}
    for one in (A, B):  # all of it where all that name it go, once
        shelves.by_hand = ByHand({**shelves.by_hand.archived, one: shelves.now})
    assert moves(shelves.pass_over()) == {"acme/a": ("archived", 2)}


def test_what_is_read_again_comes_back_and_leaves_a_copy_that_is_proved_when_it_goes_again(shelves: Shelves) -> None:
    shelves.pass_over()
    shelves.reads = replace(shelves.reads, read={B: shelves.now - DAY})
    assert moves(shelves.pass_over()) == {"acme/b": ("thawed", 2)}
    assert shelves.lies() == {"a": True, "b": False, "c": True, "shared": False}
    copy = DirectoryStore(shelves.cold)
    assert copy.stat(key_of(MINE["b"])) is not None
    path = shelves.cold / key_of(MINE["b"])
    path.chmod(0o600)
    path.write_bytes(b"x" * SIZE)  # the disk lies: nobody goes by that copy
    shelves.reads = replace(shelves.reads, read={})
    assert moves(shelves.pass_over()) == {"acme/a": ("archived", 1), "acme/b": ("archived", 1)}
    with shelves.store().read(key_of(MINE["b"])) as stream:
        assert stream.readinto(memoryview(bytearray(10))) == 10
    assert path.read_bytes() == MINE["b"]


def test_no_more_repos_come_back_in_one_pass_than_the_bound_says_and_those_first_that_were_read_last(
    tmp_path: Path,
) -> None:
    shelves = Shelves(tmp_path, more={"warm_back_most": 1})
    shelves.pass_over()
    shelves.read(a=3, b=2, c=1).by_hand = ByHand(thawed={A: shelves.now})
    rehearsed = shelves.pass_over(dry_run=True)
    report = shelves.pass_over()
    assert (report.later, rehearsed.later) == (1, 1)
    assert moves(report) == {"acme/a": ("thawed", 2), "acme/c": ("thawed", 1)}, "what a person asked for is not counted"
    assert "1 repo more, read since, may come back with the next pass" in tier_text(asdict(report))
    assert moves(shelves.pass_over()) == {"acme/b": ("thawed", 1)}


def test_what_a_person_asked_for_comes_although_one_that_has_to_wait_names_the_same_files(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path, more={"warm_back_most": 1})
    shelves.site.write("acme/d", shared_bin=SHARED)
    shelves.site.sync()
    shelves.pass_over()
    shelves.read(b=2, c=1).by_hand = ByHand(thawed={Repo.parse("acme/d"): shelves.now})
    assert moves(shelves.pass_over()) == {"acme/d": ("thawed", 1), "acme/c": ("thawed", 1)}


def test_nothing_goes_before_reads_were_counted_for_as_long_and_nothing_comes_back_for_that(shelves: Shelves) -> None:
    shelves.pass_over(C)
    assert shelves.lies()["c"]
    for unsure in (ReadTimes(), ReadTimes(None, ""), ReadTimes(shelves.now - 29 * DAY, "")):
        shelves.reads = unsure
        report = shelves.pass_over()
        assert (moves(report), bool(report.unsure)) == ({}, True)
    shelves.by_hand = ByHand({A: shelves.now})
    assert moves(shelves.pass_over(A)) == {"acme/a": ("archived", 1)}, "a person need not count"


def test_verify_prune_a_take_down_and_a_replica_find_what_is_cold(shelves: Shelves) -> None:
    shelves.pass_over()
    site = shelves.site
    site.prune()
    with site.program() as program:
        assert program.verify(BY_DAEMON).ok
    with site.copying() as copying:
        assert copying.copy().reason == ""
    assert list(dangling(site.far())) == []
    site.withdraw("acme/c")
    assert DirectoryStore(shelves.cold).stat(key_of(MINE["c"])) is None
    shutil.rmtree(site.upstream / "acme/b")
    (shelves.cold / key_of(MINE["a"])).unlink()  # on neither: that is damage, and is mended into the warm place
    with site.program() as program:
        found = program.verify(BY_DAEMON)
        assert [(one.path, one.problem) for one in found.faults] == [("own.bin", "missing")]
        assert program.verify(BY_DAEMON, Scope(repair=True)).ok
    assert not shelves.lies()["a"]


def test_whoever_dies_at_any_write_has_lost_nothing_and_the_next_pass_goes_on(shelves: Shelves) -> None:
    """Copied, proved, and only then taken away: a reader looks after each death, and the writes are all tried."""
    turns = 0
    while True:
        shutil.rmtree(shelves.cold, ignore_errors=True)
        # what was lost is lost: this is the new one
        DirectoryStore(shelves.cold).put(COLD_MARK, b"{}", Sha256.of(b"{}"))
        shelves.site.sync()
        with shelves.site.program() as program:
            assert program.verify(BY_DAEMON, Scope(repair=True)) is not None  # all is in the warm place again
        count = [0]

        def dying(both: TwoPlaces, count: list[int] = count, turn: int = turns) -> TwoPlaces:
            def counted(store: Store) -> Watched:
                made = Watched(store)
                made.fails = lambda verb, key: _die(count, turn, verb)
                return made

            return TwoPlaces(counted(both.store), counted(both._cold))

        died = False
        with shelves.opened(dying) as tier_pass:
            try:
                tier_pass.run()
            except Died:
                died = True
        assert list(dangling(shelves.store())) == [], turns
        assert moves(shelves.pass_over()) is not None
        assert all(shelves.lies().values())
        assert list(dangling(shelves.store())) == [], turns
        if not died:
            break
        turns += 1
    assert turns >= 8, "four files: a copy and a removal each"


def _die(count: list[int], turn: int, verb: str) -> bool:
    if verb in ("put", "begin", "delete"):
        count[0] += 1
        if count[0] > turn:
            raise Died
    return False


def test_a_damaged_file_is_not_moved_and_told_and_the_others_go(shelves: Shelves) -> None:
    path = shelves.site.folder / "main" / key_of(MINE["b"])
    path.chmod(0o600)
    path.write_bytes(b"y" * SIZE)
    report = shelves.pass_over()
    assert [key_of(MINE["b"]) in one for one in report.faults] == [True]
    assert shelves.lies() == {"a": True, "b": False, "c": True, "shared": True}


def test_a_cold_place_that_is_not_mounted_is_no_empty_one_and_nothing_moves_there(shelves: Shelves) -> None:
    with shelves.site.program() as program:
        assert program.tiers.archive("main", C).ok
    assert tier_notes(shelves.site.folder / "state", "main").begun
    shelves.cold.rename(shelves.cold.with_name("unmounted"))
    shelves.cold.mkdir()
    noted = shelves.site.folder / "state/tiers-main.json"
    noted.rename(noted.with_name("elsewhere"))  # another machine moves, or this one lost its state
    with shelves.site.program() as program:
        report = program.tiers.archive("main", A)
        assert ["is it mounted" in one for one in report.faults] == [True]
    assert [*shelves.cold.iterdir()] == []
    noted.with_name("elsewhere").rename(noted)
    shelves.cold.rmdir()
    shelves.cold.with_name("unmounted").rename(shelves.cold)
    with shelves.site.program() as program:
        assert program.tiers.archive("main", A).ok
        assert program.tiers.thaw("main", A).blobs == 1
    assert shelves.lies() == {"a": False, "b": False, "c": True, "shared": False}
    notes = tier_notes(shelves.site.folder / "state", "main").by_hand
    assert (set(notes.archived), set(notes.thawed)) == ({C}, {A})


def test_while_the_cold_place_is_not_mounted_nothing_is_said_to_be_missing_nor_removed(shelves: Shelves) -> None:
    shelves.pass_over()
    with shelves.site.program() as program:
        assert program.tiers.archive("main", C).ok
    shelves.cold.rename(shelves.cold.with_name("unmounted"))
    shelves.cold.mkdir()
    store, key = shelves.store(), key_of(MINE["c"])
    for ask in (lambda: store.stat(key), lambda: store.touch(key), lambda: list(store.list("blobs/"))):
        with pytest.raises(StoreUnavailable, match="is it mounted"):
            ask()
    with pytest.raises(StoreUnavailable, match="is it mounted"), store.read(key):
        pass
    with shelves.site.program() as program:
        found = program.verify(BY_DAEMON)
        assert ([one.problem for one in found.faults], found.ok) == ([], False)
        told = program.taking_down.withdraw(BY_DAEMON, "main", C, why="a court order")
        assert ["is it mounted" in one for one in told.problems] == [True]
    shelves.cold.rmdir()
    shelves.cold.with_name("unmounted").rename(shelves.cold)
    shelves.site.withdraw("acme/c")
    assert DirectoryStore(shelves.cold).stat(key) is None


def test_a_target_that_gives_up_its_place_is_told_that_it_lacks_what_is_cold_and_how_to_have_it(
    shelves: Shelves,
) -> None:
    shelves.pass_over()
    site = shelves.site
    site.jobs_yaml()
    with site.copying() as copying:
        assert copying.copy().reason == ""
    told = Program(site.folder)("-q", "target", "promote", "far")
    assert told.code == 0, told
    step = re.search(r"has not what lies in the cold place alone: mirror-sync (.+)", " ".join(told.out.split()))
    assert step is not None, told
    alone = DirectoryStore(site.folder / "main")
    assert list(dangling(alone))
    told = Program(site.folder)("-q", *step[1].partition(" The next")[0].split())
    assert told.code == 0, told
    assert list(dangling(alone)) == []


def test_words_of_persons_that_cannot_be_read_now_are_not_lost_and_nothing_moves_by_halves(tmp_path: Path) -> None:
    note_by_hand(tmp_path, "main", A, Move.ARCHIVED, 1.0)
    noted, kept = tmp_path / "tiers-main.json", tmp_path / "kept"
    noted.rename(kept)
    noted.symlink_to(noted)  # whoever reads gets an error, and whoever replaces it does not
    with pytest.raises(OSError, match="symbolic links"):
        note_by_hand(tmp_path, "main", B, Move.ARCHIVED, 2.0)
    assert noted.is_symlink()
    kept.rename(noted)
    note_by_hand(tmp_path, "main", B, Move.ARCHIVED, 2.0)
    assert set(tier_notes(tmp_path, "main").by_hand.archived) == {A, B}


def test_a_file_that_does_not_come_back_is_told_by_thaw(shelves: Shelves) -> None:
    shelves.pass_over()
    path = shelves.cold / key_of(MINE["c"])
    path.chmod(0o600)
    path.write_bytes(b"y" * SIZE)
    with shelves.site.program() as program, pytest.raises(StoreError, match=r"1 file .* verify --repair"):
        program.tiers.thaw("main", C)
    assert shelves.lies()["c"]


def test_buckets_are_two_places_too_and_large_files_go_in_parts(tmp_path: Path, radosgw: S3Server) -> None:
    shelves = Shelves(tmp_path, {"target": radosgw.place("a/prefix/")}, radosgw.place("a/prefix/"))
    body = os.urandom(40 * 1024 * 1024)
    shelves.site.write("acme/c", own_bin=MINE["c"], big_bin=body)
    shelves.site.sync()
    assert moves(shelves.pass_over()) == {
        "acme/a": ("archived", 2),
        "acme/b": ("archived", 1),
        "acme/c": ("archived", 2),
    }
    assert list(dangling(shelves.store())) == []
    shelves.site.prune()
    with shelves.site.program() as program:
        assert program.verify(BY_DAEMON).ok
    shelves.reads = replace(shelves.reads, read={C: shelves.now})
    assert moves(shelves.pass_over()) == {"acme/c": ("thawed", 2)}


def test_a_class_that_gives_at_once_is_read_as_ever_and_one_that_does_not_is_restored_and_no_damage(
    tmp_path: Path, moto: S3Server
) -> None:
    instant = Shelves(tmp_path, {"class": "GLACIER_IR"}, moto.place("a/prefix/"))
    assert moves(instant.pass_over()) == {
        "acme/a": ("archived", 2),
        "acme/b": ("archived", 1),
        "acme/c": ("archived", 1),
    }
    with instant.site.program() as program:
        assert program.verify(BY_DAEMON).ok
    instant.reads = replace(instant.reads, read={A: instant.now})
    assert moves(instant.pass_over()) == {"acme/a": ("thawed", 2)}
    assert instant.lies() == {"a": False, "b": True, "c": True, "shared": False}
    (tmp_path / "frozen").mkdir()
    frozen = Shelves(tmp_path / "frozen", {"class": "GLACIER"}, moto.place("a/prefix/"))
    assert moves(frozen.pass_over(C)) == {"acme/c": ("archived", 1)}
    with pytest.raises(BlobFrozen), frozen.store().read(key_of(MINE["c"])):
        pass
    with frozen.site.program() as program:
        found = program.verify(BY_DAEMON)
        assert (found.ok, found.frozen) == (True, 1)
        first = program.tiers.thaw("main", C)
        assert (first.move, first.blobs, first.waiting) == (Move.THAWED, 0, 1)
        assert program.tiers.thaw("main", C).blobs == 1  # moto restores at once
        assert program.verify(BY_DAEMON).ok
