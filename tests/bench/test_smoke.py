"""The real frame on tiny repos: every part of a run but the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import transfers, turns
from bench.content import Batch
from bench.measure import Command, CommandError
from bench.places import BIN
from bench.setting import Setting
from bench.table import Results, markdown
from bench.transfers import Faster, Transfer
from bench.turns import DEFAULT, OURS, Turn, WrongResult
from tests.requirements import need

TINY = Transfer(
    "tiny",
    "A few files",
    (Batch(3, 5000, "samples/{:05}.npy"), Batch(3, 700, "configs/{:05}.json")),
    (turns.ours_to_folder, turns.rclone_to_folder(DEFAULT)),
    (Faster(DEFAULT, "directory", 0.0001),),
    memory=100_000,
)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    need("nginx")
    if not (BIN / "rclone").exists():
        pytest.skip("rclone is not installed")
    with Setting(tmp_path / "work", rounds=1) as one:
        yield one


def only(turn: Turn) -> Transfer:
    return replace(TINY, turns=(turn,), wanted=())


def test_everybody_takes_a_turn_and_is_judged(setting: Setting) -> None:
    found = transfers.run(setting, TINY)
    assert {(row[""], row["to"]) for row in found.rows} == {(OURS, "directory"), (DEFAULT, "directory")}
    assert [verdict.met for verdict in found.verdicts] == [True, True]
    assert len(found.raw) == 2
    results = Results({}, {})
    results.add(found)
    assert "Targets met: 2 of 2." in markdown(results)
    assert not any(setting.work.iterdir())


def test_nobody_wins_by_doing_nothing(setting: Setting) -> None:
    idle = turns.to_folder("idle", lambda upstream, folder: Command(["mkdir", folder]))
    with pytest.raises(WrongResult, match="idle: 7 files missing"):
        transfers.run(setting, only(idle))


def test_who_fails_ends_the_run(setting: Setting) -> None:
    with pytest.raises(CommandError, match="ended with 1"):
        transfers.run(setting, only(turns.to_folder("broken", lambda upstream, folder: Command(["false"]))))
