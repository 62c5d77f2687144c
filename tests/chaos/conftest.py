"""One mirror of a world in which nothing goes wrong, for all proofs that the checks would see what must not be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.actors import PATIENCE, Ending, finish, start
from tests.chaos.tally import Tally
from tests.chaos.unsound import SYNC
from tests.chaos.verdicts import check_convergence
from tests.chaos.world import World, unwatched


@pytest.fixture(scope="package")
def _calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with unwatched(0, 1, tmp_path_factory.mktemp("calm") / "world", None, Tally()) as (one, _):
        (outcome,) = finish([start(one.machines[0], 0, SYNC, Ending(None, PATIENCE))], one.meter)
        check_convergence(one, outcome)
        assert one.tally.findings == []
        yield one


@pytest.fixture
def calm(_calm: World) -> World:
    """Such a mirror, with no findings yet."""
    _calm.tally.findings.clear()
    return _calm
