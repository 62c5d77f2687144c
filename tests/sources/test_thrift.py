"""Lists tell of many repos at once, and never cost more than a call beyond those that they save."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.repo import Repo
from mirror_sync.errors import UpstreamError
from mirror_sync.net.transport import Transport
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.hub.repo_lists import ListingCost
from tests.sources.reading import fill_directory
from tests.standin import Hub, faults


def repos(*names: str) -> list[Repo]:
    return [Repo.parse(name) for name in names]


def many(hub: Hub, owner: str, count: int) -> list[Repo]:
    """The repos of an owner, the most downloaded first."""
    for number in range(count):
        hub.model(f"{owner}/m{number:03}", license="mit", downloads=count - number).commit({"a": str(number)})
    return [Repo.parse(f"{owner}/m{number:03}") for number in range(count)]


def test_a_page_of_a_list_replaces_a_call_for_each_repo(hub: Hub, source: HubSource) -> None:
    wanted = many(hub, "acme", 25)
    hub.behaviour.list_page = 10
    heads = source.heads(wanted)
    assert (len(hub.log), heads.calls) == (3, 3)
    assert {head.queried: head.commit for head in heads.found} == {
        repo: source.resolve(repo, "main").commit for repo in wanted
    }


def test_a_head_has_the_terms_of_its_repo(hub: Hub, source: HubSource) -> None:
    many(hub, "acme", 2)
    hub.model("acme/m000", gated="auto", license="gpl-3.0")
    hub.model("acme/m001", disabled=True)
    found = {head.queried.id: head.terms for head in source.heads(repos("acme/m000", "acme/m001")).found}
    assert found["acme/m000"].gated
    assert found["acme/m000"].licenses == {"gpl-3.0"}
    assert found["acme/m001"].disabled


def test_the_reading_ends_when_all_but_one_are_found(hub: Hub, source: HubSource) -> None:
    wanted = many(hub, "acme", 40)
    hub.behaviour.list_page = 10
    heads = source.heads([*wanted[:3], wanted[-1]])
    assert (len(heads.found), heads.calls) == (3, 1)


def test_an_owner_of_far_more_repos_than_are_wanted_costs_one_call_once(hub: Hub, source: HubSource) -> None:
    wanted = many(hub, "acme", 60)[-3:]
    hub.behaviour.list_page = 10
    assert (source.heads(wanted).calls, source.heads(wanted).calls, len(hub.log)) == (1, 0, 1)


def test_one_repo_of_an_owner_is_not_worth_a_list(hub: Hub, source: HubSource) -> None:
    assert source.heads(many(hub, "acme", 1)).calls == len(hub.log) == 0


def test_what_was_renamed_hidden_or_removed_is_not_found(hub: Hub, source: HubSource) -> None:
    wanted = many(hub, "acme", 5)
    hub.rename("acme/m000", "acme/other")
    hub.model("acme/m001", private=True)
    hub.remove("acme/m002")
    assert {head.queried for head in source.heads(wanted).found} == set(wanted[3:])


def test_a_private_repo_is_found_by_a_token_that_sees_it(hub: Hub, transport: Transport) -> None:
    wanted = many(hub, "acme", 2)
    hub.model("acme/m001", private=True)
    source = HubSource(hub.url, hub.token("hf_x", private=["acme/m001"]), transport)
    assert [head.terms.private for head in source.heads(wanted).found] == [False, True]


@pytest.mark.parametrize("odd", [7, {"id": "acme/a"}, {"id": "acme/a", "sha": None}, {"id": "acme/a", "sha": "x"}])
def test_an_entry_that_cannot_be_read_is_not_found(odd: Any) -> None:
    thrift = ListingCost(repos("acme/a", "acme/b"))
    thrift.count([odd, {"id": "acme/b", "sha": "1" * 40}])
    assert [head.queried.id for head in thrift.heads.found] == ["acme/b"]


def test_a_refused_list_is_an_error(hub: Hub, source: HubSource) -> None:
    wanted = many(hub, "acme", 2)
    hub.faults.add(faults.status(403), "/api/models")
    with pytest.raises(UpstreamError):
        source.heads(wanted)


def test_a_folder_tells_nothing_sooner_of_many(tmp_path: Any) -> None:
    fill_directory(tmp_path)
    source: Source = DirectorySource(tmp_path)
    assert source.heads(repos("acme/tiny", "acme/second")).found == ()


@given(st.integers(2, 60), st.lists(st.sets(st.integers(0, 60), max_size=12), max_size=40))
def test_lists_never_cost_more_than_one_call_beyond_one_for_each_repo(wanted: int, pages: list[set[int]]) -> None:
    thrift = ListingCost([Repo.parse(f"acme/m{number}") for number in range(wanted)])
    for page in pages:
        if not thrift.goes_on:
            break
        thrift.count([{"id": f"acme/m{number}", "sha": "1" * 40} for number in page])
    assert thrift.heads.calls + wanted - len(thrift.heads.found) <= wanted + 1
