"""The catalogue follows every run, and no run fails or waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mirror_sync.app.this_machine import known_of
from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.catalogue.page_data import data_of
from mirror_sync.domain.catalogue.rows import Day
from mirror_sync.domain.outcome.events import CatalogueFailed, CataloguePublished, Event, RunFinished
from mirror_sync.errors import UsageError
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.state.history import History
from mirror_sync.wiring.program import Mirror
from tests.servers.bucket import S3Server
from tests.standin import Hub, faults
from tests.stores.scripted import Answer, Asked, scripted
from tests.waiting import PATIENCE

LISTING = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


@contextmanager
def mirror(folder: Path, told: list[Event] | None = None, **more: Any) -> Iterator[Mirror]:
    settings = {
        "state_dir": str(folder / "state"),
        "upstreams": {"local": {"kind": "directory", "url": str(folder / "upstream")}},
        "targets": {"it": {"url": str(folder / "mirror"), "grace": "0s"}},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "a", "repos": ["acme/x", "acme/y"], "schedule": {"every": "6h"}}],
        **more,
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    made = Mirror(load(path, {}), observers=[] if told is None else [told.append])
    yield made
    made.close()


def upstream(folder: Path, name: str, text: str = "hello") -> None:
    repo = folder / "upstream" / "acme" / name
    repo.mkdir(parents=True, exist_ok=True)
    (repo / "README.md").write_text(f"---\nlicense: mit\npipeline_tag: text-generation\n---\n{text}", encoding="utf-8")


def site(folder: Path) -> dict[str, bytes]:
    root = folder / "mirror" / "site"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def of(kind: type[Event], told: list[Event]) -> list[Any]:
    return [event for event in told if isinstance(event, kind)]


def test_a_run_publishes_the_catalogue_after_its_report(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    told: list[Event] = []
    with mirror(tmp_path, told) as made:
        made.sync(BY_DAEMON)
    kinds = [type(event) for event in told if isinstance(event, RunFinished | CataloguePublished)]
    assert kinds == [RunFinished, CataloguePublished]
    assert {"index.html", "mirror.html", "status.json", "models/acme--x.html"} <= site(tmp_path).keys()
    status = json.loads(site(tmp_path)["status.json"])
    (job,) = status["jobs"]
    assert (job["name"], job["schedule"], job["last_state"], job["repos"]) == ("a", "every 6h", "failed", 2)
    assert job["next_run"] is not None
    states = {line["repo"]: line["state"] for line in status["repos"]}
    assert states == {"acme/x": "published", "acme/y": "failed"}


def test_nothing_of_this_machine_stands_in_what_everybody_may_read(tmp_path: Path) -> None:
    """The upstream's folder, the target's and the reasons that name them stay here."""
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
    for name, body in site(tmp_path).items():
        assert str(tmp_path).encode() not in body, name


@pytest.mark.parametrize("said", [{"site": {"enabled": False}}, {"site": {"enabled": True}}, {}])
def test_the_catalogue_is_published_unless_jobs_yaml_says_otherwise(tmp_path: Path, said: dict[str, Any]) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, **said) as made:
        made.sync(BY_DAEMON)
        wanted = said != {"site": {"enabled": False}}
        assert bool(site(tmp_path)) is wanted
        if not wanted:
            with pytest.raises(UsageError, match="switches the catalogue off"):
                made.publish_catalogue("it")


@pytest.mark.parametrize(
    ("said", "front", "told"),
    [
        ({"name": "Example", "url": "https://models.example.org"}, {}, ("Example", "https://models.example.org")),
        ({"name": "Example"}, {"url": "https://front.example.org"}, ("Example", "https://front.example.org")),
        ({"name": "Example"}, {}, None),
        ({}, {"url": "https://front.example.org"}, None),
    ],
)
def test_lists_of_mirrors_are_told_what_the_operator_called_it(
    tmp_path: Path, said: dict[str, str], front: dict[str, str], told: tuple[str, str] | None
) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, site=said, front=front) as made:
        made.sync(BY_DAEMON)
    found = data_of(site(tmp_path)["mirror.html"], "mirrorz.json")
    assert (found is None) is (told is None)
    if found is not None:
        document = json.loads(found)
        assert (document["version"], document["site"]["name"], document["site"]["url"]) == (1.7, *(told or ()))
        assert [entry["cname"] for entry in document["mirrors"]] == ["a"]


def test_tunasync_is_told_of_each_job(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    upstream(tmp_path, "y")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
    (entry,) = json.loads(data_of(site(tmp_path)["mirror.html"], "tunasync.json") or b"")
    assert (entry["name"], entry["is_master"], entry["status"]) == ("a", True, "success")
    assert entry["last_update_ts"] == entry["last_ended_ts"] > 0
    assert entry["next_schedule_ts"] > entry["last_started_ts"]
    assert entry["last_update"].endswith(" +0000")


def test_a_bucket_that_refuses_the_catalogue_fails_no_run_and_the_next_one_makes_it_good(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    told: list[Event] = []
    blocked = tmp_path / "mirror" / "site"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    with mirror(tmp_path, told, jobs=[{"name": "a", "repos": ["acme/x"]}]) as made:
        assert made.sync(BY_DAEMON).ok
        (failed,) = of(CatalogueFailed, told)
        assert failed.target == "it"
        blocked.unlink()
        assert made.sync(BY_DAEMON).ok
        assert len(of(CataloguePublished, told)) == 1
    assert "index.html" in site(tmp_path)


def test_a_bucket_that_answers_503_is_told_and_counted(tmp_path: Path) -> None:
    told: list[Event] = []
    metrics = Metrics()

    def answer(asked: Asked) -> Answer:
        if asked.method == "PUT":
            return Answer(status=503)
        return Answer(body=LISTING) if asked.method == "GET" and "list-type" in asked.target else Answer(status=404)

    with scripted(answer) as server:
        keys = {"access_key": "AKEY", "secret_key": "a-secret", "region": "us-east-1", "addressing": "path"}
        target = {"url": "s3://models", "endpoint_url": server.endpoint_url, **keys}
        with mirror(tmp_path, told, targets={"it": target}, jobs=[{"name": "a", "repos": ["acme/none"]}]) as made:
            made.sync(BY_DAEMON)
    (failed,) = of(CatalogueFailed, told)
    assert failed.code == "target-unavailable"
    for event in told:
        metrics(event)
    assert metrics.registry.get_sample_value("mirror_sync_site_failures_total", {"target": "it"}) == 1
    success = metrics.registry.get_sample_value("mirror_sync_site_last_success_timestamp_seconds", {"target": "it"})
    assert success is None


def test_a_run_that_is_stopped_leaves_the_catalogue_to_the_next_one(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    told: list[Event] = []
    with mirror(tmp_path, told) as made:
        made.stop.set()
        made.sync(BY_DAEMON)
    assert not of(CataloguePublished, told)
    assert not of(CatalogueFailed, told)
    assert not (tmp_path / "mirror" / "site").exists()


def test_a_prune_that_un_publishes_shows_it(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    told: list[Event] = []
    retention = {"retention": {"snapshots": 0, "days": 0}}
    with mirror(tmp_path, told, jobs=[{"name": "a", "repos": ["acme/x"], **retention}]) as made:
        made.sync(BY_DAEMON)
        upstream(tmp_path, "x", "changed")
        made.sync(BY_DAEMON)
        told.clear()
        made.prune(BY_DAEMON, dry_run=True)
        assert not of(CataloguePublished, told)
        report = made.prune(BY_DAEMON)
        assert report.repos
        assert len(of(CataloguePublished, told)) == 1


def test_a_repo_that_was_taken_down_by_hand_is_shown_no_more_after_a_prune(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
    (tmp_path / "mirror" / "hub" / "models" / "acme--x" / "refs.json").unlink()
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/y"]}]) as made:
        made.prune(BY_DAEMON)
    assert "models/acme--x.html" not in site(tmp_path)


def test_verify_and_prune_leave_what_lies_beside_them_alone(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
        before = site(tmp_path)
    with mirror(tmp_path, site={"enabled": False}) as made:
        assert made.verify(BY_DAEMON).ok
        assert made.prune(BY_DAEMON).ok
    assert site(tmp_path) == before


def test_runs_that_end_at_once_publish_one_after_the_other_and_none_is_missing(tmp_path: Path) -> None:
    jobs = [{"name": f"j{number}", "repos": [f"acme/r{number}"]} for number in range(6)]
    for number in range(6):
        upstream(tmp_path, f"r{number}")
    told: list[Event] = []
    with mirror(tmp_path, told, jobs=jobs) as made:
        with ThreadPoolExecutor(6) as threads:
            reports = list(threads.map(lambda number: made.sync(BY_DAEMON, [f"j{number}"]), range(6)))
        assert all(report.ok for report in reports)
    assert not of(CatalogueFailed, told)
    assert 1 <= len(of(CataloguePublished, told)) <= 6
    assert {f"models/acme--r{number}.html" for number in range(6)} <= site(tmp_path).keys()
    assert json.loads(site(tmp_path)["status.json"])["complete"]


def test_who_waits_for_another_publication_ends_with_the_stop(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
    told: list[Event] = []
    with mirror(tmp_path, told) as made, FileLock(next((tmp_path / "state" / "locks").rglob("site.lock"))):
        run = threading.Thread(target=made.sync, args=(BY_DAEMON,))
        run.start()
        run.join(1)
        assert run.is_alive()
        made.stop.set()
        run.join(PATIENCE)
        assert not run.is_alive()
    assert not of(CataloguePublished, told)
    assert not of(CatalogueFailed, told)


def test_traffic_is_shown_of_the_target_that_it_was_counted_for(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    for target, wanted in (("other", ()), ("it", (Day("2026-11-19", 5000, downloads=7, clients=3),))):
        (tmp_path / "state").mkdir(exist_ok=True)
        kept = {"days": [{"day": "2026-11-19", "downloads": 7, "bytes": 5000, "clients": 3}]}
        (tmp_path / "state" / f"traffic-{target}.json").write_text(json.dumps(kept), encoding="utf-8")
        with mirror(tmp_path) as made:
            assert known_of(made.settings, made.history, "it").traffic == wanted


def test_all_of_it_can_be_compared_again(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
        good = site(tmp_path)["models/acme--x.html"]
        (tmp_path / "mirror" / "site" / "models" / "acme--x.html").write_bytes(good[::-1])
        sheets = made.publish_catalogue("it")
        assert site(tmp_path)["models/acme--x.html"] == good
        assert sheets.put >= 1
        with pytest.raises(UsageError, match="no target"):
            made.publish_catalogue("nowhere")


def test_a_day_has_one_size_and_days_are_kept_by_place(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path) as made:
        made.sync(BY_DAEMON)
        made.sync(BY_DAEMON)
    history = History(tmp_path / "state" / "history.db")
    place = f"file://{(tmp_path / 'mirror').resolve()}"
    (size,) = history.growth(place)
    assert (size.repos, size.files) == (1, 1)
    assert size.bytes > 0
    assert history.growth("elsewhere") == ()


@dataclass(frozen=True)
class Watched:
    """A target, as jobs.yaml has it, and what tells of each object when it was put."""

    place: dict[str, str]
    objects: Callable[[], dict[str, object]]


@pytest.fixture(params=["directory", "bucket"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Watched:
    if request.param == "directory":
        folder = tmp_path / "mirror"
        return Watched({"url": str(folder)}, lambda: _files(folder))
    server: S3Server = request.getfixturevalue("radosgw")
    bucket = server.make_bucket()

    def objects() -> dict[str, object]:
        pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {one["Key"]: (one["ETag"], one["LastModified"]) for page in pages for one in page["Contents"]}

    return Watched(server.place(bucket=bucket), objects)


def _files(folder: Path) -> dict[str, object]:
    """Each put makes a new file."""
    found = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def _class(key: str) -> str:
    """`blobs/`, `site/list/` and so on; what is there once is by its name."""
    top, _, rest = key.partition("/")
    return f"{top}/" if top in ("blobs", "hub", "audit") else f"site/{rest.partition('/')[0]}"


def test_a_run_with_one_changed_repo_writes_twelve_objects_and_one_without_two(
    watched: Watched, tmp_path: Path
) -> None:
    """Of the repo the file, its shard, the info, the commits, the root, and refs.json; the record of who did it; of
    the catalogue its page and its line in the list, the page that leads to all, and the two that say when.
    """
    names = [f"m{number}" for number in range(12)]
    for name in names:
        upstream(tmp_path, name)
    called = {"site": {"name": "Example", "url": "https://models.example.org"}}  # with that, all documents there are
    job = {"name": "a", "repos": [f"acme/{name}" for name in names], "schedule": {"every": "6h"}}
    told: list[Event] = []
    with mirror(tmp_path, told, targets={"it": watched.place}, jobs=[job], **called) as made:

        def run() -> Counter[str]:
            time.sleep(1.1)  # a bucket tells seconds
            before = watched.objects()
            made.sync(BY_DAEMON)
            assert not of(CatalogueFailed, told)
            return Counter(_class(key) for key, stat in watched.objects().items() if before.get(key) != stat)

        made.sync(BY_DAEMON)
        when = {"site/mirror.html": 1, "site/status.json": 1}
        assert run() == when
        upstream(tmp_path, names[3], "changed")
        one = run()
        lists = {"site/list": 1, "site/index.html": 1}
        assert one == {"blobs/": 5, "hub/": 1, "audit/": 1, "site/models": 1, **lists, **when}
        assert one.total() == 12
        for name in names[:10]:
            upstream(tmp_path, name, f"changed, too: {name}")
        ten = run()
        assert {**ten, "audit/": 1} == {"blobs/": 50, "hub/": 10, "audit/": 1, "site/models": 10, **lists, **when}
        assert ten["audit/"] <= 2
        assert run() == when


def test_a_machine_keeps_its_word_until_its_state_is_lost_and_what_it_said_goes_with_its_jobs(tmp_path: Path) -> None:
    def words() -> dict[str, str]:
        return {job["name"]: job["machine"] for job in json.loads(site(tmp_path)["status.json"])["jobs"]}

    upstream(tmp_path, "x")
    with mirror(tmp_path, jobs=[{"name": "old", "repos": ["acme/x"]}]) as made:
        made.sync(BY_DAEMON)
    before = words()["old"]
    with mirror(tmp_path, jobs=[{"name": "new", "repos": ["acme/x"]}]) as made:
        made.sync(BY_DAEMON)
        assert words() == {"new": before}
        for lost in (None, b"", b"\xff words of somebody else"):
            word = tmp_path / "state" / "machine"
            word.unlink() if lost is None else word.write_bytes(lost)
            made.sync(BY_DAEMON)
            assert words()["new"] != before
            before = words()["new"]


@pytest.mark.parametrize(
    ("endpoints", "told"),
    [
        (["https://hub.example"], "https://hub.example"),
        (["https://hub.example:8443/repository/s3cret/hf"], "https://hub.example:8443"),
        (["https://hub.example", "https://${HIDDEN}"], "https://hub.example"),
        (["https://hub.example/repository/${HIDDEN}/hf"], ""),
        (["https://${HIDDEN}:8443"], ""),
        (["${HIDDEN:-https://hub.example}"], ""),
        (["${UNSET:-https://hub.example}"], "https://hub.example"),
    ],
)
def test_of_an_upstream_the_host_is_told_and_nothing_that_is_not_written_in_jobs_yaml(
    tmp_path: Path, endpoints: list[str], told: str
) -> None:
    hidden = "https://inside.example" if endpoints[0].startswith("${") else "s3cret-path.example"
    path = tmp_path / "jobs.yaml"
    settings = {
        "state_dir": str(tmp_path / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": endpoints}},
        "targets": {"it": {"url": str(tmp_path / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "a", "repos": ["acme/x"]}],
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    made = Mirror(load(path, {"HIDDEN": hidden}))
    assert [job.upstream for job in known_of(made.settings, made.history, "it").jobs] == [told]
    made.close()


def hub_mirror(folder: Path, hub: Hub, told: list[Event]) -> Any:
    side = {"hub": {"kind": "huggingface", "endpoints": [hub.url], "token": "hf_reads_private"}}
    return mirror(folder, told, upstreams=side, jobs=[{"name": "a", "repos": ["acme/*"]}])


def test_the_name_of_a_private_repo_that_a_glob_brought_stays_here(tmp_path: Path) -> None:
    """Also where its licence is refused, and where it could not be looked at."""
    with Hub() as hub:
        hub.token("hf_reads_private", private=["acme/merger", "acme/merger-gpl"])
        hub.model("acme/good", license="mit").commit({"a": "1"})
        hub.model("acme/merger", license="mit", private=True).commit({"a": "1"})
        hub.model("acme/merger-gpl", license="gpl", private=True).commit({"a": "1"})
        with hub_mirror(tmp_path, hub, []) as made:
            outcomes = {report.repo: report.outcome for report in made.sync(BY_DAEMON).repos}
            assert outcomes == {"acme/good": "published", "acme/merger": "held", "acme/merger-gpl": "refused"}
            assert not any(b"merger" in body or "merger" in name for name, body in site(tmp_path).items())
            assert json.loads(site(tmp_path)["status.json"])["complete"] is True
            hub.faults.add(faults.status(403), lambda request: "merger" in request.path)
            hub.model("acme/merger-new", license="mit").commit({"a": "1"})
            outcomes = {report.repo: report.outcome for report in made.sync(BY_DAEMON).repos}
    assert outcomes.keys() == {"acme/good", "acme/merger", "acme/merger-gpl", "acme/merger-new"}
    assert "failed" in outcomes.values()
    assert not any(b"merger" in body or "merger" in name for name, body in site(tmp_path).items())
    found = json.loads(site(tmp_path)["status.json"])
    assert found["complete"] is False
    states = {line["repo"]: (line["state"], line["reason"]) for line in found["repos"]}
    assert states == {"acme/good": ("published", ""), "acme/*": ("failed", "the last attempt failed (upstream)")}
