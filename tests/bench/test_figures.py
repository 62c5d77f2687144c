"""Medians, ratios and targets."""

from __future__ import annotations

from pathlib import Path
from statistics import StatisticsError

import pytest

from bench.builds import Build, installed_packages
from bench.figures import GIB, Effect, Measurement, Middle, Target, best, cpu_ratio, middle, per_gib, ratio
from bench.measure import Cost
from bench.transfers import Transfer, section
from bench.turns import UNCONFIRMED, Ours, aria2_to_folder, everybody, ours_to_bucket, ours_unconfirmed


def measured(contestant: str, *seconds: float) -> list[Measurement]:
    return [Measurement(contestant, number, each, each / 2, int(each)) for number, each in enumerate(seconds)]


def lasting(seconds: float) -> Middle:
    return Middle("x", 1, seconds, 0, 0)


def test_the_median_of_a_contestant_is_not_moved_by_one_bad_round_nor_by_others() -> None:
    one = middle("ours", [*measured("ours", 3, 900, 1, 2, 4), *measured("theirs", 70, 80)])
    assert (one.seconds, one.cpu_seconds, one.rounds) == (3, 1.5, 5)


def test_memory_is_the_highest_peak_of_all_rounds() -> None:
    assert middle("ours", measured("ours", 3, 900, 1)).peak_rss == 900


def test_the_peak_that_is_judged_is_that_of_this_build_with_all_its_settings_and_of_no_older_one() -> None:
    names = {"mirror-sync": 7, UNCONFIRMED: 8, "mirror-sync 98eec469": 900, "rclone": 901}
    known = [Measurement(f"{name} > S3", 0, 1, 1, peak << 20) for name, peak in names.items()]
    judged = section(Transfer("tiny", "A few files", (), (), (), memory=300), 1, GIB, known).verdicts
    assert [(one.what, one.measured) for one in judged] == [("our peak memory", "8 MiB")]


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


def test_a_ratio_by_cpu_is_theirs_over_ours() -> None:
    theirs, ours = Middle("x", 1, 1, 6, 0), Middle("y", 1, 1, 4, 0)
    assert cpu_ratio(theirs, ours) == 1.5
    assert cpu_ratio(theirs, Middle("y", 1, 1, 0, 0)) == float("inf")


def test_of_what_a_contestant_asked_for_the_round_with_most_calls_stands() -> None:
    rounds = [Measurement("ours", number, 1, 1, 1, Effect(calls, 7, 70)) for number, calls in enumerate((3, 9, 4))]
    assert middle("ours", rounds).effect == Effect(9, 7, 70)
    assert middle("theirs", measured("theirs", 1)).effect is None


def test_two_commands_one_after_the_other_ask_for_the_sum_and_leave_what_the_second_left() -> None:
    first, second = Cost(1, 2, 30, Effect(10, 5, 50)), Cost(3, 4, 20, Effect(1, 6, 60))
    assert first.then(second) == Cost(4, 6, 30, Effect(11, 6, 60))


def test_an_older_build_takes_its_turn_right_after_ours_and_nobody_else_takes_two() -> None:
    now, older = Build("now", Path("a")), Build("older", Path("b"))
    taken = everybody((ours_to_bucket, aria2_to_folder, ours_unconfirmed), (now, older))
    names = [one.name or one.build.name if isinstance(one, Ours) else "" for one in taken]
    assert names == ["now", "older", "", UNCONFIRMED]


def test_versions_are_held_but_for_what_lies_in_a_folder() -> None:
    frozen = "boto3==1.44.5\n-e file:///here\nmodel @ file:///there\nrich==14.1\n"
    assert installed_packages(frozen) == "boto3==1.44.5\nrich==14.1\n"
