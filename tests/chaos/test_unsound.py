"""The proof that a verify which misses damage, or names other damage than there is, would be seen."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from tests.chaos.actors import Outcome
from tests.chaos.inspector import key_of
from tests.chaos.tally import FALSE, GONE, KINDS, LOST, MISSED, STUCK, Finding, Tally
from tests.chaos.unsound import REPAIR, VERIFY, WAYS, damage, do_harm
from tests.chaos.upstream import WEIGHTS
from tests.chaos.verdicts import check_damage, check_repair
from tests.chaos.world import World

HARMED, OTHER = "a" * 64, "b" * 64


def _said(folder: Path, words: tuple[str, ...], code: int, **report: object) -> Outcome:
    out = folder / "said.out"
    out.write_text(json.dumps({"ok": code == 0, "faults": [], **report}))
    return Outcome("one", words, 0.0, code, signalled=False, out=out, seconds=1.0)


def _kinds(one: World) -> set[str]:
    return {finding.kind for finding in one.tally.findings}


@pytest.mark.parametrize(
    ("code", "named", "kinds"),
    [
        (1, [HARMED], set()),
        (0, [], {MISSED}),
        (0, [HARMED], {MISSED}),
        (1, [], {MISSED}),
        (1, [OTHER], {MISSED, LOST}),
        (1, [HARMED, OTHER], {LOST}),
    ],
)
def test_a_verify_must_name_the_damage_and_nothing_else(
    calm: World, tmp_path: Path, code: int, named: list[str], kinds: set[str]
) -> None:
    outcome = _said(tmp_path, VERIFY, code, faults=[{"sha256": digest} for digest in named])
    check_damage(calm, outcome, HARMED, "a blob is removed")
    assert _kinds(calm) == kinds


@pytest.mark.parametrize(("code", "repaired"), [(1, [HARMED]), (0, []), (0, [OTHER])])
def test_a_repair_must_end_well_and_name_what_it_repaired(
    calm: World, tmp_path: Path, code: int, repaired: list[str]
) -> None:
    outcome = _said(tmp_path, REPAIR, code, repaired=[{"sha256": digest} for digest in repaired])
    assert not check_repair(calm, outcome, HARMED, "a blob is removed")
    assert _kinds(calm) == {STUCK}


def test_the_damage_of_a_scene_is_found_and_put_right_by_the_program(calm: World) -> None:
    calm.ledger.look(WEIGHTS)
    told: list[str] = []
    damage(calm, 1, told.append)
    assert calm.tally.findings == []
    assert len(told) == 2


def test_harm_is_done_to_what_is_published(calm: World) -> None:
    for _ in range(6):
        harm = do_harm(calm)
        assert harm is not None
        assert calm.shelf.get(key_of(harm.digest)) != harm.body
        calm.shelf.put(key_of(harm.digest), harm.body)


def test_every_way_of_harm_changes_a_content_of_a_single_byte() -> None:
    assert all(change(b"x", Random(1)) != b"x" for change in WAYS.values())


def test_a_repo_that_is_noted_as_gone_and_never_was_is_a_false_withdrawal(calm: World) -> None:
    before = calm.shelf.get(WEIGHTS.refs_key) or b""
    calm.shelf.put(WEIGHTS.refs_key, json.dumps({**json.loads(before), "gone": {"code": "gated"}}).encode())
    calm.ledger.look(WEIGHTS)
    calm.shelf.put(WEIGHTS.refs_key, before)
    assert _kinds(calm) == {GONE}


def test_the_last_line_has_every_kind_of_finding_the_seed_and_the_slowest_outage() -> None:
    tally = Tally()
    tally.found(Finding(FALSE, 0, 0, "seen"))
    tally.outages += [3.0, 61.0]
    last = tally.lines(7)[-1]
    assert "seed 7" in last
    assert all(f"{kind} {int(kind == FALSE)}" in last for kind in KINDS)
    assert "outages made up for 2, the slowest in 61 s" in last
