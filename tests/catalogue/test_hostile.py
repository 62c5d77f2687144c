"""What others wrote into a target, upstreams and machines, stops no catalogue: the rest of it is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mirror_sync.domain.catalogue import rows as values
from mirror_sync.domain.catalogue.rows import Day, Overview, page_key
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from tests.catalogue.markup import read
from tests.catalogue.shelves import Machine, Memory, job, line
from tests.front.bucket import Published, model

Change = Callable[[dict[str, Any]], object]
BAD, PAGE = "acme/bad", "models/acme--bad.html"


def shelves() -> tuple[Memory, Published]:
    """A good repo, and one to be made a bad one."""
    store = Memory()
    for name in ("acme/good", BAD):
        repo = model(store, name)
        repo.publish({"README.md": b"1"})
    return store, repo


def put(store: Memory, document: object) -> str:
    """A document under its digest; what JSON cannot spell stands in it as "RAW:…"."""
    body = document if isinstance(document, bytes) else json.dumps(document).replace('"RAW:', "").replace(':RAW"', "")
    body = body if isinstance(body, bytes) else body.encode()
    digest = Sha256.of(body)
    store.objects[blob_key(digest)] = body, 1.0
    return digest


def rewrite(store: Memory, repo: Published, change: Change) -> None:
    """Publish the repo's only snapshot under another root."""
    [(commit, root)] = repo.refs.snapshots.items()
    document = json.loads(store.objects[blob_key(root)][0])
    change(document)
    repo.write_refs(replace(repo.refs, snapshots={commit: Sha256(put(store, document))}).encode())


def in_shard(store: Memory, **change: object) -> Change:
    def changed(root: dict[str, Any]) -> None:
        [[first, digest]] = root["shards"]
        [entry] = json.loads(store.objects[blob_key(Sha256(digest))][0])
        root["shards"] = [[first, put(store, [{**entry, **change}])]]

    return changed


@pytest.mark.parametrize(
    "change",
    [
        {"files": "RAW:1e400:RAW"},
        {"bytes": 10**400},
        {"bytes": 2**70},
        {"last": [1]},
        {"last": {"date": 5}},
        {"verdicts": [{"rule": "license", "outcome": "allowed", "reason": 5}]},
        {"info": "0" * 64},
    ],
    ids=str,
)
def test_a_root_that_cannot_be_read_is_one_repo_less(change: dict[str, object]) -> None:
    store, repo = shelves()
    rewrite(store, repo, lambda root: root.update(change))
    assert Machine(store).publish().unread == 1
    assert b"acme/good" in store.site["index.html"]
    assert "models/acme--good.html" in store.site


@pytest.mark.parametrize("change", [{"size": "RAW:1e400:RAW"}, {"path": 5}, {"sha256": "x"}], ids=str)
def test_a_shard_that_cannot_be_read_is_one_repo_less(change: dict[str, object]) -> None:
    store, repo = shelves()
    rewrite(store, repo, in_shard(store, **change))
    assert Machine(store).publish().unread == 1
    assert "models/acme--good.html" in store.site


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "yesterday"])
def test_a_commit_of_no_year_has_no_date(date: str) -> None:
    store, repo = shelves()
    rewrite(store, repo, lambda root: root["last"].update(date=date))
    assert Machine(store).publish().unread == 0
    assert date.encode() not in store.site[PAGE]


@pytest.mark.parametrize("error", [StoreDenied("403"), StoreError("larger than 268435456 bytes")])
@pytest.mark.parametrize("verb", ["get", "put"])
def test_one_object_that_is_refused_is_one_repo_less(verb: str, error: StoreError) -> None:
    store, repo = shelves()

    def refuse(what: str, key: str) -> None:
        if what == verb and key in (refs_key(repo.repo), page_key(repo.repo)):
            raise error

    store.before = refuse
    assert Machine(store).publish().unread == 1
    assert b"acme/good" in store.site["index.html"]
    assert (PAGE in read(store.site["index.html"]).links) == (PAGE in store.site)


def test_a_store_that_does_not_answer_ends_the_publication() -> None:
    store, repo = shelves()

    def refuse(verb: str, key: str) -> None:
        if verb == "get" and key == refs_key(repo.repo):
            raise StoreUnavailable("503")

    store.before = refuse
    with pytest.raises(StoreUnavailable):
        Machine(store).publish()


@pytest.mark.parametrize("lines", [(), (line(BAD),)], ids=["unasked", "asked"])
def test_a_repo_that_never_could_be_read_has_a_page_that_says_so_until_it_can(lines: tuple[Any, ...]) -> None:
    """To those who may see everything: nobody knows whether its upstream gives it to everybody."""
    store, repo = shelves()
    good, modified = store.objects[refs_key(repo.repo)]
    store.objects[refs_key(repo.repo)] = b"{}", modified
    machine = Machine(store, lines=lines)
    assert machine.publish().unread == 1
    assert (PAGE in store.site, PAGE.encode() in store.site["index.html"]) == (False, False)
    assert PAGE.encode() in store.site["all/index.html"]
    assert b"cannot be read" in store.site[f"all/{PAGE}"]
    assert b"No file of this repo is published" not in store.site[f"all/{PAGE}"]
    store.objects[refs_key(repo.repo)] = good, modified
    assert machine.publish().unread == 0
    assert b"README.md" in store.site[PAGE]


def test_words_without_end_are_cut() -> None:
    store, repo = shelves()
    info = {
        "private": False,
        "gated": False,
        "cardData": {"license": ["x" * 1_000_000]},
        "tags": [*(f"license:{number:04}{'y' * 1_000}" for number in range(2_000)), f"task_categories:{'z' * 100_000}"],
        "library_name": "l" * 100_000,
    }
    rewrite(
        store,
        repo,
        lambda root: root.update(
            info=put(store, info),
            last={**root["last"], "title": "t" * 100_000},
            verdicts=[{"rule": "license", "outcome": "allowed", "reason": "r" * 4_096}],
        ),
    )
    refused = line("acme/no", RepoState.REFUSED, reason=f"licence {'x' * 1_000_000}")
    machine = Machine(store, lines=(refused,))
    assert machine.publish().unread == 0
    assert {name: len(body) for name, body in store.site.items() if len(body) > 60_000} == {}
    assert store.site["index.html"].count(b"yyy</bdi>") + store.site["index.html"].count("y…</bdi>".encode()) == 10
    assert "licence xxx" in json.loads(store.site["status.json"])["repos"][0]["reason"]


def test_a_name_that_no_ref_should_have_stands_in_no_command() -> None:
    """One that an older program has published."""
    store, repo = shelves()
    (commit,) = repo.refs.snapshots
    repo.refs = replace(repo.refs, refs=())
    for name in ("v1.0\u202e", "-x"):
        repo.tag(name, commit)
    Machine(store).publish()
    page = store.site[PAGE].decode()
    assert f"--revision {commit}" in page
    assert "v1.0" not in page


HUGE = ["RAW:1e400:RAW", float("nan"), 10**400, 2**70, -1, 1.5, "5", True]


def said_by_two(change: dict[str, object], key: str) -> Memory:
    store = Memory()
    Machine(store, "two", (job("b", "two"),), (line("acme/b", RepoState.FAILED, "b"),)).publish()
    document = json.loads(store.site["status.json"])
    document[key][0] |= change
    body = json.dumps(document).replace('"RAW:', "").replace(':RAW"', "")
    store.objects["site/status.json"] = body.encode(), 1.0
    return store


@pytest.mark.parametrize("value", HUGE, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize(
    ("entries", "key"), [("jobs", "repos"), ("jobs", "mirrored"), ("repos", "files"), ("repos", "bytes")]
)
def test_figures_that_nobody_can_hold_are_not_believed(entries: str, key: str, value: object) -> None:
    store = said_by_two({key: value}, entries)
    Machine(store).publish()
    found = json.loads(store.site["status.json"])
    assert found["repos"] == []
    assert [entry["name"] for entry in found["jobs"]] == (["all"] if entries == "jobs" else ["all", "b"])


@pytest.mark.parametrize(
    "value", ["RAW:1e400:RAW", "RAW:-1e400:RAW", float("nan"), 10**400, -1, "5"], ids=lambda value: str(value)[:20]
)
def test_a_lag_that_nobody_can_hold_is_not_believed(value: object) -> None:
    store = said_by_two({"lag_seconds": value}, "repos")
    Machine(store).publish()
    assert json.loads(store.site["status.json"])["repos"] == []


TIMES = [
    "2026-11-20T07:00:00",
    "2026-W47-5",
    "0001-01-01",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-01:00",
    5,
]


@pytest.mark.parametrize("value", TIMES)
@pytest.mark.parametrize("key", ["last_started", "last_finished", "next_run", "succeeded", "at"])
def test_times_that_are_none_are_not_believed(key: str, value: object) -> None:
    store = said_by_two({key: value}, "jobs")
    Machine(store).publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["all"]


def test_a_time_of_another_zone_is_told_as_all_others() -> None:
    store = said_by_two({"last_started": "2026-11-20T08:00:00.5+01:00"}, "jobs")
    Machine(store).publish()
    [_, theirs] = json.loads(store.site["status.json"])["jobs"]
    assert theirs["last_started"] == "2026-11-20T07:00:00Z"


def test_a_machine_whose_clock_is_far_ahead_is_forgotten_as_all_others() -> None:
    store = said_by_two({"at": "9999-01-01T00:00:00Z"}, "jobs")
    machine = Machine(store)
    machine.publish()
    machine.at += timedelta(days=31)
    machine.publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["all"]


def test_when_what_others_said_cannot_be_shown_all_the_same_ours_is() -> None:
    store = said_by_two({}, "jobs")

    def grow(today: Overview) -> tuple[Day, ...]:
        if len(today.jobs) > 1:
            raise ArithmeticError("a fault that nobody foresaw")
        return ()

    Machine(store, grow=grow).publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["all"]


def test_a_status_that_would_be_too_large_to_be_read_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "LARGEST", 4_000)
    store = Memory()
    machine = Machine(store, lines=tuple(line(f"acme/m{number}", RepoState.REFUSED) for number in range(40)))
    for _ in range(2):
        machine.publish()
        found = json.loads(store.site["status.json"])
        assert (found["repos"], found["gaps"]) == ([], 40)
    assert len(store.site["status.json"]) <= 4_000


def test_a_status_that_somebody_made_too_large_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "LARGEST", 100_000)
    store = Memory()
    store.objects["site/status.json"] = b" " * 100_001, 1.0
    Machine(store).publish()
    assert json.loads(store.site["status.json"])["format"] == 1
