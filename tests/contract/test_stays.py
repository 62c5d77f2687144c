"""How often a reader of one task turns to another file of the engine; `tests.contract.stays` says where."""

from __future__ import annotations

from pathlib import Path

from tests.contract.stays import SCOPES, figures, trace_one_task

MOST_STAYS, MOST_CLIMBS = 65, 4  # one stay more than there are


def test_one_task_enters_no_more_files_of_the_engine_than_it_did(tmp_path: Path) -> None:
    found, kept = figures(trace_one_task(tmp_path), SCOPES["engine"])
    every = "\n".join(f"{one.file}: {one.name}" for stays in kept for one in stays)
    assert found.stays <= MOST_STAYS, every
    assert found.climbs <= MOST_CLIMBS, every
