"""Hub, mirror, edge: what the mirror says, has signed and has named comes to the edge, and nothing else does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.app.versions.releasing import Wanted
from mirror_sync.domain.attested import OF_FILES, UPSTREAM_ROOT
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import STATEMENT
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import MirrorError
from tests.front.mirrors import Mirror as Front
from tests.front.mirrors import by_either
from tests.mirrors.chain import PERSON, Node
from tests.published_files import read_manifest
from tests.signing.keys import elliptic_key, ssh_key
from tests.standin import LFS, Generated, Hub

BY_ALL = pytest.mark.parametrize("chain", ["serve", "nginx", "bucket"], indirect=True)
BY_FRONT_AND_BUCKET = pytest.mark.parametrize("chain", ["serve", "bucket"], indirect=True)
CARD = "---\nlicense: mit\n---\n# One\n"


@dataclass
class Chain:
    hub: Hub
    middle: Node
    edge: Node
    front: Front | None

    @property
    def signers(self) -> Path:
        return self.middle.folder / "signers"


def middle_of(hub: Hub, folder: Path) -> Node:
    """A mirror of a hub that signs, inspects, and has something of each kind."""
    key, model_key = folder / "signing.key", folder / "oms.pem"
    if not folder.exists():
        folder.mkdir(parents=True)
        ssh_key(folder)
        elliptic_key(folder)
    trust = {"key": str(key), "model_signing": {"key": str(model_key)}, "bom": ["cyclonedx"]}
    policy = {"formats": {"hold": ["executable"], "allow": ["data", "text", "container", "code", "pickle", "unknown"]}}
    job = {"repos": ["acme/*", "dataset:acme/*"], "revisions": ["main", "v*"]}
    node = Node(folder, {"kind": "huggingface", "endpoints": [hub.url]}, trust=trust, policy=policy, job=job)
    public = key.with_name("signing.key.pub").read_text(encoding="utf-8").split()[:2]
    (folder / "signers").write_text(f'mirror namespaces="mirror-sync" {" ".join(public)}\n', encoding="utf-8")
    return node


def fill(hub: Hub) -> None:
    one = hub.model("acme/one")
    one.commit({"README.md": CARD, "weights.bin": LFS(Generated(70_000)), "sub/ünï code.txt": "odd"})
    one.tag("v1")
    one.commit({"config.json": "{}"})
    hub.model("acme/two", license="apache-2.0").commit({"config.json": "{}"})
    hub.dataset("acme/rows", license="mit").commit({"rows.csv": "a,b\n1,2\n"})


@contextmanager
def front_of(node: Node, way: str, folder: Path, **more: Any) -> Iterator[Front]:
    target = DirectoryTarget(node.folder / "bucket")
    with by_either(way, target, folder, by_digest=False, **more) as front:
        yield front


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Path]]:
    """A hub, and the folder of a mirror of it, which each test has a copy of."""
    with Hub() as hub:
        fill(hub)
        folder = tmp_path_factory.mktemp("published") / "middle"
        reports = middle_of(hub, folder).sync()
        assert {one.outcome for one in reports.values()} <= {RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED}, reports
        yield hub, folder


@pytest.fixture(params=["bucket"])
def chain(request: pytest.FixtureRequest, published: tuple[Hub, Path], tmp_path: Path) -> Iterator[Chain]:
    hub, folder = published
    shutil.copytree(folder, tmp_path / "middle")
    middle = middle_of(hub, tmp_path / "middle")
    said: dict[str, Any] = {"kind": "mirror", "signers": str(middle.folder / "signers")}
    job = {"repos": ["*/*", "dataset:*/*"], "revisions": ["*"]}
    if request.param == "bucket":
        edge = Node(tmp_path / "edge", {**said, "url": (middle.folder / "bucket").as_uri()}, job=job)
        yield Chain(hub, middle, edge, None)
        return
    with front_of(middle, request.param, tmp_path / "front") as front:
        yield Chain(hub, middle, Node(tmp_path / "edge", {**said, "url": front.url}, job=job), front)


def same(chain: Chain, repo: str, revision: str) -> None:
    """All that the mirror says of a snapshot, and nothing of it lost, is at the edge."""
    theirs, ours = chain.middle.root(repo, revision), chain.edge.root(repo, revision)
    assert (ours.commit, ours.files, ours.size, ours.shards) == (
        theirs.commit,
        theirs.files,
        theirs.size,
        theirs.shards,
    )
    assert (ours.info, ours.commits) == (theirs.info, theirs.commits)
    assert read_manifest(chain.edge.store, ours) == read_manifest(chain.middle.store, theirs)
    kept = chain.edge.document(ours.attachments[UPSTREAM_ROOT])
    assert ours.attachments[UPSTREAM_ROOT] == chain.middle.refs(repo).root_of(revision)
    assert Root.decode(kept) == theirs
    for name, digest in theirs.attachments.items():
        assert ours.attachments[f"upstream.{name}"] == digest
        assert chain.edge.document(digest) == chain.middle.document(digest)
    assert {name: ours.attachments[name] for name in OF_FILES if name in theirs.attachments} == {
        name: theirs.attachments[name] for name in OF_FILES if name in theirs.attachments
    }
    told = {(one.rule, one.outcome, one.reason) for one in ours.verdicts}
    assert {(f"upstream.{one.rule}", one.outcome, one.reason) for one in theirs.verdicts} <= told


@BY_ALL
def test_licences_verdicts_signatures_and_names_come_to_the_edge_and_stay_as_they_are(chain: Chain) -> None:
    with chain.middle.program() as program:
        program.releases.promote(Wanted(PERSON, "it", Repo.parse("acme/one"), "tried"), "v1", "stable")
    reports = chain.edge.sync()
    assert {one.outcome for one in reports.values()} == {RepoOutcome.PUBLISHED}, reports
    for repo, revision in (
        ("acme/one", "main"),
        ("acme/one", "v1"),
        ("acme/one", "stable"),
        ("acme/two", "main"),
        ("dataset:acme/rows", "main"),
    ):
        theirs = chain.middle.refs(repo).leads_to(revision)
        assert theirs is not None
        assert chain.edge.refs(repo).leads_to(revision) == theirs
        same(chain, repo, theirs)
    assert chain.edge.refs("acme/one").shown() == chain.middle.refs("acme/one").shown()
    with chain.edge.program() as program:
        assert program.verify(PERSON).ok
    assert {one.outcome for one in chain.edge.sync().values()} == {RepoOutcome.UNCHANGED}


def test_a_pinned_main_is_where_its_mirror_keeps_it(chain: Chain) -> None:
    chain.edge.sync()
    with chain.middle.program() as program:
        pinned = chain.middle.refs("acme/one").commit_of("v1")
        program.releases.rollback(Wanted(PERSON, "it", Repo.parse("acme/one"), "worse"), pinned)
    chain.edge.sync("acme/one")
    assert chain.edge.refs("acme/one").commit_of("main") == pinned


def test_what_is_new_there_comes_also_where_the_commit_is_the_same(chain: Chain) -> None:
    """A signature, a verdict, a document that the mirror has made since."""
    chain.edge.sync()
    chain.middle.more["trust"] = {**chain.middle.more["trust"], "bom": ["cyclonedx", "spdx3"]}
    with chain.middle.program() as program:
        program.sign(PERSON, target="it")
    assert "bom.spdx3.json" not in chain.edge.root("acme/one").attachments
    chain.edge.sync("acme/one")
    assert "bom.spdx3.json" in chain.edge.root("acme/one").attachments
    same(chain, "acme/one", "main")


def test_the_edge_narrows_and_never_widens(chain: Chain) -> None:
    chain.edge.job |= {"repos": ["acme/*"], "exclude": ["*.bin"]}
    chain.edge.more["policy"] = {"forbidden": ["acme/two"]}
    reports = chain.edge.sync("acme/one", "acme/two")
    assert reports["acme/two@main"].outcome is RepoOutcome.REFUSED
    root = chain.edge.root("acme/one")
    assert "weights.bin" not in read_manifest(chain.edge.store, root)
    assert "SHA256SUMS" not in root.attachments, "sums of other files than there are"
    assert "upstream.SHA256SUMS" in root.attachments


@BY_ALL
def test_what_is_taken_down_there_is_as_what_an_upstream_has_switched_off(chain: Chain) -> None:
    chain.edge.sync()
    with chain.middle.program() as program:
        program.taking_down.withdraw(PERSON, "it", Repo.parse("acme/two"), why="a licence that was withdrawn")
    report = chain.edge.sync("acme/two")["acme/two@main"]
    assert (report.outcome, report.code) == (RepoOutcome.HELD, "disabled")
    assert "a licence that was withdrawn" in report.reason


def refused(chain: Chain, repo: str = "acme/one") -> str:
    """Why a repo failed, in one line; nothing of it is published."""
    report = chain.edge.sync(repo)[f"{repo}@main"]
    assert report.outcome is RepoOutcome.FAILED, report
    assert not chain.edge.refs(repo).is_known
    assert "\n" not in report.reason
    return report.reason


def rewrite_refs(chain: Chain, change: dict[str, Any], repo: str = "acme/one") -> None:
    """Lay another refs.json into the mirror's bucket, as one does who has its keys."""
    store, key = chain.middle.store, refs_key(Repo.parse(repo))
    found = json.loads((chain.middle.folder / "bucket" / key).read_bytes())
    body = json.dumps({**found, **change}).encode()
    store.put(key, body, Sha256.of(body))


@BY_FRONT_AND_BUCKET
def test_a_forged_statement_and_an_unsigned_repo_are_refused(chain: Chain) -> None:
    chain.edge.job["revisions"] = ["main"]
    other = chain.middle.refs("acme/two").snapshots
    rewrite_refs(
        chain, {"snapshots": {commit: next(iter(other.values())) for commit in chain.middle.refs("acme/one").snapshots}}
    )
    assert "refs.json names other commits or snapshots than its statement" in refused(chain)
    rewrite_refs(chain, {"attachments": {}})
    assert f"it is not signed: its refs.json names no {STATEMENT}" in refused(chain)
    (chain.middle.folder / "signers").write_text("", encoding="utf-8")
    assert "is not among the allowed signers" in refused(chain, "acme/two")


def test_a_format_that_this_program_does_not_know_has_its_line(chain: Chain) -> None:
    chain.edge.job["revisions"] = ["main"]
    rewrite_refs(chain, {"format": 9})
    if chain.front is None:  # a front of this version gives nothing of a later one
        assert "of format 9, this program reads 1 and 2: a newer mirror-sync wrote it" in refused(chain)


def test_a_mirror_that_would_mirror_itself_is_refused(chain: Chain) -> None:
    chain.middle.sync()
    chain.edge.sync()
    back: dict[str, Any] = {"kind": "mirror", "url": (chain.edge.folder / "bucket").as_uri()}
    chain.middle.upstream, chain.middle.job = back, {"name": "all", "repos": ["*/*"]}
    (report,) = chain.middle.sync().values()
    assert (report.outcome, report.code) == (RepoOutcome.FAILED, "loop")
    assert "mirrors this mirror" in report.reason
    chain.edge.upstream = back
    (report,) = {one.reason: one for one in chain.edge.sync().values()}.values()
    assert "is published by this mirror itself" in report.reason


def test_an_address_that_is_no_mirror_says_so(tmp_path: Path) -> None:
    with Hub() as hub:
        fill(hub)
        edge = Node(tmp_path, {"kind": "mirror", "url": hub.url}, job={"repos": ["acme/one"]})
        report = edge.sync()["acme/one@main"]
        assert report.outcome is RepoOutcome.FAILED
        assert "it is no mirror-sync, or an older one" in report.reason


def test_all_repos_are_asked_of_mirrors_alone(tmp_path: Path) -> None:
    node = Node(tmp_path, {"kind": "huggingface"}, job={"repos": ["*/*"]})
    with pytest.raises(MirrorError, match=r"must name one owner before its wildcard; write owner/\*"), node.program():
        pass
