"""A ModelScope beside a Hub: as an upstream of its own, published into one target, and as a road to the same bytes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.runs import Runs
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.way_gauge import AGAIN, RoadGauge
from mirror_sync.domain.outcome.events import Event, RoadLeft, RoadTaken
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.errors import ConfigError
from mirror_sync.observe.figures import in_bytes
from mirror_sync.state.ways_file import kept_ways
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.program import Mirror
from tests.cli.program import Program
from tests.sources.reading import FILES, fill_modelscope
from tests.standin import LFS, Generated, Hub, faults
from tests.standin.modelscope import ModelScope

WEIGHTS = {f"model-{number}.safetensors": Generated((2 << 20) + number, seed=number) for number in range(6)}


@dataclass
class House:
    """A folder with a jobs.yaml over both hubs; what is told is kept."""

    hub: Hub
    site: ModelScope
    folder: Path
    told: list[Event] = field(default_factory=list)

    def config(self, *jobs: dict[str, Any], **modelscope: Any) -> Path:
        document = {
            "state_dir": str(self.folder / "state"),
            "upstreams": {
                "hf": {"kind": "huggingface", "endpoints": [self.hub.url]},
                "ms": {"kind": "modelscope", "url": self.site.url, **modelscope},
            },
            "targets": {"mirror": {"url": (self.folder / "mirror").as_uri()}},
            "licenses": {"allow": ["mit", "apache-2.0"]},
            "site": {"enabled": False},
            "jobs": [{"name": f"job-{number}", "workers": 1, **job} for number, job in enumerate(jobs)],
        }
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def sync(self, *jobs: dict[str, Any], **modelscope: Any) -> list[RepoReport]:
        mirror = Mirror(load(self.config(*jobs, **modelscope), {}), (self.told.append,))
        try:
            return [*mirror.sync(BY_DAEMON).repos]
        finally:
            mirror.close()

    @property
    def store(self) -> DirectoryStore:
        return DirectoryStore(self.folder / "mirror")

    def events(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def house(hub: Hub, tmp_path: Path) -> Iterator[House]:
    with ModelScope() as site:
        fill_modelscope(site)
        yield House(hub, site, tmp_path)
        assert not site.leaks
        assert not site.crashes


TINY: dict[str, Any] = {"upstream": "ms", "repos": ["acme/tiny"]}


def test_a_repo_of_modelscope_is_published_with_every_digest_and_costs_two_calls_when_unchanged(house: House) -> None:
    (first,) = house.sync(TINY)
    assert (first.outcome, first.files) == (RepoOutcome.PUBLISHED, len(FILES))
    refs = read_refs(house.store, Repo.parse("acme/tiny"))
    assert refs.commit_of("main") == house.site.model("acme/tiny").head("master")
    for content in FILES.values():
        with house.store.read(blob_key(Sha256(content.sha256))) as stream:
            assert stream.readinto(memoryview(bytearray(4))) == min(4, content.size)
    before = house.site.calls()
    (again,) = house.sync(TINY)
    assert (again.outcome, house.site.calls() - before) == (RepoOutcome.UNCHANGED, 2)
    house.site.commit(house.site.model("acme/tiny"), {"new.txt": b"new"})
    (changed,) = house.sync(TINY)
    assert (changed.outcome, changed.fetched_files) == (RepoOutcome.PUBLISHED, 1)


def test_a_glob_finds_all_of_an_owner_models_and_datasets(house: House) -> None:
    found = house.sync({"upstream": "ms", "repos": ["acme/*", "dataset:acme/*"]})
    assert {(one.repo, one.outcome) for one in found} == {
        ("acme/tiny", RepoOutcome.PUBLISHED),
        ("acme/second", RepoOutcome.PUBLISHED),
        ("acme/rows", RepoOutcome.REFUSED),  # whose licence is not allowed
    }


def test_a_file_without_a_digest_is_refused_unless_it_is_not_wanted(house: House) -> None:
    house.site.ways.silent_of = {"config.json"}
    (refused,) = house.sync(TINY)
    assert (refused.outcome, refused.code) == (RepoOutcome.REFUSED, "unproved")
    assert refused.reason.startswith("config.json has no SHA-256 at the upstream")
    assert house.site.calls(path="*/repo") == 0
    (left,) = house.sync({**TINY, "exclude": ["config.json"]})
    assert left.outcome is RepoOutcome.PUBLISHED


def test_accepted_it_is_downloaded_twice_and_what_agrees_is_published_with_a_verdict(house: House) -> None:
    house.site.ways.silent_of = {"config.json"}

    def asks_for_it(request: Any) -> bool:
        return bool(request.first("FilePath") == "config.json")

    wrong = house.site.faults.add(faults.wrong_bytes(0), asks_for_it, times=1)
    (published,) = house.sync(TINY, unproved="accept")
    assert wrong.fired == 1
    assert published.outcome is RepoOutcome.FAILED  # the two downloads differ, however often the second is made
    house.site.faults.clear()
    (published,) = house.sync(TINY, unproved="accept")
    assert published.outcome is RepoOutcome.PUBLISHED
    refs = read_refs(house.store, Repo.parse("acme/tiny"))
    digest = refs.root_of("main")
    assert digest is not None
    said = {verdict.rule: verdict.reason for verdict in read_root(house.store, digest).verdicts}
    assert said["unproved"].startswith("config.json has no SHA-256 at the upstream: two downloads over two")


def test_two_hubs_share_a_target_by_names_of_their_own(house: House) -> None:
    house.hub.model("acme/tiny", license="mit").commit({"README.md": "of the Hub"})
    both = {"upstream": "hf", "repos": ["acme/tiny"]}, {**TINY, "as": "ms-{org}/{name}"}
    found = house.sync(*both)
    assert {(one.repo, one.outcome) for one in found} == {
        ("acme/tiny", RepoOutcome.PUBLISHED),
        ("ms-acme/tiny", RepoOutcome.PUBLISHED),
    }
    heads = [read_refs(house.store, Repo.parse(name)).commit_of("main") for name in ("acme/tiny", "ms-acme/tiny")]
    assert heads == [house.hub.model("acme/tiny").head(), house.site.model("acme/tiny").head("master")]
    assert {one.outcome for one in house.sync(*both)} == {RepoOutcome.UNCHANGED}
    globbed = house.sync({"upstream": "ms", "repos": ["acme/*", "!acme/second"], "as": "ms-{org}/{name}"})
    assert {(one.repo, one.outcome) for one in globbed} == {("ms-acme/tiny", RepoOutcome.UNCHANGED)}


def test_branches_and_tags_of_modelscope_are_followed_by_globs_under_whatever_name(house: House) -> None:
    tiny = house.site.model("acme/tiny")
    first = tiny.head("master")
    tiny.tag("v1", first)
    trial = house.site.commit(tiny, {"config.json": b"{}"}, branch="trial")
    wanted = {**TINY, "revisions": ["main", "v*", "tr*"], "as": "ms-{org}/{name}"}
    assert {(one.revision, one.outcome) for one in house.sync(wanted)} == {
        (name, RepoOutcome.PUBLISHED) for name in ("main", "v1", "trial")
    }
    refs = read_refs(house.store, Repo.parse("ms-acme/tiny"))
    assert {ref.ref: ref.target for ref in refs.refs} == {
        "refs/heads/main": first,
        "refs/tags/v1": first,
        "refs/heads/trial": trial,
    }
    moved = house.site.commit(tiny, {"config.json": b"{ }"}, branch="trial")
    assert {(one.revision, one.outcome) for one in house.sync(wanted)} == {
        ("main", RepoOutcome.UNCHANGED),
        ("v1", RepoOutcome.UNCHANGED),
        ("trial", RepoOutcome.PUBLISHED),
    }
    assert read_refs(house.store, Repo.parse("ms-acme/tiny")).commit_of("trial") == moved


def test_a_select_under_other_names_brings_and_looks_after_them_by_these(house: House) -> None:
    for number, name in enumerate(("a-GGUF", "b", "c")):
        house.hub.model(f"Qwen/{name}", license="mit", downloads=9 - number).commit({"f": name})
    wanted = {
        "upstream": "hf",
        "select": {"sort": "downloads", "limit": 1, "without": ["*-GGUF"]},
        "as": "hf-{org}/{name}",
    }
    assert [(one.repo, one.outcome) for one in house.sync(wanted)] == [("hf-Qwen/b", RepoOutcome.PUBLISHED)]
    house.hub.model("Qwen/c", downloads=99)
    newer = house.hub.model("Qwen/b").commit({"f": "newer"})
    assert {one.repo for one in house.sync(wanted)} == {"hf-Qwen/b", "hf-Qwen/c"}
    assert read_refs(house.store, Repo.parse("hf-Qwen/b")).commit_of("main") == newer


def test_a_webhook_of_a_hub_starts_the_job_that_has_the_repo_under_another_name(house: House) -> None:
    select = {"upstream": "hf", "select": {"author": "acme", "without": ["*-old"]}, "as": "hf-{org}/{name}"}
    named = {"upstream": "hf", "repos": ["acme/tiny"], "as": "our-{org}/{name}"}
    settings = load(house.config(select, named), {})
    mirror, runs = Mirror(settings), Runs(threading.Event(), lambda event: None, lambda: None)
    runs.take(settings, mirror)
    try:
        begun = {one.repo for one in runs.hint(Repo.parse("acme/tiny"))}
        assert begun == {"hf-acme/tiny", "our-acme/tiny"}
        assert runs.hint(Repo.parse("acme/x-old")) == ()
        assert runs.hint(Repo.parse("hf-acme/tiny")) == (), "a hub knows no name of ours"
    finally:
        assert runs.end(60)
        mirror.close()


def test_one_name_of_two_hubs_on_one_target_is_a_fault_that_names_both_jobs(house: House) -> None:
    path = house.config({"upstream": "hf", "repos": ["acme/*"]}, TINY)
    with pytest.raises(ConfigError, match="jobs 'job-0' and 'job-1' publish acme/tiny of two upstreams") as caught:
        load(path, {})
    assert 'as: "ms-{org}/{name}"' in str(caught.value)


def with_weights(house: House) -> dict[str, Any]:
    files = {path: LFS(content) for path, content in WEIGHTS.items()}
    house.hub.model("acme/big", license="mit").commit({"README.md": "x", **files})
    house.site.commit(house.site.model("acme/big", license="MIT"), {"elsewhere/one.md": "y", **files})
    return {"upstream": "hf", "repos": ["acme/big"], "roads": ["ms"]}


def check_all(house: House, found: list[RepoReport]) -> None:
    assert [one.outcome for one in found] == [RepoOutcome.PUBLISHED], found
    for content in WEIGHTS.values():
        stat = house.store.stat(blob_key(Sha256(content.sha256)))
        assert stat is not None
        assert stat.size == content.size


def test_large_files_come_by_a_road_too_and_every_byte_is_counted_by_its_way(house: House) -> None:
    check_all(house, house.sync(with_weights(house)))
    ways = {road: sum(one.bytes for one in house.events(RoadTaken) if one.road == road) for road in ("", "ms")}
    assert sum(ways.values()) == sum(content.size for content in WEIGHTS.values())
    assert min(ways.values()) >= min(content.size for content in WEIGHTS.values())  # each was tried
    assert sum(record.sent for record in house.site.log.records(origin="cdn")) == ways["ms"]
    (counted,) = kept_ways(house.folder / "state").roads.values()
    assert counted.bytes == ways
    told = Program(house.folder)("status", "--config", str(house.folder / "jobs.yaml")).out
    assert "job job-0: of files that its roads have, too, came since" in " ".join(told.split())
    assert f"{in_bytes(ways['ms'])} by ms" in " ".join(told.split())


@pytest.mark.parametrize("harm", ["lies", "breaks", "refuses", "lists nothing", "is silent"])
def test_a_road_that_fails_costs_nothing_but_itself(house: House, harm: str) -> None:
    job = with_weights(house)
    match harm:
        case "lies":
            house.site.faults.add(faults.wrong_bytes(9), origin="cdn")
        case "breaks":
            house.site.faults.add(faults.cut(1 << 20), origin="cdn")
        case "refuses":
            house.site.model("acme/big").set(gated="manual")
        case "lists nothing":
            house.site.remove("acme/big")
        case "is silent":
            house.site.__exit__(None, None, None)
    check_all(house, house.sync(job))
    left = house.events(RoadLeft)
    if harm in ("lists nothing", "is silent"):
        assert not left
    else:
        assert {(one.job, one.road, str(one.repo)) for one in left} == {("job-0", "ms", "acme/big")}


@pytest.mark.parametrize(
    ("roads", "says"),
    [
        (["hf"], "'hf' is the job's own upstream; remove it"),
        (["mss"], "'mss' is not under upstreams; did you mean ms?"),
    ],
)
def test_a_road_that_is_none_is_a_fault(house: House, roads: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(house.config({"upstream": "hf", "repos": ["acme/big"], "roads": roads}), {})
    assert says.replace("'", "") in str(caught.value).replace("'", "")


def test_of_two_ways_the_quicker_is_taken_and_kept_until_another_is_clearly_quicker() -> None:
    gauge = RoadGauge(2)
    assert gauge.choose([0, 1]) == 0  # one is tried after the other
    assert gauge.choose([0, 1]) == 1
    gauge.came(0, 10 << 20, 1.0)
    gauge.came(1, 11 << 20, 1.0)
    gauge.ended(0, well=True)
    gauge.ended(1, well=True)
    assert [gauge.choose([0, 1]) for _ in range(5)] == [0] * 5  # a tenth is not worth a change
    gauge.came(1, 40 << 20, 1.0)
    assert [gauge.choose([0, 1]) for _ in range(5)] == [1] * 5
    assert gauge.choose([0]) == 0  # of what the road has not
    gauge.ended(1, well=False)
    assert [gauge.choose([0, 1]) for _ in range(10)] == [0] * 10  # it rests
    assert 1 in [gauge.choose([0, 1]) for _ in range(AGAIN)]
    assert gauge.drags(1, 1 << 20, 10.0)
    assert not gauge.drags(0, 1 << 20, 10.0)
