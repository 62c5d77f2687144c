"""The catalogue for everybody names no repo that is not for everybody; all there is lies beside it."""

from __future__ import annotations

import json

from mirror_sync.catalogue.gather import Gather
from mirror_sync.domain.access.rights import AccessRules, Opening, RepoSet, Role
from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import CLOSED
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import RepoPattern
from tests.catalogue.shelves import Machine, Memory, filled, job, line, status
from tests.front.bucket import Published, model

GATED = {"private": False, "gated": "auto"}
SECRET = "hushhush"


def hidden(store: Memory) -> Published:
    """A gated repo beside others."""
    filled(store, 2)
    repo = model(store, f"acme/{SECRET}")
    repo.publish({"README.md": b"what nobody sees"}, described=GATED)
    return repo


def public(store: Memory) -> dict[str, bytes]:
    return {name: body for name, body in store.site.items() if not name.startswith("all/")}


def test_what_is_closed_upstream_stands_in_no_object_for_everybody(store: Memory) -> None:
    hidden(store)
    Machine(store, lines=(line("acme/m0"), line(f"acme/{SECRET}"))).publish()
    assert not [name for name, body in public(store).items() if SECRET in name or SECRET.encode() in body]
    for name in ("index.html", "status.json", f"models/acme--{SECRET}.html"):
        assert SECRET.encode() in store.site[f"all/{name}"], name
    everything = json.loads(store.site["all/status.json"])
    assert ({one["repo"] for one in everything["repos"]}) == {"acme/m0", f"acme/{SECRET}"}
    assert (status(store)["gaps"], b"acme/m1" in store.site["index.html"]) == (0, True)


def test_where_everybody_may_see_all_there_is_one_catalogue(store: Memory) -> None:
    filled(store, 2)
    Machine(store).publish()
    assert not [name for name in store.site if name.startswith("all/")]


def test_a_repo_that_is_opened_moves_to_everybody_and_one_that_is_closed_away_from_them(store: Memory) -> None:
    repo = hidden(store)
    opened = AccessRules(opened=(Opening((RepoPattern.parse("acme/*"),)),))
    machine = Machine(store, lines=(line(f"acme/{SECRET}"),), access=opened)
    page = f"models/acme--{SECRET}.html"
    machine.publish()
    assert (page in store.site, [name for name in store.site if name.startswith("all/")]) == (True, [])
    machine.access = AccessRules()
    machine.publish()
    assert (page in store.site, f"all/{page}" in store.site) == (False, True)
    assert not [name for name, body in public(store).items() if SECRET.encode() in body]
    repo.publish({"README.md": b"for everybody"})
    machine.publish()
    assert (page in store.site, [name for name in store.site if name.startswith("all/")]) == (True, [])


def test_what_no_pattern_for_everybody_names_is_hidden_whether_it_is_published_or_asked_for(store: Memory) -> None:
    filled(store, 1)
    lines = (line("acme/m0"), line(f"team/{SECRET}", RepoState.REFUSED, reason="no licence"))
    machine = Machine(store, lines=lines, access=AccessRules(anonymous=(RepoSet.parse("acme/*"),)))
    machine.publish()
    assert not [name for name, body in public(store).items() if SECRET.encode() in body or SECRET in name]
    assert b"no licence" in store.site[f"all/models/team--{SECRET}.html"]


def test_another_machine_learns_of_hidden_repos_by_the_whole_status(store: Memory) -> None:
    hidden(store)
    for name, repo in (("one", f"acme/{SECRET}"), ("two", "acme/m0")):
        Machine(store, name, (job(name, name),), (line(repo, job=name),)).publish()
    told = {one["repo"] for one in json.loads(store.site["all/status.json"])["repos"]}
    assert told == {"acme/m0", f"acme/{SECRET}"}


def test_a_repo_that_cannot_be_read_is_as_hidden_as_it_was_and_a_new_one_is_hidden(store: Memory) -> None:
    repo = hidden(store)
    machine = Machine(store, lines=(line("acme/m0"), line(f"acme/{SECRET}")))
    machine.publish()
    repo.write_refs(b"no refs.json")
    machine.publish(anew=True)
    assert not [name for name, body in public(store).items() if SECRET.encode() in body or SECRET in name]


def test_an_upstream_that_does_not_say_whether_a_repo_is_closed_closes_it(store: Memory) -> None:
    repo = model(store, "acme/unsaid")
    repo.publish({"README.md": b"hello"}, described={"gated": None})
    machine = Machine(store)
    stat = store.stat(refs_key(repo.repo))
    assert stat is not None
    assert Gather(store, machine.read_cache, 0).facts(repo.repo, stat)[0].closed


def test_what_an_upstream_closed_without_a_commit_moves_away_from_everybody(store: Memory) -> None:
    filled(store, 1)
    repo = model(store, f"acme/{SECRET}")
    repo.publish({"README.md": b"hello"})
    machine = Machine(store, lines=(line("acme/m0"), line(f"acme/{SECRET}")))
    machine.publish()
    assert SECRET.encode() in store.site["index.html"]
    repo.write_refs(repo.refs.with_attachments({CLOSED: CLOSED_MARK.digest}).encode())
    machine.publish()
    assert not [name for name, body in public(store).items() if SECRET in name or SECRET.encode() in body]
    [listed] = [one for one in lines_of(store, "all/") if SECRET in one]
    assert '\\"gated\\":true' in listed or '"gated":true' in listed


def lines_of(store: Memory, volume: str) -> list[str]:
    """Of all pages of the list of a volume."""
    pages = [name.removeprefix(volume) for name in store.site if name.startswith(f"{volume}list/")]
    bodies = [store.document(name.replace(".html", ".json"), volume) for name in pages]
    return [line for body in bodies for line in body.decode().splitlines()]


def test_what_was_never_published_and_is_gated_is_hidden_where_readers_have_roles(store: Memory) -> None:
    filled(store, 1)
    lines = (line("acme/m0"), line(f"acme/{SECRET}", RepoState.GATED, reason="gated: accept the terms"))
    machine = Machine(store, lines=lines)
    machine.publish()
    page = f"models/acme--{SECRET}.html"
    assert SECRET.encode() in store.site[page]
    machine.access = AccessRules(roles={"readers": Role(read=(RepoSet.parse("acme/*"),))})
    machine.publish()
    assert not [name for name, body in public(store).items() if SECRET in name or SECRET.encode() in body]
    assert SECRET.encode() in store.site[f"all/{page}"]
