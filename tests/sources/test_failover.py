"""FailoverSource: the next endpoint answers when one does not; an answer is an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import BadAnswer, NotFoundOrPrivate, RateLimited, Unreachable
from mirror_sync.sources.failover import FailoverSource
from mirror_sync.sources.hub import HubSource
from mirror_sync.sources.transport import Transport
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.standin import Hub, faults

LARGE = "sub/model.safetensors"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Pair:
    """Two Hubs of equal content behind one source."""

    def __init__(self, first: Hub, second: Hub, transport: Transport) -> None:
        self.first, self.second, self.clock = first, second, Clock()
        sources = [HubSource(hub.url, None, transport) for hub in (first, second)]
        self.source = FailoverSource(sources, loyalty=300, clock=self.clock)

    def calls(self) -> tuple[int, int]:
        found = (self.first.calls(), self.second.calls())
        self.first.log.clear()
        self.second.log.clear()
        return found


@pytest.fixture
def pair(hub: Hub, transport: Transport) -> Iterator[Pair]:
    with Hub() as second:
        fill_hub(hub)
        fill_hub(second)
        yield Pair(hub, second, transport)


def test_the_first_is_asked_while_it_answers(pair: Pair) -> None:
    published(pair.source)
    assert pair.calls() == (2, 0)


@pytest.mark.parametrize("fault", [faults.refuse(), faults.status(502), faults.html(), faults.garbage()])
def test_one_that_gives_no_answer_is_passed_over(pair: Pair, fault: faults.Fault) -> None:
    pair.first.faults.add(fault)
    assert pair.source.resolve(TINY, "main").commit == pair.second.model("acme/tiny").head()
    assert pair.calls() == (1, 1)


def test_the_one_that_helped_is_asked_first_for_a_while(pair: Pair) -> None:
    pair.first.faults.add(faults.refuse(), times=1)
    pair.source.resolve(TINY, "main")
    pair.calls()
    pair.source.resolve(TINY, "main")
    assert pair.calls() == (0, 1)
    pair.clock.now = 301
    pair.source.resolve(TINY, "main")
    assert pair.calls() == (1, 0)


def test_an_answer_is_not_asked_for_twice(pair: Pair) -> None:
    with pytest.raises(NotFoundOrPrivate):
        pair.source.resolve(Repo.parse("acme/nope"), "main")
    assert pair.calls() == (1, 0)
    pair.first.faults.add(faults.busy(9))
    with pytest.raises(RateLimited):
        pair.source.refs(TINY)
    assert pair.calls() == (1, 0)


def test_when_none_answers_the_first_error_leaves(pair: Pair) -> None:
    pair.first.faults.add(faults.refuse())
    pair.second.faults.add(faults.html())
    with pytest.raises(Unreachable, match=pair.first.url):
        pair.source.refs(TINY)


def test_a_transfer_falls_over_at_opening(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.first.faults.add(faults.status(500), "/acme/*")
    assert fetched(pair.source, TINY, commit, files[LARGE]) == FILES[LARGE].read()
    assert pair.second.calls(origin="cdn") == 1


def test_a_listing_falls_over_before_its_first_file(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.first.faults.add(faults.refuse())
    assert {file.path for file in pair.source.list(TINY, commit)} == files.keys()


def test_a_listing_that_breaks_later_is_asked_elsewhere_the_next_time(pair: Pair) -> None:
    pair.first.behaviour.tree_page = 2
    commit, files = published(pair.source)
    pair.first.faults.add(faults.garbage(), "*/tree/*", skip=1)
    listing = pair.source.list(TINY, commit)
    with pytest.raises(BadAnswer):
        list(listing)
    assert {file.path for file in pair.source.list(TINY, commit)} == files.keys()


def test_an_empty_search_is_an_answer(pair: Pair) -> None:
    assert [*pair.source.search(RepoPattern.parse("nobody/*"))] == []
    assert pair.calls() == (1, 0)


def test_nobody_to_ask_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no source"):
        FailoverSource([])
