"""The real frame on tiny repos: every part of a run but the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import asking, competitors, huge, one_of_many, starts, transfers, turns, unchanged, verifying
from bench.builds import OURS
from bench.content import Batch
from bench.figures import MIB
from bench.measure import Command, CommandError
from bench.places import BIN
from bench.setting import Setting
from bench.table import Results, markdown
from bench.transfers import Faster, Transfer
from bench.turns import (
    ARIA,
    BY_RCLONE,
    BY_S5CMD,
    DEFAULT,
    DURABLE,
    HASHED,
    TUNED,
    UNCONFIRMED,
    Turn,
    WrongResult,
)
from bench.unchanged import Fleet
from tests.requirements import need
from tests.servers.radosgw import Gateway

FILES = (Batch(3, 5000, "samples/{:05}.npy"), Batch(3, 700, "configs/{:05}.json"))
TO_FOLDER = Transfer("tiny", "A few files", FILES, (*transfers.TO_FOLDER, turns.aria2_to_folder), (), memory=100_000)
TO_BUCKET = replace(
    TO_FOLDER, turns=transfers.to_bucket(competitors.TUNED_SMALL), wanted=(Faster(DEFAULT, "S3", 0.0001),)
)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    need("nginx", "aria2")
    if not (BIN / "rclone").exists():
        pytest.skip("rclone is not installed")
    with Setting(tmp_path / "work", rounds=1) as one:
        yield one


def only(turn: Turn) -> Transfer:
    return replace(TO_FOLDER, turns=(turn,))


def test_everybody_fills_a_folder_in_turn_and_is_judged(setting: Setting) -> None:
    found = transfers.run(setting, TO_FOLDER)
    assert {(row[""], row["to"]) for row in found.rows} == {
        (name, "directory") for name in (OURS, TUNED, DEFAULT, DURABLE, HASHED, ARIA)
    }
    assert len(found.raw) == 6
    results = Results({}, {})
    results.add(found)
    assert "Targets met: 1 of 1." in markdown(results)
    assert not any(setting.work.iterdir())


def test_everybody_fills_a_bucket_in_turn_and_is_judged(setting: Setting, radosgw: Gateway) -> None:
    found = transfers.run(replace(setting, given=radosgw), TO_BUCKET)
    to_bucket = {row[""] for row in found.rows if row["to"] == "S3"}
    assert to_bucket == {OURS, TUNED, DEFAULT, BY_RCLONE, BY_S5CMD, transfers.BEST_TWO_STEP}
    assert [verdict.met for verdict in found.verdicts] == [True, True]


def test_looking_for_what_was_put_is_measured_beside_leaving_it(setting: Setting, radosgw: Gateway) -> None:
    found = transfers.run(replace(setting, given=radosgw), replace(transfers.CONFIRM, batches=FILES))
    assert {row[""] for row in found.rows} == {OURS, UNCONFIRMED}


def test_every_command_without_work_is_measured_and_judged(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "LEAST_ROUNDS", 1)
    found = starts.run(setting)
    assert [row[""] for row in found.rows] == [
        *("--version", "check, a folder", "plan, a folder", "sync, a folder", "plan, a Hub", "sync, a Hub")
    ]
    assert [verdict.what.removesuffix(": CPU") for verdict in found.verdicts] == list(starts.WANTED)


def test_nobody_wins_by_doing_nothing(setting: Setting) -> None:
    idle = turns.to_folder("idle", lambda upstream, folder: Command(["mkdir", folder]))
    with pytest.raises(WrongResult, match="idle: 7 files missing"):
        transfers.run(setting, only(idle))


def test_who_fails_ends_the_run(setting: Setting) -> None:
    with pytest.raises(CommandError, match="ended with 1"):
        transfers.run(setting, only(turns.to_folder("broken", lambda upstream, folder: Command(["false"]))))


def test_what_was_asked_for_and_left_is_counted(setting: Setting) -> None:
    found = transfers.run(setting, only(turns.rclone_to_folder(DEFAULT)))
    assert found.rows[0]["objects"] == "7"
    assert int(found.rows[0]["calls"]) >= 7


def test_reading_back_is_measured_beside_rclone_on_both_targets(setting: Setting, radosgw: Gateway) -> None:
    found = verifying.run(replace(setting, given=radosgw), FILES)
    assert [(row[""], row["of"]) for row in found.rows] == [
        (name, to) for to in ("directory", "S3") for name in (OURS, verifying.HASHSUM)
    ]


def test_what_many_ask_is_measured_beside_the_same_bytes_as_files(setting: Setting) -> None:
    found = asking.run(setting, files=2000)
    assert {row["of"] for row in found.rows} == {OURS, "plain nginx"}
    assert len(found.rows) == 8


def test_calls_of_a_fleet_are_counted(setting: Setting) -> None:
    fleet = Fleet("2 authors", 4, 2, calls=4, to="directory")
    found = unchanged.run(setting, (fleet,), memory=100_000)
    assert 1 <= int(found.rows[0]["calls"]) <= 4
    assert found.verdicts[0].met


def test_objects_that_one_changed_file_rewrites_are_counted(setting: Setting, radosgw: Gateway) -> None:
    found = one_of_many.run(replace(setting, given=radosgw), files=50)
    # The file, what lists it up to refs.json, a record of the audit, twelve of the catalogue at most; far from all.
    assert 4 <= int(found.rows[0]["objects written"]) <= 20


def test_memory_of_two_sizes_is_compared(setting: Setting) -> None:
    found = huge.run(setting, small=MIB, huge=3 * MIB, memory=100_000)
    assert [row["file"] for row in found.rows] == ["0.000976562 GiB", "0.00292969 GiB"]
    assert found.verdicts[0].met
