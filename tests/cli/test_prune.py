"""`prune` says what it took, what it left and why."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mirror_sync.cli.output.prune_text import prune_text
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.domain.outcome.report import PrunedRepo, PruneReport
from mirror_sync.domain.repo import Kind
from tests.cli.program import CONFIG, Program
from tests.standin import Hub

HASTY = ("-m", "tests.cli.hasty")
YEAR = 365 * 24 * 3600


def blobs(folder: Path) -> set[Path]:
    return {path for path in folder.glob("mirror/blobs/*/*/*") if path.is_file()}


def age(folder: Path) -> None:
    """Everything that is published now was so a year ago."""
    for path in folder.glob("mirror/**/*"):
        if path.is_file():
            long_ago = path.stat().st_mtime - YEAR
            os.utime(path, (long_ago, long_ago))


@pytest.fixture
def hasty(tmp_path: Path, hub: Hub) -> Program:
    """A program whose target holds five snapshots of a repo, four of which no branch points to any more."""
    made = Program(tmp_path, HASTY)
    config = CONFIG.replace(
        'kind: directory, url: "file://FOLDER/upstream"', f"kind: huggingface, endpoints: [{hub.url}]"
    )
    made.write(config.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", ""))
    repo = hub.model("acme/one", license="mit")
    for number in range(5):
        repo.commit({"weights": b"%d" % number})
        assert made("sync").code == 0
    age(tmp_path)
    return made


def test_a_dry_run_says_what_would_go_and_removes_nothing(hasty: Program) -> None:
    before = blobs(hasty.folder)
    ended = hasty("prune", "--dry-run")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["TARGET", "SNAPSHOTS", "BLOBS", "BYTES", "REPO"]
    assert lines[1].split()[:2] == ["disk", "2"]
    assert lines[1].endswith("  acme/one")
    assert re.fullmatch(r"    snapshots [0-9a-f]{8}, [0-9a-f]{8}", lines[2])
    assert re.fullmatch(
        r"Dry run, nothing was removed: a prune would remove 2 snapshots of 1 repo and \d+ blobs \(.+ kB\)\.", lines[3]
    )
    assert blobs(hasty.folder) == before


def test_a_prune_removes_old_snapshots_and_what_only_they_named(hasty: Program) -> None:
    expected = json.loads(hasty("prune", "--dry-run", "--json").out)
    before = blobs(hasty.folder)
    ended = hasty("prune", "--json")
    assert ended.code == 0
    document = json.loads(ended.out)
    assert document == {**expected, "dry_run": False}
    assert len(before - blobs(hasty.folder)) == document["blobs"] > 0
    assert hasty("verify").code == 0
    again = hasty("prune")
    assert (again.code, again.out) == (0, "Removed nothing.\n")


def test_what_no_snapshot_names_goes_when_it_is_old(hasty: Program) -> None:
    hasty("prune")
    for name, years in (("a", 1), ("b", 0)):
        path = hasty.folder / "mirror" / "blobs" / "sha256" / (name * 2) / (name * 64)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
        if years:
            os.utime(path, (0, 0))
    ended = hasty("prune")
    assert ended.code == 0
    assert ended.out == (
        "TARGET  SNAPSHOTS  BLOBS  BYTES  REPO\n"
        "-               -      1    4 B  (left by runs that did not end, or earlier prunes)\n"
        "1 blob that nothing refers to: kept, younger than the grace period.\n"
        "Removed 0 snapshots of 0 repos and 1 blob (4 B).\n"
    )


def test_a_target_whose_snapshots_cannot_be_read_is_a_problem_and_nothing_goes(hasty: Program) -> None:
    (refs,) = hasty.folder.glob("mirror/hub/*/*/refs.json")
    refs.write_text("{", encoding="utf-8")
    before = blobs(hasty.folder)
    ended = hasty("prune")
    assert ended.code == 1
    assert ended.out.startswith("problem: target disk is not pruned to its end: ")
    assert ended.out.endswith("\nRemoved nothing.\n")
    assert blobs(hasty.folder) == before


def test_a_target_with_blobs_and_no_repo_loses_them_only_where_it_is_named(hasty: Program) -> None:
    """As one repo that was taken down leaves it, and as a folder that is not whole looks."""
    (refs,) = hasty.folder.glob("mirror/hub/*/*/refs.json")
    refs.unlink()
    config = hasty.folder / "jobs.yaml"
    config.write_text(config.read_text("utf-8").replace("acme/one", "acme/other"), "utf-8")
    before = blobs(hasty.folder)
    ended = hasty("prune")
    assert ended.code == 1
    assert ended.out == (
        "problem: target disk is not pruned to its end: it has blobs and publishes no repo: is it whole, and the right "
        "place? If all of it is to go: mirror-sync prune --everything disk\nRemoved nothing.\n"
    )
    assert hasty("prune", "--everything", "disc").code == 2
    assert blobs(hasty.folder) == before
    ended = hasty("prune", "--everything", "disk", "--json")
    assert (ended.code, json.loads(ended.out)["blobs"]) == (0, len(before))
    assert not blobs(hasty.folder)


def test_refs_that_this_program_does_not_know_keep_every_blob(hasty: Program) -> None:
    (refs,) = hasty.folder.glob("mirror/hub/*/*/refs.json")
    newer = hasty.folder / "mirror" / "hub" / "buckets" / "acme--one" / "refs.json"
    newer.parent.mkdir(parents=True)
    refs.rename(newer)
    before = blobs(hasty.folder)
    for call in (("prune",), ("prune", "--everything", "disk"), ("prune", "--dry-run")):
        ended = hasty(*call)
        assert ended.code == 1
        assert "hub/buckets/acme--one/refs.json is of no repo that this program knows" in ended.out
    assert blobs(hasty.folder) == before


def test_the_text_names_what_is_spared_and_that_it_was_cut_short() -> None:
    commits = tuple(f"{number:040x}" for number in range(12))
    repo = PrunedRepo("disk", Kind.DATASET, "acme/rows", commits, 30, 3_000_000)
    report = PruneReport((repo,), 30, 3_000_000, spared=2, interrupted=True)
    lines = prune_text(report, TextLayout()).splitlines()
    assert lines[1] == "disk           12     30  3.0 MB  dataset:acme/rows"
    assert lines[2].endswith(" and 2 more")
    assert lines[3:] == [
        "2 blobs spared this time: something else was quicker.",
        "Removed 12 snapshots of 1 repo and 30 blobs (3.0 MB).",
        "Stopped before the end: run the same command again to go on.",
    ]
