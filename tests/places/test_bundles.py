"""A bundle: written in equal bytes, carried in any order, restored by a shell, imported whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.bundle_reports import ImportedRepo
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.places import bundle_export, bundle_files, bundle_import
from mirror_sync.engine.places.bundle_format import INDEX, INVENTORY, BundlePart, members_of, padded, tar_header
from mirror_sync.engine.places.bundle_journal import JOURNAL, ExportJournal
from mirror_sync.engine.places.repo_import import RepoImport
from mirror_sync.engine.published import change_refs
from mirror_sync.engine.single_flight import StoredContent
from mirror_sync.engine.transfer.file_read import FileOrigin
from mirror_sync.engine.transfer.file_transfer import Transfer
from mirror_sync.errors import (
    DocumentError,
    IntegrityError,
    Interrupted,
    MirrorError,
    SigningError,
    StoreFull,
    StoreUnavailable,
    UsageError,
)
from mirror_sync.signing.proof import Asked
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.proving import prove
from tests.cli.program import ROOT
from tests.front.mirrors import by_either
from tests.mirrors.chain import PERSON
from tests.places.conftest import LONG, PART, Site, Sites, noise, resum
from tests.signing.keys import ssh_key

RESTORE = """
set -e
ssh-keygen -Y verify -f "$SIGNERS" -I mirror -n mirror-sync -s SHA256SUMS.sig < SHA256SUMS
sha256sum --check --strict --quiet SHA256SUMS
for part in blobs-*.tar; do tar -xf "$part" -C "$TO"; done
for pieces in "$TO"/pieces/*; do
    [ -d "$pieces" ] || continue
    digest=${pieces##*/}
    folder="$TO/blobs/sha256/$(echo "$digest" | cut -c1-2)"
    mkdir -p "$folder"
    cat "$pieces"/* > "$folder/$digest"
    rm -r "$pieces"
done
rm -rf "$TO/pieces"
for part in refs-*.tar; do tar -xf "$part" -C "$TO"; done
"""
"""As docs/guide/air-gap.md has it."""


def bodies(site: Site) -> set[bytes]:
    """All that lies in a target."""
    return {path.read_bytes() for path in (site.folder / "bucket/blobs").rglob("*") if path.is_file()}


def tars(bundle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.iterdir() if path.suffix == ".tar"}


def test_a_shell_restores_a_bundle_with_ssh_keygen_sha256sum_tar_and_cat_alone(sites: Sites) -> None:
    bundle, restored = sites.bundle("bundle"), sites.receiver()
    to = restored.folder / "bucket"
    to.mkdir()
    environ = {"PATH": "/usr/bin:/bin", "TO": str(to), "SIGNERS": str(sites.signers)}
    subprocess.run(["sh", "-c", RESTORE], cwd=bundle, env=environ, check=True, capture_output=True)
    page = (ROOT / "docs/guide/air-gap.md").read_text(encoding="utf-8")
    assert all(line in page for line in RESTORE.strip().splitlines()[1:])
    assert restored.is_whole()
    for repo in ("acme/large", "acme/small", LONG):
        assert restored.refs(repo) == sites.sender.refs(repo)
    with by_either("serve", DirectoryTarget(to), sites.folder / "front") as front:
        assert front.get("/acme/large/resolve/main/weights.bin").body == noise(1, 3 * PART + 77)


@pytest.mark.parametrize("place", ["directory", "moto", "radosgw", "seaweedfs"])
def test_what_is_imported_is_whole_is_proved_by_the_exporters_key_and_comes_once(
    place: str, sites: Sites, request: pytest.FixtureRequest
) -> None:
    bundle = sites.bundle("bundle")
    more: dict[str, Any] = {}
    if place != "directory":
        more = {"target": {**request.getfixturevalue(place).place("some/prefix/"), "grace": "0s"}}
    receiver = sites.receiver(**more)
    report = receiver.take_in(bundle, signers=sites.signers)
    assert report.ok, report
    assert report.signer is not None
    assert report.signer.startswith("mirror (SHA256:")
    assert {one.outcome for one in report.repos} == {"published"}
    assert receiver.is_whole()
    for repo in ("acme/large", "acme/small", LONG):
        ours, theirs = receiver.refs(repo), sites.sender.refs(repo)
        assert (ours.refs, ours.snapshots) == (theirs.refs, theirs.snapshots)
    again = receiver.take_in(bundle, signers=sites.signers)
    assert (again.ok, again.blobs, {one.outcome for one in again.repos}) == (True, 0, {"unchanged"})
    if place == "directory":
        found = prove(Asked(Repo.parse("acme/large"), "main"), (receiver.folder / "bucket").as_uri(), sites.signers)
        assert found.ok, found.problems


def test_equal_input_makes_equal_bytes_also_where_an_export_was_stopped_and_its_first_parts_carried_away(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tars(sites.bundle("whole"))
    assert len(whole) > 4
    there, left = sites.folder / "stopped", 2
    end = bundle_export._Parts.end

    def stops(parts: bundle_export._Parts) -> Any:
        nonlocal left
        ended = end(parts)
        left -= ended is not None
        if left < 0:
            raise Interrupted("stopped")
        return ended

    with monkeypatch.context() as patch:
        patch.setattr(bundle_export._Parts, "end", stops)
        with pytest.raises(Interrupted):
            sites.sender.export(there)
    with pytest.raises(UsageError, match="unfinished export that was asked for otherwise"):
        sites.sender.export(there, "acme/small")
    first = there / "blobs-00001.tar"
    carried = first.read_bytes()
    first.unlink()
    (there / "blobs-00099.tar").write_bytes(b"of a try that had more parts")
    report = sites.sender.export(there)
    assert (report.resumed, report.carried) == (2, 1)
    assert {**tars(there), first.name: carried} == whole
    assert not (there / JOURNAL).exists()
    with pytest.raises(UsageError, match="has a bundle already"):
        sites.sender.export(there)
    nowhere = sites.folder / "none"
    with pytest.raises(UsageError, match=r"--since: .*/none: No such file"):
        sites.sender.export(sites.folder / "next", base=nowhere)
    with pytest.raises(UsageError, match=r"--inventory: .*/none: No such file"):
        sites.sender.export(sites.folder / "next", inventory=nowhere)


@pytest.mark.parametrize("way", ["since", "index.json", "inventory", "inventory --json"])
def test_only_what_the_receiver_lacks_is_written_and_who_has_not_the_base_is_told(way: str, sites: Sites) -> None:
    base, receiver = sites.bundle("base"), sites.receiver()
    assert receiver.take_in(base).ok
    sites.sender.write("acme/small", **{"new.bin": noise(3, 1000)})
    sites.sender.publish()
    if way.startswith("inventory"):
        listed = sites.folder / "inventory"
        command = [sys.executable, "-m", "mirror_sync", "-c", str(receiver.node.jobs_yaml()), *way.split()]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        listed.write_bytes(subprocess.run(command, env=environ, check=True, capture_output=True).stdout)
        with receiver.program() as program:
            blobs = dict(program.bundles.inventory("it"))
        if way == "inventory":
            assert listed.read_text(encoding="ascii").splitlines() == [INVENTORY, *blobs]
        else:
            assert json.loads(listed.read_text()) == {"format": 1, "target": "it", "blobs": [*map(list, blobs.items())]}
            cut = sites.folder / "cut"
            cut.write_text(listed.read_text().rpartition("]}")[0])
            with pytest.raises(UsageError, match=r"--inventory: .*/cut is cut short: print it again"):
                sites.sender.export(sites.folder / "none", inventory=cut)
        report = sites.sender.export(sites.folder / "more", inventory=listed)
    else:
        report = sites.sender.export(sites.folder / "more", base=base / INDEX if way == "index.json" else base)
    assert report.bytes < 10_000
    assert report.needs
    assert receiver.take_in(sites.folder / "more").ok
    assert receiver.refs("acme/small").snapshots == sites.sender.refs("acme/small").snapshots
    assert receiver.is_whole()
    with pytest.raises(DocumentError, match="builds on what target it does not have: import the bundle"):
        sites.receiver().take_in(sites.folder / "more")


def test_what_is_written_and_asked_for_grows_with_what_is_new_alone(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to a target, by an export and by an import, for 300 files and then for one of them."""
    calls = Counter[str]()

    def counted(verb: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*of: Any) -> Any:
            calls[verb] += 1
            return do(*of)

        return call

    for verb in ("read", "put", "begin", "stat", "list"):
        monkeypatch.setattr(DirectoryStore, verb, counted(verb, getattr(DirectoryStore, verb)))
    files: dict[str, bytes | str] = {f"f{number:03}.txt": str(number) for number in range(300)}
    sites.sender.write("acme/many", **files)
    sites.sender.publish()
    calls.clear()
    first, receiver = sites.sender.export(sites.folder / "first", "acme/many"), sites.receiver()
    assert (first.blobs > 300, calls["put"], calls["begin"], calls["list"]) == (True, 0, 0, 1)
    assert calls["read"] < first.blobs + 40  # each blob; of each document twice, to walk it; refs.json
    calls.clear()
    came = receiver.take_in(sites.folder / "first")
    assert (came.blobs, came.bytes, came.there) == (first.blobs, first.bytes, 0)
    assert calls["put"] < first.blobs + 40
    calls.clear()
    again = receiver.take_in(sites.folder / "first")
    assert (again.blobs, again.bytes, again.there) == (0, 0, first.blobs)
    assert calls["put"] < 24  # of the catalogue, and what tells of the run
    assert calls["stat"] < 2 * first.blobs
    sites.sender.write("acme/many", **{**files, "f150.txt": "changed"})
    sites.sender.publish()
    calls.clear()
    more = sites.sender.export(sites.folder / "more", "acme/many", base=sites.folder / "first")
    assert more.blobs < 12
    assert calls["read"] < 40
    came = receiver.take_in(sites.folder / "more")
    assert (came.ok, came.blobs, came.bytes) == (True, more.blobs, more.bytes)


def test_a_missing_or_damaged_part_is_named_hinders_its_repos_alone_and_the_same_import_goes_on(sites: Sites) -> None:
    bundle, receiver = sites.bundle("bundle"), sites.receiver()
    parts = sorted(path for path in bundle.glob("blobs-*.tar"))
    kept = {path.name: path.read_bytes() for path in parts}
    parts[2].unlink()  # a piece of the large file
    last, spoilt = (
        bytearray(kept[parts[-1].name]),
        [one for one in members_of(parts[-1]) if one.key.startswith("blobs/")],
    )
    for member in spoilt:
        last[member.offset] ^= 1
    parts[-1].write_bytes(last)
    report = receiver.take_in(bundle)
    assert not report.ok
    assert any(f"{parts[2].name} ({len(kept[parts[2].name]):,} bytes) is not in" in one for one in report.problems)
    assert any(one.startswith(parts[-1].name) and "copy it again" in one for one in report.problems), report.problems
    assert [one for one in report.problems if one.startswith(parts[-1].name)][1:] == [
        f"{parts[-1].name}: {len(spoilt) - 1} more of its blobs, too"
    ]
    by_repo = {one.repo: one for one in report.repos}
    assert by_repo["acme/large"].outcome == "incomplete"
    assert f"it is in {parts[1].name}" in by_repo["acme/large"].why
    assert "published" in {one.outcome for one in report.repos}
    assert not receiver.refs("acme/large").is_known
    parts[-1].write_bytes(kept[parts[-1].name][:-2000])
    assert any("copy it again" in one for one in receiver.take_in(bundle).problems)
    for path in parts:
        path.write_bytes(kept[path.name])
    report = receiver.take_in(bundle)
    assert report.ok, report
    assert receiver.is_whole()


def test_parts_that_come_two_by_two_make_a_whole_also_of_a_file_that_none_of_them_has_whole(
    sites: Sites,
) -> None:
    sites.sender.write("acme/huge", **{"weights.bin": noise(4, 40 * PART)})
    sites.sender.publish()
    bundle = sites.bundle("bundle", "acme/huge", part_size=17 * PART)
    assert len([*bundle.glob("blobs-*.tar")]) == 4
    receiver, disk = sites.receiver(), sites.folder / "disk"
    parts = [path.name for path in sorted(bundle.glob("blobs-*.tar"))]
    for two in pairwise(parts):  # neighbours: what is uploaded at once may be of both
        shutil.rmtree(disk, ignore_errors=True)
        disk.mkdir()
        for name in (*two, INDEX, "SHA256SUMS", "SHA256SUMS.sig", "refs-00001.tar"):
            shutil.copy(bundle / name, disk / name)
        report = receiver.take_in(disk, signers=sites.signers)
    assert report.ok, report
    assert receiver.is_whole()


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (tar_header("blobs/sha256/../../../escaped", 3), "escaped"),
        (tar_header("/etc/passwd-of-nobody", 3), "passwd-of-nobody"),
        (tar_header("hub/models/../x/refs.json", 3), "refs.json"),
        (tar_header(f"blobs/sha256/ab/ab{'0' * 62}", 3).replace(b"0000644", b"0004755"), "which no export writes"),
        (partial(bytes.replace)(tar_header(f"blobs/sha256/ab/ab{'0' * 62}", 0), b" 0", b" 2", 1), "no export writes"),
        (tar_header(f"blobs/sha256/ab/ab{'0' * 62}", 3), "other blobs than index.json says"),
        (b"\xff" * 512, "is no header of a file"),
    ],
)
def test_what_no_export_writes_is_taken_from_no_part_and_written_nowhere(
    header: bytes, word: str, sites: Sites
) -> None:
    bundle, receiver = sites.bundle("bundle", "acme/small"), sites.receiver()
    part = bundle / "blobs-00001.tar"
    part.write_bytes(header + b"bad".ljust(512, b"\0") + part.read_bytes())
    resum(bundle)
    before = {path for path in sites.folder.rglob("*") if receiver.folder not in path.parents}
    report = receiver.take_in(bundle)
    assert not report.ok
    assert any(word in one for one in report.problems), report.problems
    assert report.blobs == 0
    assert {path for path in sites.folder.rglob("*") if receiver.folder not in path.parents} == before


def test_an_index_that_is_exchanged_after_it_was_proved_is_not_believed(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, receiver = sites.bundle("bundle", "acme/small"), sites.receiver()
    index, digest_of = bundle / INDEX, bundle_files._digest_of

    def exchanged(path: Path) -> str:
        found = digest_of(path)
        if path == index:
            index.write_bytes(index.read_bytes().replace(b"acme/small", b"acme/other"))
        return found

    monkeypatch.setattr(bundle_files, "_digest_of", exchanged)
    with pytest.raises(MirrorError, match="was changed while it was read"):
        receiver.take_in(bundle)


def test_documents_beside_a_refs_json_are_held_within_the_bound_of_one(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, receiver = sites.bundle("bundle", "acme/small"), sites.receiver()
    refs = bundle / "refs-00001.tar"
    bodies = [bytes([number]) * 40_000 for number in range(3)]
    beside = b"".join(
        tar_header(blob_key(Sha256.of(body)), len(body)) + body.ljust(padded(len(body)), b"\0") for body in bodies
    )
    refs.write_bytes(beside + refs.read_bytes())
    resum(bundle)
    monkeypatch.setattr(bundle_files, "MAX_REFS", 100_000)
    report = receiver.take_in(bundle)
    assert any("of which index.json says something else" in one for one in report.problems), report.problems
    assert not report.ok


def test_a_refs_json_that_was_changed_and_an_index_that_lies_publish_nothing(sites: Sites) -> None:
    bundle, receiver = sites.bundle("bundle", "acme/small"), sites.receiver()
    refs = bundle / "refs-00001.tar"
    sound = refs.read_bytes()
    refs.write_bytes(sound.replace(b'"by":"sync', b'"by":"SYNC'))
    report = receiver.take_in(bundle)
    assert any("refs-00001.tar holds other bytes than SHA256SUMS says" in one for one in report.problems)
    resum(bundle)
    assert any("of which index.json says something else" in one for one in receiver.take_in(bundle).problems)
    refs.write_bytes(sound)
    resum(bundle)
    index = (bundle / INDEX).read_text(encoding="utf-8")
    lies = {
        "../blobs-00001.tar": index.replace('"blobs-00001.tar"', '"../blobs-00001.tar"'),
        "no index of a bundle": index.replace('"needs":[', '"neads":['),
        "not all of it": index[: len(index) // 2],
        "is of format 9": index.replace('"format":1', '"format":9'),
        "is not the one that SHA256SUMS names": index.replace(",1]", ",2]"),
    }
    for word, lie in lies.items():
        (bundle / INDEX).write_text(lie, encoding="utf-8")
        if "SHA256SUMS" not in word:
            summed = subprocess.run(["sha256sum", INDEX, *tars(bundle)], cwd=bundle, check=True, capture_output=True)
            (bundle / "SHA256SUMS").write_bytes(summed.stdout)
        with pytest.raises(MirrorError, match=word):
            receiver.take_in(bundle)
    assert not receiver.refs("acme/small").is_known


def test_where_signers_are_named_nothing_comes_that_they_have_not_signed(sites: Sites) -> None:
    bundle, receiver = sites.bundle("bundle", "acme/small"), sites.receiver()
    strange = ssh_key(sites.folder, "strange")
    other = sites.folder / "others"
    public = strange.with_name("strange.pub").read_text(encoding="utf-8").split()[:2]
    other.write_text(f"x {' '.join(public)}\n", encoding="utf-8")
    with pytest.raises(SigningError, match="is not among the allowed signers; nothing was imported"):
        receiver.take_in(bundle, signers=other)
    sums = (bundle / "SHA256SUMS").read_bytes()
    (bundle / "SHA256SUMS").write_bytes(sums[1:] + sums[:1])
    with pytest.raises(SigningError, match="the signature is not of these bytes"):
        receiver.take_in(bundle, signers=sites.signers)
    (bundle / "SHA256SUMS").write_bytes(sums)
    (bundle / "SHA256SUMS.sig").unlink()
    with pytest.raises(SigningError, match=r"is not signed: it has no SHA256SUMS\.sig"):
        receiver.take_in(bundle, signers=sites.signers)
    assert not receiver.refs("acme/small").is_known


@pytest.mark.parametrize("signed", [True, False])
def test_an_older_bundle_is_refused_unless_it_is_asked_for(signed: bool, sites: Sites) -> None:
    if not signed:
        sites.sender.node.more.pop("trust")
        sites.sender.write("acme/small", **{"first.txt": "1"})
        sites.sender.publish()
    old = sites.bundle("old", "acme/small")
    sites.sender.write("acme/small", **{"new.txt": "new"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mirror_sync.engine.context.iso_utc", lambda at: f"{at.year + 1}-01-01T00:00:00Z")
        sites.sender.publish()
    new, receiver = sites.bundle("new", "acme/small"), sites.receiver()
    assert receiver.outcomes(new) == {"acme/small": "published"}
    report = receiver.take_in(old)
    assert not report.ok
    assert "the bundle is older than what is here" in report.repos[0].why
    assert receiver.refs("acme/small").refs == sites.sender.refs("acme/small").refs
    assert receiver.outcomes(old, older=True) == {"acme/small": "published"}
    assert receiver.refs("acme/small").refs != sites.sender.refs("acme/small").refs


def test_a_take_down_travels_without_any_blob_is_obeyed_and_ends_where_it_ended(sites: Sites) -> None:
    first, receiver, late = sites.bundle("first"), sites.receiver(), sites.receiver()
    assert receiver.take_in(first).ok
    small = Repo.parse("acme/small")
    with sites.sender.program() as program:
        program.taking_down.withdraw(PERSON, "it", small, why="its licence", by="Ada")
    down = sites.bundle("down")
    for part in down.glob("blobs-*.tar"):
        part.unlink()
    report = receiver.take_in(down)
    became = {one.repo: one for one in report.repos}
    assert became["acme/small"].outcome == "withdrawn"
    assert "by Ada: its licence" in became["acme/small"].why
    assert receiver.refs("acme/small").snapshots == {}
    assert noise(2, 300_000) not in bodies(receiver)
    assert receiver.outcomes(first)["acme/small"] == "older"
    assert late.outcomes(down)["acme/small"] == "withdrawn"
    assert late.refs("acme/small").tombstone is not None
    with sites.sender.program() as program:
        program.taking_down.restore(PERSON, "it", small, why="settled")
    sites.sender.write("acme/small", **{"again.txt": "again"})
    sites.sender.publish()
    assert receiver.outcomes(sites.bundle("again"))["acme/small"] == "published"
    assert receiver.is_whole()


def test_what_a_person_here_has_taken_down_pinned_or_named_stays_so(sites: Sites) -> None:
    receiver = sites.receiver()
    assert receiver.take_in(sites.bundle("first")).ok
    old = receiver.refs("acme/small").commit_of("main")
    with receiver.program() as program:
        program.releases.tag(receiver.wanted("acme/small"), "ours")
        program.releases.promote(receiver.wanted("acme/large"), "main", "stable")
        program.taking_down.withdraw(PERSON, "it", Repo.parse(LONG), why="not here")
    with sites.sender.program() as program:
        program.releases.promote(sites.sender.wanted("acme/small"), "main", "stable")
    for repo in ("acme/small", "acme/large", LONG):
        sites.sender.write(repo, **{"new.txt": "new"})
    sites.sender.publish()
    with receiver.program() as program:
        program.releases.rollback(receiver.wanted("acme/small"), old)
    report = receiver.take_in(sites.bundle("second"))
    became = {one.repo: one for one in report.repos}
    assert report.ok, report
    assert became[LONG].outcome == "kept-down"
    assert b"a,b\n1,2\n" not in bodies(receiver)
    here, there = receiver.refs("acme/small"), sites.sender.refs("acme/small")
    assert here.commit_of("main") == old != there.commit_of("main")
    assert "main, which is pinned here" in became["acme/small"].kept
    assert there.commit_of("main") in here.snapshots
    assert here.channels == {"ours": old, "stable": old}
    assert receiver.refs("acme/large").channels["stable"] != receiver.refs("acme/large").commit_of("main")
    with receiver.program() as program:
        verbs = [move.verb for move in program.releases.names("it", Repo.parse("acme/small")).history]
        program.releases.unpin(receiver.wanted("acme/small"))
    assert {"tag", "promote", "rollback"} <= set(verbs)
    assert receiver.is_whole()


def _let_go(site: Site, repo: str) -> None:
    with site.program() as program:
        gone = Gone(LET_GO, datetime(2026, 11, 20, tzinfo=UTC))
        change_refs(program._context().targets["it"], Repo.parse(repo), lambda refs: refs.withdrawn(gone))


def test_what_a_target_lets_go_of_for_want_of_room_is_let_go_of_there_alone(sites: Sites) -> None:
    """Who reads there, and what room is there, says nothing of a mirror that no network reaches."""
    receiver = sites.receiver()
    assert receiver.take_in(sites.bundle("first")).ok
    here = receiver.refs("acme/small")
    _let_go(sites.sender, "acme/small")
    second = sites.bundle("second")
    assert receiver.outcomes(second)["acme/small"] == "unchanged"
    assert receiver.refs("acme/small") == here
    other = sites.receiver()
    assert other.take_in(second).ok
    assert not other.refs("acme/small").is_known
    _let_go(receiver, "acme/large")
    assert receiver.outcomes(second)["acme/large"] == "published"
    again = receiver.refs("acme/large")
    assert (again.gone, again.refs) == (None, sites.sender.refs("acme/large").refs)
    assert receiver.is_whole()


def test_a_blob_that_is_damaged_where_it_comes_from_is_in_no_bundle(sites: Sites) -> None:
    sender, to = sites.sender, sites.folder / "bundle"
    large = next(path for path in (sender.folder / "bucket/blobs").rglob("*") if path.stat().st_size > 3 * PART)
    sound = large.read_bytes()
    large.write_bytes(sound[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"weights.bin of acme/large at .* \(run mirror-sync verify --repair"):
        sender.export(to)
    large.write_bytes(sound)
    sender.export(to)
    assert tars(to) == tars(sites.bundle("other"))


def test_a_full_disk_names_the_part_and_the_same_command_goes_on(sites: Sites) -> None:
    to, config = sites.folder / "bundle", sites.sender.node.jobs_yaml()
    command = [sys.executable, "-m", "mirror_sync", "export", "-c", str(config), "--to", str(to), "--part-size", "3MiB"]
    bound = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (2 * PART, 2 * PART))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, preexec_fn=bound, check=False)
    assert ended.returncode == 1
    (line,) = (one for one in ended.stderr.splitlines() if one.startswith("mirror-sync: "))
    assert "blobs-00002.tar: File too large: what was whole before it is kept" in line
    ended = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert '"resumed": 1' in ended.stdout
    assert sites.receiver().take_in(to).ok


def test_a_part_that_cannot_be_read_and_a_target_that_does_not_answer_are_told_and_not_asked_for_each_repo(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, receiver, asked = sites.bundle("bundle"), sites.receiver(), []

    def pulled(files: bundle_files.BundleFiles, part: BundlePart) -> str:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(bundle_files.BundleFiles, "lack", pulled)
        problems = receiver.take_in(bundle).problems
        assert any(one.startswith("refs-00001.tar cannot be read: Input/output error") for one in problems)
        assert any(one.startswith("blobs-00001.tar cannot be read: Input/output error") for one in problems)

    def silent(repos: RepoImport, bundled: bundle_files.BundledRefs) -> ImportedRepo:
        asked.append(bundled.repo)
        raise StoreUnavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(RepoImport, "publish", silent)
        patch.setattr(bundle_import, "_SILENT", 2)
        with pytest.raises(StoreUnavailable, match="after 2 repos that could not be published: no answer"):
            receiver.take_in(bundle)
    assert len(asked) == 2
    assert receiver.take_in(bundle).ok


def test_an_export_whose_disk_is_pulled_says_which_file_cannot_be_used(tmp_path: Path) -> None:
    journal = ExportJournal(tmp_path, {})
    journal._db.close()
    for use in (journal.parts, journal.count, lambda: journal.written(Sha256.of(b"")), lambda: [*journal.blobs()]):
        with pytest.raises(StoreUnavailable, match=f"{JOURNAL} cannot be used: .*is its disk there"):
            use()
    journal.close()


def test_a_full_target_names_the_part_keeps_what_came_and_the_same_import_goes_on(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, receiver, bring, left = sites.bundle("bundle"), sites.receiver(), Transfer.bring, [5]

    def fills(transfer: Transfer, origin: FileOrigin, file: RemoteFile) -> StoredContent:
        left[0] -= 1
        if left[0] < 0:
            raise StoreFull("no space left")
        return bring(transfer, origin, file)

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "bring", fills)
        with pytest.raises(StoreFull, match=r"no space left; blobs-00001\.tar was being brought: what came is kept"):
            receiver.take_in(bundle)
    assert not receiver.refs("acme/small").is_known
    report = receiver.take_in(bundle)
    assert (report.ok, report.there) == (True, 5)
    assert receiver.is_whole()
