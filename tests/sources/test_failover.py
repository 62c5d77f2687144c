"""FailoverSource: the next endpoint answers when one does not; an answer is an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import BadAnswer, Gated, NotFoundOrPrivate, RateLimited, Unreachable
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.breaker import BreakerPolicy, Resting
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import FILES, TINY, Steps, fetched, fill_hub, published
from tests.standin import Hub, faults

LARGE, SMALL = "sub/model.safetensors", "config.json"
BREAKER = BreakerPolicy(failures=3, span=10, first_pause=600, longest_pause=1200, lies=3)


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
        self.source = FailoverSource(sources, loyalty=300, breaker=BREAKER, clock=self.clock)

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


def test_the_one_that_helped_is_asked_first_for_a_while_for_what_a_commit_holds(pair: Pair) -> None:
    pair.first.faults.add(faults.refuse(), times=1)
    commit = pair.source.resolve(TINY, "main").commit
    pair.calls()
    list(pair.source.list(TINY, commit))
    assert pair.calls() == (0, 1)
    pair.clock.now = 301
    list(pair.source.list(TINY, commit))
    assert pair.calls() == (1, 0)


def test_what_a_name_stands_for_is_asked_of_the_first_as_soon_as_it_answers(pair: Pair) -> None:
    pair.first.faults.add(faults.refuse(), times=1)
    assert pair.source.resolve(TINY, "main").fallback is not None
    assert pair.source.resolve(TINY, "main").fallback is None


def test_what_one_has_not_the_next_is_asked_for(pair: Pair) -> None:
    pair.first.remove("acme/tiny")
    found = pair.source.resolve(TINY, "main")
    assert found.fallback is not None
    assert (found.fallback.endpoint, found.fallback.silent) == (pair.second.url, False)
    assert published(pair.source)[1].keys() == FILES.keys()
    pair.calls()
    with pytest.raises(NotFoundOrPrivate):
        pair.source.resolve(Repo.parse("acme/nope"), "main")
    assert pair.calls() == (1, 1)


def test_a_partial_mirror_before_the_hub_answers_for_what_it_holds_and_the_hub_for_the_rest(
    hub: Hub, transport: Transport
) -> None:
    fill_hub(hub)
    with Hub() as partial:
        partial.follow(hub, "acme/tiny")
        source = FailoverSource([HubSource(one.url, None, transport) for one in (partial, hub)])
        assert source.resolve(TINY, "main").fallback is None
        other = source.resolve(Repo.parse("other/third"), "main")
        assert other.fallback is not None
        assert (other.fallback.endpoint, other.fallback.silent) == (hub.url, False)
        assert hub.calls("GET", "/api/models/acme/*") == 0


def test_a_stale_endpoint_in_place_of_the_first_is_named(hub: Hub, transport: Transport) -> None:
    fill_hub(hub)
    with Hub() as stale:
        stale.follow(hub)
        old, new = hub.model("acme/tiny").head(), hub.model("acme/tiny").commit({"config.json": "{ }"})
        source = FailoverSource([HubSource(one.url, None, transport) for one in (hub, stale)])
        assert source.resolve(TINY, "main").commit == new
        hub.faults.add(faults.status(503), origin="hub")
        found = source.resolve(TINY, "main")
        assert found.commit == old
        assert found.fallback is not None
        assert (found.fallback.endpoint, found.fallback.silent) == (stale.url, True)


def test_what_another_refuses_otherwise_says_no_more_than_the_404_of_the_first(pair: Pair) -> None:
    pair.first.remove("acme/tiny")
    pair.second.model("acme/tiny", disabled=True)
    pair.second.faults.add(faults.status(403, {"X-Error-Message": "Access to this resource is disabled."}), "/api/*")
    with pytest.raises(NotFoundOrPrivate):
        pair.source.resolve(TINY, "main")


def test_only_the_first_proves_a_token(pair: Pair) -> None:
    pair.first.faults.add(faults.status(503), "*")
    with suppress(Unreachable):
        pair.source.prove()
    assert pair.calls()[1] == 0


def test_a_404_is_not_believed_while_another_endpoint_does_not_answer(pair: Pair) -> None:
    for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
        one.faults.add(faults.status(503), "*")
        other.faults.add(faults.status(404, {"X-Error-Code": "RepoNotFound"}), "*")
        with pytest.raises(Unreachable, match="not believed until it answers"):
            pair.source.resolve(TINY, "main")
        one.faults.clear()
        other.faults.clear()
        pair.clock.now += 5000


def test_the_refusal_of_the_first_is_the_last_word(pair: Pair) -> None:
    pair.first.faults.add(faults.status(403, {"X-Error-Code": "GatedRepo"}), "*")
    with pytest.raises(Gated):
        pair.source.resolve(TINY, "main")
    assert pair.calls() == (1, 0)


def test_what_another_mirror_refuses_is_asked_of_the_next(pair: Pair) -> None:
    said = {"X-Error-Code": "GatedRepo", "X-Mirror-State": "refused"}
    pair.first.faults.add(faults.status(403, said), "*")
    assert pair.source.resolve(TINY, "main").commit
    assert pair.calls() == (1, 1)


def test_a_rate_limit_is_waited_for_and_nobody_else_is_asked(pair: Pair) -> None:
    pair.first.faults.add(faults.busy(9))
    with pytest.raises(RateLimited):
        pair.source.refs(TINY)
    assert pair.calls() == (1, 0)


@pytest.mark.parametrize("answer", [faults.status(404), faults.status(501), faults.empty_list()])
def test_a_missing_list_is_asked_for_at_the_next(pair: Pair, answer: faults.Fault) -> None:
    pair.first.faults.add(answer, "GET /api/models")
    found = list(pair.source.search(RepoPattern.parse("acme/*")))
    assert [item.queried.id for item in found if isinstance(item, Resolved)] == ["acme/second", "acme/tiny"]
    assert pair.source.resolve(TINY, "main").fallback is None, "all else is still asked of the first"


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


def test_a_search_is_empty_when_all_say_so(pair: Pair) -> None:
    assert [*pair.source.search(RepoPattern.parse("nobody/*"))] == []
    assert pair.calls() == (1, 1)


def fail(pair: Pair, times: int = 3) -> None:
    """Let calls fail for long enough."""
    for _ in range(times):
        with pytest.raises(Unreachable):
            pair.source.refs(TINY)
        pair.clock.now += 301


def test_one_that_is_down_is_left_alone_and_comes_back(pair: Pair) -> None:
    pair.first.faults.add(faults.refuse())
    for _ in range(3):
        pair.source.refs(TINY)
        pair.clock.now += 301  # beyond its loyalty to the second
    assert pair.calls() == (3, 3)
    pair.source.refs(TINY)
    assert pair.calls() == (0, 1)
    pair.first.faults.clear()
    pair.clock.now += 600
    pair.source.refs(TINY)
    pair.source.refs(TINY)
    assert pair.calls() == (2, 0)


def test_when_all_are_down_nobody_is_asked_and_nothing_is_repeated(pair: Pair) -> None:
    for server in (pair.first, pair.second):
        server.faults.add(faults.refuse())
    fail(pair)
    pair.calls()
    sleep = Steps()
    retrying = RetryingSource(pair.source, RetryPolicy(), lambda _: None, sleep, lambda: 0.0)
    for _ in range(1000):
        with pytest.raises(Resting, match=r"^http://[^;]+ does not answer: .*; not asked again for a while$"):
            retrying.resolve(TINY, "main")
    assert pair.calls() == (0, 0)
    assert sleep.waits == []


def test_after_a_pause_one_call_finds_out(pair: Pair) -> None:
    for server in (pair.first, pair.second):
        server.faults.add(faults.refuse())
    fail(pair)
    pair.clock.now += 600
    pair.calls()
    for error in (Unreachable, Resting):
        with pytest.raises(error):
            pair.source.refs(TINY)
    assert pair.calls() == (1, 1)
    for server in (pair.first, pair.second):
        server.faults.clear()
    pair.clock.now += 1200
    assert pair.source.refs(TINY)


def test_refusals_are_answers_and_open_nothing(pair: Pair) -> None:
    for _ in range(9):
        with pytest.raises(NotFoundOrPrivate):
            pair.source.resolve(Repo.parse("acme/nope"), "main")
        pair.clock.now += 301
    assert pair.calls() == (9, 9)


def test_answers_that_make_no_sense_never_close_the_last_way(pair: Pair) -> None:
    for server in (pair.first, pair.second):
        server.faults.add(faults.garbage(), "*/refs")
    for _ in range(9):
        with pytest.raises(BadAnswer):
            pair.source.refs(TINY)
        pair.clock.now += 301
    assert pair.source.resolve(TINY, "main")


def test_wrong_bytes_are_fetched_elsewhere(pair: Pair) -> None:
    commit, files = published(pair.source)
    for path, match in ((LARGE, "/repos/*"), (SMALL, f"*{SMALL}")):
        pair.first.faults.add(faults.wrong_bytes(5), match)
        assert fetched(pair.source, TINY, commit, files[path]) != FILES[path].read()
        pair.source.distrust(TINY, commit, files[path])
        assert fetched(pair.source, TINY, commit, files[path]) == FILES[path].read()
        pair.clock.now += 301
        assert fetched(pair.source, TINY, commit, files[path]) == FILES[path].read()  # it is remembered


def test_one_that_lies_again_and_again_is_left_alone(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.first.faults.add(faults.wrong_bytes(5), "/acme/*")
    for path in (SMALL, "README.md", "sub/ünïcode & #1 100%?+.txt"):
        fetched(pair.source, TINY, commit, files[path])
        pair.source.distrust(TINY, commit, files[path])
        pair.clock.now += 301
    pair.calls()
    pair.source.refs(TINY)
    assert pair.calls() == (0, 1)


def test_when_everybodys_bytes_are_wrong_all_are_still_asked_in_turn(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.calls()
    for _ in range(6):
        fetched(pair.source, TINY, commit, files[SMALL])
        pair.source.distrust(TINY, commit, files[SMALL])
        pair.clock.now += 301
    assert pair.calls() == (3, 3)


def test_a_promise_that_differs_is_taken_from_another(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.first.faults.add(lambda _, answer: answer.having({"X-Linked-Size": "17"}), "/acme/*")
    assert fetched(pair.source, TINY, commit, files[LARGE]) == FILES[LARGE].read()


def test_a_file_begun_at_one_is_finished_from_another(pair: Pair) -> None:
    commit, files = published(pair.source)
    pair.calls()
    pair.first.faults.add(faults.cut(3_000_000), origin="cdn")
    source = RetryingSource(pair.source, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    assert fetched(source, TINY, commit, files[LARGE]) == FILES[LARGE].read()
    assert pair.first.calls(origin="cdn") == 1
    assert [record.range for record in pair.second.log.records(origin="cdn")] == [
        f"bytes=3000000-{FILES[LARGE].size - 1}"
    ]


def test_a_stream_that_is_not_read_says_nothing(pair: Pair) -> None:
    commit, files = published(pair.source)
    breaker = pair.source._all[0].breaker
    breaker.fail()
    for _ in range(2):
        with pair.source.fetch(TINY, commit, files[LARGE]):
            pair.clock.now += 10
        breaker.fail()
    assert breaker.open


def test_nobody_to_ask_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no source"):
        FailoverSource([])


def test_complaints_do_not_close_the_way_to_what_no_other_endpoint_holds(pair: Pair) -> None:
    """The second is well, and lacks the repo: the first answers again, and is the only one that can."""
    rule = pair.first.faults.add(faults.html(), "GET /api/*")
    for _ in range(3):
        pair.source.resolve(TINY, "main")
        pair.clock.now += 6
    pair.second.remove("acme/tiny")
    pair.calls()
    with pytest.raises(BadAnswer, match="not believed until it answers"):
        pair.source.resolve(TINY, "main")
    assert pair.calls() == (1, 1), "it is left alone, and asked all the same where the other one has no answer"
    rule.times = rule.fired
    assert pair.source.resolve(TINY, "main").commit == pair.first.model("acme/tiny").head()


def test_silence_of_the_only_one_that_holds_it_is_waited_for_by_its_own_time(pair: Pair) -> None:
    pair.first.faults.add(faults.status(503), "GET /api/*")
    for _ in range(3):
        pair.source.resolve(TINY, "main")
        pair.clock.now += 6
    pair.second.remove("acme/tiny")
    pair.calls()
    with pytest.raises(Resting, match=pair.first.url) as rest:
        pair.source.resolve(TINY, "main")
    assert pair.calls() == (0, 1)
    assert rest.value.wait == 600 - 6
