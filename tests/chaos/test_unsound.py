"""The proof that a verify which misses damage, or names other damage than there is, would be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.chaos.actors import Outcome
from tests.chaos.faults import EMPTY_HUB, LIES
from tests.chaos.inspector import key_of
from tests.chaos.ledger import Kept, Ledger
from tests.chaos.proxy import cut_listing, empty_listing, miscounted, proxy
from tests.chaos.tally import FALSE, GONE, KINDS, LOST, MISSED, STUCK, Finding, Tally
from tests.chaos.unsound import REPAIR, VERIFY, WAYS, damage, do_harm
from tests.chaos.upstream import WEIGHTS
from tests.chaos.verdicts import check_damage, check_lied_to, check_repair
from tests.chaos.world import World
from tests.servers.bucket import S3Server

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


@pytest.mark.parametrize(
    ("lie", "code", "told", "kinds"),
    [
        ("empty names", 0, (3, 4), {MISSED}),
        ("empty names", 1, (3, 0), set()),
        ("empty names", 0, (0, 4), set()),
        (EMPTY_HUB, 0, (3, 3), {MISSED}),
        (EMPTY_HUB, 0, (3, 4), set()),
    ],
)
def test_a_verify_that_was_lied_to_must_not_be_well(
    calm: World, tmp_path: Path, lie: str, code: int, told: tuple[int, int], kinds: set[str]
) -> None:
    times, repos = told
    check_lied_to(calm, _said(tmp_path, VERIFY, code, repos=repos), lie, times)
    assert _kinds(calm) == kinds


LISTING = (
    b"<ListBucketResult><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>"
    b"<Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></ListBucketResult>"
)


def test_a_listing_becomes_a_lie() -> None:
    cut = cut_listing(LISTING)
    assert b"<IsTruncated>true<" in cut
    assert (b"<Key>a<" in cut, b"<Key>b<" in cut, b"<KeyCount>1<" in cut) == (True, False, True)
    assert miscounted(LISTING) == LISTING.replace(b"<KeyCount>2<", b"<KeyCount>5<")
    assert empty_listing(LISTING) == (
        b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
    )


def test_a_bucket_lies_to_whoever_asks_until_it_is_cleared(radosgw: S3Server) -> None:
    bucket, key = radosgw.make_bucket(), "hub/models/one/refs.json"
    radosgw.client().put_object(Bucket=bucket, Key=key, Body=b"words")
    with proxy(radosgw.endpoint_url) as between:
        client = replace(radosgw, endpoint_url=between.url).client()
        between.ask_for(LIES["an empty listing of hub/"](Random(1)))
        between.ask_for(LIES["empty names"](Random(1)))
        for _ in range(2):
            assert client.list_objects_v2(Bucket=bucket, Prefix="hub/")["KeyCount"] == 0
            assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b""
        assert between.struck == 4
        between.clear()
        assert client.list_objects_v2(Bucket=bucket, Prefix="hub/")["KeyCount"] == 1
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"words"


@pytest.mark.parametrize(("kept", "kinds"), [(Kept(1, 0), set()), (Kept(3, 0), {LOST}), (Kept(1, 1), {LOST})])
def test_a_prune_that_is_too_early_loses_a_snapshot(calm: World, kept: Kept, kinds: set[str]) -> None:
    before = calm.shelf.get(WEIGHTS.refs_key) or b""
    document = json.loads(before)
    ledger = Ledger(calm.shelf, calm.upstream.truth, calm.ledger.say, kept=kept)
    document["snapshots"]["0" * 40] = "0" * 64
    calm.shelf.put(WEIGHTS.refs_key, json.dumps(document).encode())
    ledger.look(WEIGHTS)
    ledger.season.pruned = True
    calm.shelf.put(WEIGHTS.refs_key, before)
    ledger.look(WEIGHTS)
    assert _kinds(calm) == kinds


def test_a_repo_that_is_noted_as_gone_and_never_was_is_a_false_withdrawal(calm: World) -> None:
    before = calm.shelf.get(WEIGHTS.refs_key) or b""
    calm.shelf.put(WEIGHTS.refs_key, json.dumps({**json.loads(before), "absent": {"code": "gated"}}).encode())
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
