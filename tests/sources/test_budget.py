"""The budget waits before the upstream refuses, for as long as its window lasts, and only when it was told of one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.outcome.events import Event, Retrying
from mirror_sync.errors import Interrupted
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.budget import Budget, Budgets, BudgetWait
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.standin import Hub, Quotas, faults


class Passing:
    """A time that passes only while somebody sleeps."""

    def __init__(self, also: Callable[[float], None] = lambda _: None) -> None:
        self.now, self.waits, self.told = 0.0, list[float](), list[Event]()
        self._also = also
        self.waiting = BudgetWait(self.sleep, lambda: 0.0, self.told.append)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self._also(seconds)

    def budget(self, reserve: float = 0.1) -> Budget:
        return Budget("https://hub.example", reserve=reserve, waiting=self.waiting, clock=self)


def said(remaining: int, left: int = 100, quota: int = 100, window: int = 300, bucket: str = "api") -> dict[str, str]:
    policy = f'"fixed window";"{bucket}";q={quota};w={window}'
    return {"RateLimit": f'"{bucket}";r={remaining};t={left}', "RateLimit-Policy": policy}


@pytest.fixture
def time() -> Passing:
    return Passing()


def take(budget: Budget, count: int) -> None:
    for _ in range(count):
        budget.take("api")


def test_nothing_is_waited_for_while_nothing_is_known(time: Passing) -> None:
    take(time.budget(), 1000)
    assert time.waits == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit": "nonsense"},
        {"RateLimit": '"api";r=x;t=5'},
        {"RateLimit": '"pages";r=0;t=55'},
        {"RateLimit": '"api";r=0;t=99999999999999999999'},
        {"RateLimit": '"api";r=0;t=4000'},
        {"RateLimit-Policy": '"fixed window";"api";q=1;w=300'},
    ],
)
def test_headers_that_say_nothing_credible_stop_nobody(time: Passing, headers: dict[str, str]) -> None:
    budget = time.budget()
    budget.learn(headers)
    take(budget, 100)
    assert time.waits == []


def test_the_reserve_is_left_until_the_window_ends(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(15, left=100))
    take(budget, 5)
    assert time.waits == []
    take(budget, 1)
    assert time.waits == [101]


def test_a_new_window_has_the_whole_quota(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(10))
    take(budget, 90)
    assert len(time.waits) == 1
    take(budget, 1)
    assert len(time.waits) == 2


def test_a_wait_is_told_once_a_window_and_says_for_whom(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(0, left=50))
    budget.take("api")
    (event,) = time.told
    assert isinstance(event, Retrying)
    assert (event.what, event.cause, event.wait) == ("api calls to https://hub.example", "rate-limit-budget", 51)


def test_api_calls_and_files_have_their_own_windows(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(0))
    budget.take("resolvers")
    assert time.waits == []
    assert budget.state() == {"api": BudgetState(0, 100, 100)}


def test_within_a_window_the_lower_figure_holds(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(50))
    budget.learn(said(60))
    assert budget.state()["api"].remaining == 50
    budget.learn(said(20))
    assert budget.state()["api"].remaining == 20


def test_a_window_that_begins_earlier_than_thought_is_believed(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(11, left=290))
    budget.learn(said(99, left=300))
    time.now = 20
    budget.learn(said(95, left=600))
    assert budget.state()["api"].remaining == 95


def test_a_late_answer_of_the_window_before_does_not_spend_this_one(time: Passing) -> None:
    budget = time.budget()
    budget.learn(said(90, left=300))
    budget.learn(said(0, left=1))
    assert budget.state()["api"].remaining == 90


def test_without_a_stated_quota_a_new_window_is_open(time: Passing) -> None:
    budget = time.budget()
    budget.learn({"RateLimit": '"api";r=0;t=30'})
    take(budget, 50)
    assert time.waits == [31]


def test_an_interrupted_wait_ends_the_call(time: Passing) -> None:
    def sleep(_: float) -> None:
        raise Interrupted("asked to stop")

    budget = Budget("x", waiting=BudgetWait(sleep, lambda: 0.0, time.told.append))
    budget.learn(said(0))
    with pytest.raises(Interrupted):
        budget.take("api")


def test_a_budget_that_may_not_wait_only_knows(time: Passing) -> None:
    budget = Budget("x", clock=time)
    budget.learn(said(0))
    take(budget, 10)
    assert budget.state()["api"].remaining == 0


def test_an_endpoint_and_a_token_have_one_budget_and_the_largest_reserve_holds(time: Passing) -> None:
    budgets = Budgets(time.waiting, clock=time)
    first = budgets.of("https://hub.example/", "hf_a", 0.1)
    assert budgets.of("https://hub.example", "hf_a", 0.5) is first
    assert budgets.of("https://hub.example", None) is not first
    first.learn(said(49))
    take(first, 1)
    assert len(time.waits) == 1


def test_a_burst_of_threads_overshoots_by_no_more_than_was_under_way(time: Passing) -> None:
    spent, lock, most = [0], threading.Lock(), threading.Event()

    def sleep(_: float) -> None:
        most.set()
        raise Interrupted("that was it")

    budget = Budget("x", waiting=BudgetWait(sleep, lambda: 0.0, time.told.append), clock=time)

    def work(_: int) -> None:
        while not most.is_set():
            try:
                budget.take("api")
            except Interrupted:
                return
            with lock:
                spent[0] += 1
                answer = said(1000 - spent[0], quota=1000)
            budget.learn(answer)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    assert 900 - 32 <= spent[0] <= 900 + 32


def test_a_run_beyond_the_quota_sees_no_429(hub: Hub, transport: Transport) -> None:
    fill_hub(hub)
    hub.limits.quotas = Quotas(api=20, resolvers=20, window=300)
    time = Passing(hub.clock.advance)
    source = HubSource(hub.url, None, transport, budget=time.budget())
    commit, files = published(source)
    for _ in range(30):
        source.refs(TINY)
        fetched(source, TINY, commit, files["config.json"])
    assert {record.status for record in hub.log} == {200}
    assert 1 <= len(time.waits) <= 6


def test_byte_calls_and_api_calls_are_counted_as_the_hub_counts_them(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    hub.limits.quotas = Quotas(api=100, resolvers=1000)
    hub.behaviour.small_files = "resolve-cache"
    commit, files = published(source)
    for file in files.values():
        fetched(source, TINY, commit, file)
    known = source.budget()
    assert {name: state.remaining for name, state in known.items()} == {"api": 98, "resolvers": 993}
    assert (known["api"].quota, known["resolvers"].quota) == (100, 1000)
    assert 0 < known["api"].resets_in <= 300


def test_wrappers_pass_on_what_is_known_of_the_one_they_would_ask(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    wrapped = RetryingSource(FailoverSource([source]), RetryPolicy(), lambda _: None, lambda _: None, lambda: 0.0)
    assert wrapped.budget() == {}
    wrapped.refs(TINY)
    assert wrapped.budget().keys() == {"api"}


def test_a_refusal_counts_as_well(hub: Hub, transport: Transport) -> None:
    fill_hub(hub)
    hub.limits.exhaust("api")
    time = Passing(hub.clock.advance)
    source = RetryingSource(
        HubSource(hub.url, None, transport, budget=time.budget()),
        RetryPolicy(),
        time.told.append,
        time.sleep,
        lambda: 0.0,
    )
    source.refs(TINY)
    assert len(time.waits) == 1
    assert [record.status for record in hub.log] == [429, 200]


def test_what_a_cdn_says_of_limits_is_not_the_hubs(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    commit, files = published(source)
    hub.faults.add(lambda _, answer: answer.having(said(0, bucket="resolvers")), origin="cdn")
    body = fetched(source, TINY, commit, files["sub/model.safetensors"])
    assert body == FILES["sub/model.safetensors"].read()
    assert source.budget()["resolvers"].remaining > 0


def test_one_action_that_is_limited_does_not_spend_the_window(hub: Hub, transport: Transport) -> None:
    fill_hub(hub)
    time = Passing()
    source = HubSource(hub.url, None, transport, budget=time.budget())
    hub.faults.add(faults.busy(9), times=1)
    retrying = RetryingSource(source, RetryPolicy(), time.told.append, time.sleep, lambda: 0.0)
    retrying.refs(TINY)
    assert time.waits == [9]
