import pytest

from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.outcome.cost import Calls, least_wait, publishing

MIB = 1024 * 1024


def test_a_changed_repo_costs_its_pages_its_history_and_a_call_for_each_file() -> None:
    assert publishing(3, [0, 10, 16 * MIB, 40 * MIB]) == Calls(api=2, resolvers=3)
    assert publishing(2500, []) == Calls(api=4, resolvers=0)


@pytest.mark.parametrize(
    ("calls", "wait"),
    [
        (Calls(10, 5), 0.0),
        (Calls(11, 5), 60.0),
        (Calls(110, 5), 60.0),
        (Calls(111, 5), 360.0),
        (Calls(0, 1205), 0.0 + 120 + 300.0),
    ],
)
def test_what_is_beyond_the_budget_waits_for_the_next_windows(calls: Calls, wait: float) -> None:
    budget = {"api": BudgetState(10, 100, 60.0), "resolvers": BudgetState(5, 1000, 120.0)}
    assert least_wait(calls, budget) == wait


def test_where_nothing_is_known_nothing_is_foretold() -> None:
    assert least_wait(Calls(10**6, 10**6), {}) == 0.0
    assert least_wait(Calls(5, 5), {"api": BudgetState(0, 0, 30.0)}) == 0.0
