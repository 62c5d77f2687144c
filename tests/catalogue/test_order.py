"""No page leads to one that is not there, none is without the assets that it names, and none tells of other bytes."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.catalogue.rows import ROWS_PER_PAGE, RepoRow, cut_list
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.store import Stat
from tests.catalogue.markup import read
from tests.catalogue.shelves import Machine, Memory, line
from tests.front.bucket import model

OLD = "assets/catalogue.00000000.css"


def firsts(count: int) -> list[str]:
    """Repos each of which begins a page of the list."""
    rows = (RepoRow(Kind.MODEL, f"acme/m{number:05}", "") for number in range(3 * count * ROWS_PER_PAGE))
    return [page.first for page in cut_list(rows)][1 : count + 1]


def dying(store: Memory, at: int) -> None:
    left = [at]

    def refuse(verb: str, key: str) -> None:
        if verb == "put" and key.startswith(("site/list/", "site/index")):
            left[0] -= 1
            if left[0] == 0:
                raise StoreUnavailable("503")

    store.before = refuse


def astray(store: Memory) -> set[tuple[str, str]]:
    """Links within the catalogue that lead nowhere."""
    found = set()
    for name, body in store.site.items():
        if name.endswith(".html"):
            for link in read(body).links:
                leads = posixpath.normpath(posixpath.join(posixpath.dirname(name), urlsplit(link).path))
                if leads.startswith(("list/", "models/", "assets/")) and leads not in store.site:
                    found.add((name, leads))
    return found


@pytest.mark.parametrize("at", range(1, 16))
@pytest.mark.parametrize("before", [[], [1, 4], [0, 1, 2, 3, 5]], ids=str)
def test_no_page_of_the_list_leads_to_one_that_is_not_there_whenever_it_dies(before: list[int], at: int) -> None:
    store, names = Memory(), firsts(6)
    machine = Machine(store, lines=tuple(line(names[number], RepoState.NEVER) for number in before))
    if before:
        machine.publish()
    machine.lines = tuple(line(name, RepoState.NEVER) for name in names)
    dying(store, at)
    try:
        machine.publish()
    except StoreUnavailable:
        assert not {link for link in astray(store) if link[0].startswith("list/")}
    store.before = lambda verb, key: None
    machine.publish()
    assert not astray(store)
    assert sum(name.startswith("list/") for name in store.site) == 6


def with_old() -> Memory:
    """A shelf that has the asset of an older program, put long ago."""
    store = Memory()
    model(store, "acme/a").publish({"README.md": b"1"})
    store.objects[f"site/{OLD}"] = b"old", 1.0
    return store


def test_an_asset_stays_a_day_after_the_first_publication_that_names_it_no_more() -> None:
    store = with_old()
    at = Machine(store).at
    for hours in (0, 12, 23):
        Machine(store, at=at + timedelta(hours=hours)).publish()  # each remembers nothing but what the target says
        assert OLD in store.site, hours
    Machine(store, at=at + timedelta(hours=25)).publish()
    assert OLD not in store.site
    assert json.loads(store.site["status.json"])["unused"] == {}


def test_an_asset_that_is_used_again_has_another_day() -> None:
    store = with_old()
    machine = Machine(store)
    machine.publish()
    said = json.loads(store.site["status.json"])
    used = next(name for name in store.site if name.endswith(".css") and name != OLD).removeprefix("assets/")
    said["unused"][used] = "2020-01-01T00:00:00Z"
    store.objects["site/status.json"] = json.dumps(said).encode(), 1.0
    machine.publish()
    assert list(json.loads(store.site["status.json"])["unused"]) == [OLD.removeprefix("assets/")]
    assert f"assets/{used}" in store.site


def test_no_asset_goes_while_a_page_stays_that_could_not_be_written_anew() -> None:
    store = with_old()
    repo = model(store, "acme/bad")
    repo.write_refs(b"{}")
    machine = Machine(store)
    for _ in range(3):
        machine.publish()
        machine.at += timedelta(days=2)
    assert OLD in store.site
    repo.publish({"README.md": b"1"})
    machine.publish()
    assert OLD in store.site
    machine.at += timedelta(days=2)
    machine.publish()
    assert OLD not in store.site


def test_what_is_remembered_of_a_repo_is_not_believed_when_all_is_compared() -> None:
    store = Memory()
    model(store, "acme/a").publish({"README.md": b"1"})
    machine = Machine(store)
    machine.publish()
    [name] = [name for name in machine.read_cache.kept if name.endswith("#facts")]
    version, body = machine.read_cache.kept[name]
    assert b'"task":""' in body
    machine.read_cache.kept[name] = version, body.replace(b'"task":""', b'"task":"wrong-task"')
    machine.publish(anew=True)
    assert b"wrong-task" not in store.site["models/acme--a.html"]


@pytest.mark.parametrize("tells", [True, False], ids=["bucket", "directory"])
def test_what_is_read_of_a_refs_that_changed_since_it_was_listed_is_not_told_of_the_one_listed(tells: bool) -> None:
    store = Memory(tells=tells)
    repo = model(store, "acme/a")
    key = refs_key(repo.repo)
    repo.publish({"first.txt": b"1"})
    listed = store.objects[key]
    repo.refs = replace(repo.refs, refs=(), snapshots={})
    repo.publish({"other.txt": b"1"})
    other = store.objects[key]
    assert len(listed[0]) == len(other[0])
    store.objects[key] = listed

    def change(verb: str, name: str) -> None:
        if verb == "get" and name == key:
            store.objects[key] = other

    machine = Machine(store)
    store.before = change
    machine.publish()
    store.before = lambda verb, name: None
    store.objects[key] = listed
    machine.publish()
    assert b"first.txt" in store.site["models/acme--a.html"]


class Encrypted(Memory):
    """Tells what is no MD5 of the bytes, though it looks like one."""

    def list(self, prefix: str) -> Iterator[Stat]:
        for stat in super().list(prefix):
            word = f"{stat.key} {stat.md5} {stat.modified}".encode()
            yield replace(stat, md5=hashlib.md5(word, usedforsecurity=False).hexdigest())


def test_an_encrypted_refs_that_has_not_changed_is_not_read_again() -> None:
    store = Encrypted()
    repos = [model(store, f"acme/m{number}") for number in range(5)]
    for repo in repos:
        repo.publish({"README.md": b"1"})
    machine = Machine(store)
    machine.publish()
    asked: list[str] = []
    store.before = lambda verb, key: asked.append(key) if verb == "get" else None
    machine.publish()
    assert not [key for key in asked if key.startswith("hub/")]


@pytest.mark.parametrize("url", ["https://models.example.org", "https://models.example.org/"])
def test_the_commands_of_a_repo_name_the_address_that_the_operator_gave(url: str) -> None:
    store = Memory()
    model(store, "acme/a").publish({"README.md": b"1"})
    machine = Machine(store)
    machine.publish()
    assert b"HF_ENDPOINT=<span" in store.site["models/acme--a.html"]
    machine.url = url
    machine.publish()
    page = store.site["models/acme--a.html"]
    assert b"HF_ENDPOINT=https://models.example.org hf download" in page
    assert b"MIRROR-ADDRESS" not in page
