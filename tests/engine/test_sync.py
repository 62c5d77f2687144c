"""What a sync publishes, and what it does not do twice."""

from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_of
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import CommitId, Sha256
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Generated, Hub

TREE = {"config.json": b"{}", "sub/vocab.txt": b"a\nb\n", "model.safetensors": b"w" * 5000}


def _tiny(hub: Hub, name: str = "acme/tiny") -> str:
    files = {path: LFS(body) if path.endswith(".safetensors") else body for path, body in TREE.items()}
    return hub.model(name, license="mit").commit(files, title="first")


def test_a_sync_publishes_every_byte_of_the_commit(hub: Hub, workshop: Workshop) -> None:
    commit = _tiny(hub)
    report = workshop.sync_one(job("acme/tiny"))
    assert (report.outcome, report.commit, report.files) == ("published", commit, 3)
    assert (report.fetched_files, report.fetched_bytes) == (3, sum(map(len, TREE.values())))
    assert workshop.files("acme/tiny") == TREE
    assert workshop.commit("acme/tiny") == commit


def test_upstreams_ids_are_kept(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    manifest = workshop.manifest("acme/tiny")
    upstream = hub.model("acme/tiny").find("main")
    assert upstream is not None
    assert {path: file.oid for path, file in manifest.items()} == {
        path: upstream.tree.by_path[path].oid for path in TREE
    }
    assert manifest["model.safetensors"].sha256 == Sha256.of(TREE["model.safetensors"])
    assert manifest["model.safetensors"].pointer_size is not None


def test_an_unchanged_repo_costs_one_call_and_no_write(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    hub.log.clear()
    report = workshop.sync_one(job("acme/tiny"))
    assert (report.outcome, report.files) == ("unchanged", 3)
    assert len(hub.log) == 1
    assert workshop.store.written == []


def test_refs_are_written_last_and_the_root_before_them(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    *others, root, refs = workshop.store.written
    assert refs == "hub/models/acme--tiny/refs.json"
    assert blob_of(root) == workshop.refs("acme/tiny").root_of("main")
    documents = {*workshop.root("acme/tiny").documents}
    kinds = [blob_of(key) in documents for key in others]
    assert kinds == sorted(kinds), "a document was written before a blob it names"


def test_a_new_commit_fetches_only_what_changed(hub: Hub, workshop: Workshop) -> None:
    first = _tiny(hub)
    workshop.sync(job("acme/tiny"))
    second = hub.model("acme/tiny").commit({"config.json": b'{"a":1}'})
    hub.log.clear()
    report = workshop.sync_one(job("acme/tiny"))
    assert (report.fetched_files, report.reused_files) == (1, 2)
    assert hub.calls("GET", "*/resolve/*") == 1
    assert workshop.files("acme/tiny") == TREE | {"config.json": b'{"a":1}'}
    assert workshop.commit("acme/tiny") == second
    assert workshop.files("acme/tiny", first) == TREE, "a commit once published stays readable by its id"


def test_a_rename_of_files_fetches_nothing(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    hub.model("acme/tiny").commit(rename={"model.safetensors": "weights/w.safetensors", "config.json": "c.json"})
    hub.log.clear()
    assert workshop.sync_one(job("acme/tiny")).fetched_files == 0
    assert hub.calls("GET", "*/resolve/*") == 0
    assert workshop.files("acme/tiny")["weights/w.safetensors"] == TREE["model.safetensors"]


@pytest.mark.parametrize("index_lost", [False, True])
def test_equal_content_of_another_repo_is_not_fetched_again(
    hub: Hub, workshop: Workshop, tmp_path: Path, index_lost: bool
) -> None:
    _tiny(hub)
    _tiny(hub, "acme/copy")
    workshop.sync(job("acme/tiny"))
    if index_lost:
        workshop = Workshop(hub.url, tmp_path / "elsewhere", store=workshop.store)
    hub.log.clear()
    report = workshop.sync_one(job("acme/copy"))
    assert (report.outcome, report.fetched_files, report.reused_files) == ("published", 0, 3)
    assert hub.calls("GET", "*/resolve/*") == 0
    assert workshop.files("acme/copy") == TREE


def test_equal_content_of_two_repos_in_one_run_is_fetched_once(hub: Hub, workshop: Workshop) -> None:
    for number in range(6):
        _tiny(hub, f"acme/copy-{number}")
    report = workshop.sync(job("acme/*"))
    assert report.ok
    assert sum(repo.fetched_files for repo in report.repos) == len(TREE)
    assert hub.calls("GET", "*/resolve/*") == len(TREE)
    assert all(repo.fetched_files + repo.reused_files == len(TREE) for repo in report.repos)
    assert all(repo.fetched_bytes + repo.reused_bytes == 5006 for repo in report.repos)


def test_a_blob_that_vanished_from_the_target_is_fetched_again(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    _tiny(hub, "acme/copy")
    workshop.sync(job("acme/tiny"))
    weights = workshop.manifest("acme/tiny")["model.safetensors"].sha256
    workshop.store.delete([key.key for key in workshop.store.list("blobs/") if blob_of(key.key) == weights])
    assert workshop.sync_one(job("acme/copy")).fetched_files == 1
    assert workshop.files("acme/copy") == TREE


def test_a_large_file_goes_in_parts_and_is_whole(hub: Hub, workshop: Workshop) -> None:
    big = Generated(7 * PART + 123, seed=7)
    hub.model("acme/big", license="mit").commit({"w.safetensors": LFS(big), "empty": b""})
    report = workshop.sync_one(job("acme/big"))
    assert report.fetched_bytes == big.size
    assert workshop.files("acme/big") == {"w.safetensors": big.read(), "empty": b""}
    assert len({record.range for record in hub.log.records("GET *", "cdn")}) == 8


def test_what_is_given_by_ranges_alone_is_brought_whether_it_goes_in_parts_or_not(hub: Hub, workshop: Workshop) -> None:
    """As the Hub's bridge gives files beyond 50 GB; here the bound is far lower."""
    hub.behaviour.cdn_whole_up_to = 1000
    files = {"a.bin": Generated(PART // 2), "b.bin": Generated(PART // 2 + 1), "large.bin": Generated(7 * PART + 123)}
    hub.model("acme/big", license="mit").commit({name: LFS(content) for name, content in files.items()})
    report = workshop.sync_one(job("acme/big", workers=1))
    assert report.fetched_bytes == sum(content.size for content in files.values())
    assert workshop.files("acme/big") == {name: content.read() for name, content in files.items()}
    assert sum(record.range is None for record in hub.log.records("GET *", "cdn")) == 1, "one 400 tells it"


def test_changing_one_file_of_many_writes_at_most_twelve_objects(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/many", license="mit")
    repo.commit({f"d{n % 50}/{n:05}.txt": b"same" for n in range(5000)})
    workshop.sync(job("acme/many"))
    assert len(workshop.store.written) <= 5000 / 200 + 20
    hub.log.clear()
    repo.commit({"d7/00007.txt": b"new"})
    workshop.sync(job("acme/many"))
    assert len(workshop.store.written) <= 12
    assert hub.calls("GET", "*/resolve/*") == 1


def test_a_changed_selection_at_an_unchanged_commit_is_another_snapshot(hub: Hub, workshop: Workshop) -> None:
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    some = job("acme/tiny", selection=Selection(exclude=("*.safetensors",)))
    report = workshop.sync_one(some)
    assert (report.outcome, report.fetched_files) == ("published", 0)
    assert sorted(workshop.manifest("acme/tiny")) == ["config.json", "sub/vocab.txt"]
    assert workshop.sync_one(some).outcome == "unchanged"
    (left,) = workshop.root("acme/tiny").left or ()
    assert (left.rule, left.patterns, left.files) == ("exclude", ("*.safetensors",), 1)
    assert left.bytes > 0


def test_listing_and_download_are_pinned_to_the_commit_resolved_first(hub: Hub, workshop: Workshop) -> None:
    first = _tiny(hub)
    hub.faults.before(
        lambda _: hub.model("acme/tiny").commit({"config.json": b"later"}),
        lambda request: "/tree/" in request.path,
    )
    assert workshop.sync_one(job("acme/tiny")).commit == first
    assert workshop.files("acme/tiny") == TREE


def test_a_damaged_root_is_written_anew(hub: Hub, workshop: Workshop, tmp_path: Path) -> None:
    commit = _tiny(hub)
    workshop.sync(job("acme/tiny"))
    root = workshop.refs("acme/tiny").snapshots[CommitId(commit)]
    (tmp_path / "bucket" / f"blobs/sha256/{root[:2]}/{root}").write_bytes(b"rotten")
    report = workshop.sync_one(job("acme/tiny"))
    assert (report.outcome, report.fetched_files) == ("published", 0)
    assert workshop.files("acme/tiny") == TREE


def test_datasets_and_models_of_one_name_do_not_meet(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"model"})
    hub.dataset("acme/x", license="mit").commit({"a": b"dataset"})
    workshop.sync(job("acme/x", "dataset:acme/x"))
    assert workshop.files("acme/x") == {"a": b"model"}
    assert workshop.files("dataset:acme/x") == {"a": b"dataset"}


def test_small_files_that_come_through_a_relative_redirect(hub: Hub, workshop: Workshop) -> None:
    hub.behaviour.small_files = "resolve-cache"
    _tiny(hub)
    workshop.sync(job("acme/tiny"))
    assert workshop.files("acme/tiny") == TREE
