"""A breaker opens after failures that last, lets one try through after each growing pause, and closes on success."""

from __future__ import annotations

import pytest

from mirror_sync.sources.wrappers.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, span=10, first_pause=15, longest_pause=40)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(POLICY, clock)


@pytest.fixture
def opened(breaker: Breaker, clock: Clock) -> Breaker:
    for _ in range(3):
        breaker.fail()
        clock.now += 5
    assert breaker.open
    return breaker


def test_failures_in_a_row_that_last_open_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        breaker.fail()
        clock.now += 10
    assert breaker.admit()
    breaker.fail()
    assert breaker.open
    assert not breaker.admit()


def test_many_failures_at_one_moment_do_not(breaker: Breaker, clock: Clock) -> None:
    for _ in range(100):
        breaker.fail()
    clock.now += 9
    breaker.fail()
    assert not breaker.open


def test_a_success_in_between_begins_the_row_anew(breaker: Breaker, clock: Clock) -> None:
    for _ in range(10):
        breaker.fail()
        breaker.fail()
        clock.now += 20
        breaker.succeed()
    assert not breaker.open


def test_a_complaint_counts_and_opens_nothing_by_itself(breaker: Breaker, clock: Clock) -> None:
    for _ in range(10):
        breaker.fail(may_open=False)
        clock.now += 10
    assert not breaker.open
    breaker.fail()
    assert breaker.open


def test_one_try_is_let_through_after_each_pause(opened: Breaker, clock: Clock) -> None:
    clock.now += opened.tried_in
    assert [opened.admit() for _ in range(3)] == [True, False, False]


def test_pauses_grow_to_their_bound(opened: Breaker, clock: Clock) -> None:
    waits = []
    for _ in range(4):
        clock.now += opened.tried_in
        assert opened.admit()
        opened.fail()
        waits.append(opened.tried_in)
    assert waits == [30, 40, 40, 40]


def test_calls_that_began_before_it_opened_do_not_lengthen_the_pause(opened: Breaker) -> None:
    wait = opened.tried_in
    for _ in range(32):
        opened.fail()
    assert opened.tried_in == wait


def test_a_try_that_succeeds_closes_it(opened: Breaker, clock: Clock) -> None:
    clock.now += opened.tried_in
    assert opened.admit()
    opened.succeed()
    assert all(opened.admit() for _ in range(3))


def test_a_try_that_is_never_heard_of_again_does_not_close_the_way_for_ever(opened: Breaker, clock: Clock) -> None:
    for _ in range(3):
        clock.now += 15
        assert opened.admit()


def test_lies_open_it_whatever_succeeds_in_between(breaker: Breaker, clock: Clock) -> None:
    for _ in range(POLICY.lies):
        breaker.succeed()
        assert not breaker.open
        breaker.doubt()
        clock.now += 60
    assert breaker.open


def test_lies_long_ago_are_forgotten(breaker: Breaker, clock: Clock) -> None:
    for _ in range(9):
        breaker.doubt()
        clock.now += POLICY.memory / 2
    assert not breaker.open


def test_calls_that_began_before_it_opened_do_not_close_it(opened: Breaker) -> None:
    opened.succeed()
    assert opened.open
