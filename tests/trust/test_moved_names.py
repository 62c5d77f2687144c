"""A name that moves onto a commit which is published already is judged by the policy of today; a repair is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.formats.class_list import CLASSES
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.inspection.scan_list import SCANS
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.engine.upkeep.verify import Scope
from tests.standin import LFS, Hub
from tests.trust import recipes
from tests.trust.site import ACME, Site
from tests.trust.test_format_policy import SAFE, STRICT
from tests.trust.test_scans import counting, program, seen

PICKLE = LFS(recipes.torch_zip())
POLICY = {"formats": STRICT}
UNSAID = {"formats": {"refuse": [], "allow": ["pickle", "data", "text", "container"]}}


def approve(site: Site, rule: str, commit: str) -> None:
    said = {"repo": ACME, "commit": commit, "rule": rule, "outcome": "approve", "by": "Ada", "why": "read"}
    (site.folder / "decisions.yaml").write_text(json.dumps({"version": 1, "decisions": [said]}), encoding="utf-8")


def main_of(site: Site) -> str | None:
    return read_refs(site.plain, Repo.parse(ACME)).commit_of("main")


def test_a_name_that_goes_back_to_a_commit_that_an_older_policy_let_through_is_held(hub: Hub, site: Site) -> None:
    repo = hub.model(ACME, license="mit")
    first = repo.commit({**SAFE, "pytorch_model.bin": PICKLE})
    assert site.set().sync().outcome == "published"
    second = repo.commit(delete=["pytorch_model.bin"])
    assert site.set(POLICY).sync().outcome == "published"
    repo.branch("main", first)
    for _ in range(2):
        report = site.sync()
        assert (report.outcome, report.code, report.commit) == ("held", "formats", first), report.reason
        assert "pytorch_model.bin (torch zip)" in report.reason
        assert main_of(site) == second
    plan = site.plan()
    assert "pytorch_model.bin" in plan.reason, "what was held once is told by a plan"
    approve(site, "formats", first)
    assert site.set(POLICY).sync().outcome == "published"
    assert main_of(site) == first


def test_a_new_name_of_a_published_commit_is_judged_as_well(hub: Hub, site: Site) -> None:
    repo = hub.model(ACME, license="mit")
    first = repo.commit({**SAFE, "pytorch_model.bin": PICKLE})
    assert site.set().sync().outcome == "published"
    repo.tag("v1", first)
    site.set(POLICY, revisions=["v1"])
    report = site.sync()
    assert (report.outcome, report.code) == ("held", "formats")
    assert read_refs(site.plain, Repo.parse(ACME)).commit_of("v1") is None
    assert site.set(UNSAID, revisions=["v1"]).sync().outcome == "published"
    assert read_refs(site.plain, Repo.parse(ACME)).commit_of("v1") == first


def test_what_was_found_when_a_commit_was_published_is_not_looked_for_again_as_a_name_moves(
    hub: Hub, site: Site, tmp_path: Any
) -> None:
    repo = hub.model(ACME, license="mit")
    first = repo.commit(SAFE)
    policy = counting(tmp_path) | POLICY
    assert site.set(policy).sync().outcome == "published"
    before = seen(tmp_path)
    repo.tag("v1", first)
    assert site.set(policy, revisions=["v1"]).sync().outcome == "published"
    assert seen(tmp_path) == before
    assert not site.was_read(b"hello")


def test_a_name_does_not_move_onto_what_a_scanner_of_today_finds_something_in(
    hub: Hub, site: Site, tmp_path: Any
) -> None:
    repo = hub.model(ACME, license="mit")
    first = repo.commit(SAFE)
    policy = counting(tmp_path)
    assert site.set(policy).sync().outcome == "published"
    program(tmp_path, "echo it is bad now; exit 1")
    repo.tag("v1", first)
    report = site.set(policy, revisions=["v1"]).sync()
    assert (report.outcome, report.code, "it is bad now" in report.reason) == ("held", "scan", True)


@pytest.mark.parametrize("lost", ["info", "root"])
def test_a_snapshot_whose_policy_came_later_is_repaired_as_it_was_published(hub: Hub, site: Site, lost: str) -> None:
    hub.model(ACME, license="mit").commit({**SAFE, "pytorch_model.bin": PICKLE})
    assert site.set().sync().outcome == "published"
    refs, root = read_refs(site.plain, Repo.parse(ACME)), site.root()
    site.plain.delete([blob_key({"info": root.info, "root": refs.snapshots[root.commit]}[lost])])
    mirror = site.set(POLICY).mirror
    assert mirror is not None
    report = mirror.verify(BY_DAEMON, Scope(repair=True))
    assert report.ok, [fault.repair for fault in report.faults]
    assert read_refs(site.plain, Repo.parse(ACME)).snapshots == refs.snapshots
    assert site.sync().outcome == "unchanged"


def test_a_repair_keeps_what_was_found_in_the_files_when_they_were_published(
    hub: Hub, site: Site, tmp_path: Any
) -> None:
    hub.model(ACME, license="mit").commit(SAFE)
    assert site.set(counting(tmp_path) | POLICY).sync().outcome == "published"
    root = site.root()
    assert {CLASSES, SCANS} <= root.attachments.keys()
    site.plain.delete([blob_key(root.info)])
    mirror = site.set({"formats": {"refuse": ["text"]}}).mirror
    assert mirror is not None
    assert mirror.verify(BY_DAEMON, Scope(repair=True)).ok
    assert site.root() == root


def test_what_was_held_once_and_published_by_an_older_policy_is_repaired(hub: Hub, site: Site) -> None:
    commit = hub.model(ACME, license="mit").commit({**SAFE, "pytorch_model.bin": PICKLE})
    assert site.set(POLICY, revisions=[commit]).sync().outcome == "held"
    assert site.set(revisions=[commit]).sync().outcome == "published"
    snapshots = read_refs(site.plain, Repo.parse(ACME)).snapshots
    site.plain.delete([blob_key(read_root(site.plain, snapshots[CommitId(commit)]).info)])
    mirror = site.set(POLICY, revisions=[commit]).mirror
    assert mirror is not None
    report = mirror.verify(BY_DAEMON, Scope(repair=True))
    assert report.ok, [fault.repair for fault in report.faults]
    assert read_refs(site.plain, Repo.parse(ACME)).snapshots == snapshots
