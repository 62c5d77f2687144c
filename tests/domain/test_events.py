"""Who watches never stops what is watched."""

import warnings

import pytest

from mirror_sync.domain.outcome.events import Event, RunStarted, tell_all

EVENT = RunStarted("r1", ("job",), "2026-01-01T00:00:00Z")


def _fails(event: Event) -> None:
    raise RuntimeError("the disk of the history is full")


def test_an_observer_that_raises_misses_the_event_and_all_others_are_told() -> None:
    told: list[Event] = []
    tell = tell_all((told.append, _fails, told.append))
    with pytest.warns(RuntimeWarning, match="misses events: RunStarted: RuntimeError: the disk of the history is full"):
        tell(EVENT)
    assert told == [EVENT, EVENT]


def test_it_is_warned_of_once_for_each_observer() -> None:
    tell = tell_all((_fails, _fails))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(3):
            tell(EVENT)
    assert len(warned) == 2


def test_a_python_that_raises_its_warnings_is_no_reason_to_stop_either() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_all((_fails,))(EVENT)
