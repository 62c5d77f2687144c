"""Medians, ratios and targets."""

from __future__ import annotations

from statistics import StatisticsError

import pytest

from bench.figures import GIB, Measurement, Middle, Target, best, middle, per_gib, ratio


def measured(contestant: str, *seconds: float) -> list[Measurement]:
    return [Measurement(contestant, number, each, each / 2, int(each)) for number, each in enumerate(seconds)]


def lasting(seconds: float) -> Middle:
    return Middle("x", 1, seconds, 0, 0)


def test_the_median_of_a_contestant_is_not_moved_by_one_bad_round_nor_by_others() -> None:
    one = middle("ours", [*measured("ours", 3, 900, 1, 2, 4), *measured("theirs", 70, 80)])
    assert (one.seconds, one.cpu_seconds, one.rounds) == (3, 1.5, 5)


def test_memory_is_the_highest_peak_of_all_rounds() -> None:
    assert middle("ours", measured("ours", 3, 900, 1)).peak_rss == 900


def test_who_never_ran_has_no_median() -> None:
    with pytest.raises(StatisticsError):
        middle("ours", measured("theirs", 1))


def test_the_best_of_two_is_chosen_round_by_round() -> None:
    known = [*measured("a", 1, 9, 3), *measured("b", 5, 2, 4), *measured("c", 0, 0, 0)]
    found = best("best", ["a", "b"], known)
    assert [(one.contestant, one.round, one.seconds) for one in found] == [
        ("best", 0, 1),
        ("best", 1, 2),
        ("best", 2, 3),
    ]


def test_a_ratio_is_theirs_over_ours() -> None:
    assert ratio(lasting(6), lasting(4)) == 1.5
    assert ratio(lasting(6), lasting(0)) == float("inf")


def test_an_amount_for_each_gib() -> None:
    assert per_gib(3, 2 * GIB) == 1.5
    assert per_gib(3, GIB // 2) == 6


@pytest.mark.parametrize(("value", "met"), [(1.29, False), (1.3, True), (1.31, True)])
def test_at_least_includes_its_bound(value: float, met: bool) -> None:
    assert Target("faster", "at least", 1.3).met(value) is met


@pytest.mark.parametrize(("value", "met"), [(11, True), (12, True), (12.01, False)])
def test_at_most_includes_its_bound(value: float, met: bool) -> None:
    assert Target("objects", "at most", 12).met(value) is met


def test_a_miss_that_rounds_to_the_bound_stays_a_miss() -> None:
    verdict = Target("faster", "at least", 1.3, "x").judge(1.2999)
    assert (verdict.measured, verdict.met) == ("1.3x", False)


def test_a_verdict_is_said_in_words() -> None:
    verdict = Target("peak memory", "at most", 300, " MiB").judge(123.4)
    assert (verdict.wanted, verdict.measured, verdict.met) == ("≤ 300 MiB", "123 MiB", True)
