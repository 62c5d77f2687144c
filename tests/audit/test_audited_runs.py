"""What runs leave in the audit of their target, a directory or a bucket; what stops where that cannot be written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import AuditFailed
from mirror_sync.domain.outcome.report import RepoOutcome
from tests.audit.works import Works
from tests.cli.program import PATIENCE, ROOT
from tests.servers.bucket import S3Server


def target_of(server: S3Server) -> dict[str, Any]:
    return {**server.place(), "grace": "0s"}


@pytest.fixture(params=["directory", "moto"])
def works(request: pytest.FixtureRequest, tmp_path: Path) -> Works:
    if request.param == "directory":
        target: dict[str, Any] = {"url": str(tmp_path / "mirror"), "grace": "0s"}
    else:
        target = target_of(request.getfixturevalue("moto"))
    made = Works(tmp_path / "one", target, tmp_path / "upstream")
    made.write()
    return made


def test_a_publication_is_recorded_with_who_had_it_done_and_an_unchanged_run_writes_nothing(works: Works) -> None:
    works.repo("x")
    published = works.sync()["x"]
    assert published.outcome == "published"
    change, act = works.acts()
    assert (act.actor.name, act.act.verb, act.act.repo, act.act.revision) == (
        "alice@host",
        "publish",
        "acme/x",
        "main",
    )
    assert (act.act.commit, act.act.job) == (published.commit, "a")
    assert works.store.stat(blob_key(Sha256(act.act.digests["root"]))) is not None
    digest = Sha256.of((works.folder / "jobs.yaml").read_bytes())
    assert (change.act.verb, change.act.digests) == ("config-change", {"after": digest})
    segments = works.segments()
    assert works.sync()["x"].outcome == "unchanged"
    assert works.verify().ok
    assert works.segments() == segments
    assert works.faults() == ()


def test_another_jobs_yaml_is_recorded_with_the_first_act_under_it(works: Works) -> None:
    works.repo("x")
    works.sync()
    before = Sha256.of((works.folder / "jobs.yaml").read_bytes())
    works.write(connections=7)
    works.sync(BY_DAEMON)
    assert works.done() == ["config-change", "publish x"], "nothing was done under it"
    works.repo("x", "more")
    works.sync(BY_DAEMON)
    *_, change, published = works.acts()
    after = Sha256.of((works.folder / "jobs.yaml").read_bytes())
    assert (change.act.verb, change.act.digests) == ("config-change", {"before": before, "after": after})
    assert (published.act.verb, published.actor) == ("publish", BY_DAEMON)


def test_a_hold_is_recorded_once_for_each_cause_and_commit(works: Works) -> None:
    works.repo("x")
    works.repo("held", license_id="gemma")
    reports = works.sync()
    assert reports["held"].outcome == "held"
    works.sync()
    holds = [one.act for one in works.acts() if one.act.verb == "hold"]
    assert [(one.repo, one.commit) for one in holds] == [("acme/held", reports["held"].commit)]
    assert holds[0].reason.startswith("license")
    works.repo("held", "a new commit", license_id="gemma")
    assert works.sync()["held"].outcome == "held"
    assert works.done().count("hold held") == 2
    works.repo("held")
    assert works.sync()["held"].outcome == "published"
    works.repo("held", "a new commit", license_id="gemma")
    assert works.sync()["held"].outcome == "held"
    assert works.done().count("hold held") == 3, "it was not held meanwhile"


def test_what_a_prune_lets_go_is_recorded_and_no_prune_touches_the_audit(works: Works) -> None:
    works.repo("x")
    first = works.sync()["x"].commit
    works.wait()
    works.repo("x", "more")
    works.sync()
    time.sleep(1.1)  # a bucket's clock has seconds
    before = works.segments()
    report = works.prune()
    assert (report.ok, len(report.repos), report.blobs > 0) == (True, 1, True)
    snapshot, blobs = [one.act for one in works.acts() if one.act.verb == "prune"]
    assert (snapshot.repo, snapshot.commit, snapshot.reason) == ("acme/x", first, "retention")
    assert (blobs.repo, blobs.reason.startswith("blobs that nothing names")) == ("", True)
    assert set(before) < set(works.segments())
    after = works.segments()
    assert works.prune().ok
    assert works.segments() == after, "one that removes nothing is no act"
    assert (works.verify().ok, works.faults()) == (True, ())


def test_a_repair_is_recorded_and_a_verify_that_only_looks_is_not(works: Works) -> None:
    works.repo("x")
    commit = works.sync()["x"].commit
    body = (works.upstream / "acme/x/README.md").read_bytes()
    digest = Sha256.of(body)
    works.store.delete([blob_key(digest)])
    done = works.done()
    assert not works.verify().ok
    assert works.done() == done
    assert works.verify(repair=True).ok
    act = works.acts()[-1].act
    assert (act.verb, act.repo, act.commit, act.digests) == ("repair", "acme/x", commit, {"file": digest})
    assert works.faults() == ()


def test_two_machines_on_one_target_have_two_chains(works: Works, tmp_path: Path) -> None:
    other = Works(tmp_path / "two", works.target, works.upstream)
    other.write()
    works.repo("x")
    works.sync()
    works.repo("x", "more")
    other.sync(BY_DAEMON)
    machines = {key.split("/")[1] for key in works.segments()}
    assert len(machines) == 2
    assert works.done() == ["config-change", "publish x"] * 2
    assert (works.faults(), other.faults()) == ((), ())


def test_many_repos_are_few_objects(works: Works) -> None:
    for number in range(40):
        works.repo(f"x{number}")
    assert {one.outcome for one in works.sync().values()} == {RepoOutcome.PUBLISHED}
    assert len(works.segments()) <= 4
    assert len(works.acts()) == 41


def test_what_a_killed_run_did_is_in_the_audit_after_the_next_one(works: Works) -> None:
    """It published some repos whose records were not in the target yet."""
    for number in range(8):
        works.repo(f"x{number}")
    works.more = {"jobs": [{"name": "a", "repos": ["acme/*"], "workers": 1}]}
    path = works.write()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.audit.works", str(path), "5"], cwd=ROOT, timeout=PATIENCE, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    published = works.published()
    assert published >= 5
    told = len(works.acts())
    with closing(works.open()) as mirror:
        waiting = mirror.audit.prove("it").waiting
    assert told + waiting >= published + 1, "of jobs.yaml, too"
    assert waiting > 0
    works.sync()
    acts = [one.act for one in works.acts() if one.act.verb == "publish"]
    assert {one.repo for one in acts} == {f"acme/x{number}" for number in range(8)}
    assert (works.published(), works.faults()) == (8, ())


@pytest.fixture(params=["directory", "radosgw"])
def denying(request: pytest.FixtureRequest, tmp_path: Path) -> Works:
    """A target that takes everything but an audit, as one whose rights name the folders that it may have."""
    if request.param == "directory":
        target: dict[str, Any] = {"url": str(tmp_path / "mirror"), "grace": "0s"}
        (tmp_path / "mirror").mkdir()
        (tmp_path / "mirror" / "audit").write_bytes(b"a file where the folder should be")
    else:
        server: S3Server = request.getfixturevalue("radosgw")
        target = target_of(server)
        bucket = target["url"].removeprefix("s3://")
        resource = f"arn:aws:s3:::{bucket}/audit/*"
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        server.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    made = Works(tmp_path / "one", target, tmp_path / "upstream")
    made.write()
    return made


def test_a_target_that_takes_no_audit_gets_no_publication(denying: Works) -> None:
    for name in ("x", "y"):
        denying.repo(name)
    for _ in range(2):
        reports = denying.sync()
        assert {one.outcome for one in reports.values()} == {RepoOutcome.FAILED}
        for one in reports.values():
            assert one.reason.startswith("not done, since it cannot be recorded: audit/"), one.reason
            assert (one.code, "\n" in one.reason) == ("not-recorded", False)
    assert denying.published() == 0
    assert any(isinstance(event, AuditFailed) for event in denying.told)
