"""Both formats of what is published, byte for byte, as programs wrote them and programs have to read them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mirror_sync.domain.content.ref_log import LogEntry
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.content.snapshot import Root, Shard
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.policy.rules import Outcome, Verdict
from tests.formats import first_refs, first_root

A = "a" * 40
ROOT_1 = (
    f'{{"format":1,"repo":"acme/tiny","commit":"{A}",'
    f'"last":{{"id":"{A}","title":"first","date":"2026-01-01T00:00:00.000Z"}},'
    f'"info":"{"1" * 64}","commits":"{"2" * 64}","selection":{{"include":["*"],"exclude":["*.bin"]}},'
    '"left":[["exclude",["*.bin"],2,7]],"license":{"outcome":"allowed","reason":"licence mit is in licenses.allow"},'
    f'"files":3,"bytes":10,"shards":[["","{"3" * 64}"],["b%20c","{"4" * 64}"]]}}'
).encode()
ROOT_2 = (
    f'{{"format":2,"repo":"acme/tiny","commit":"{A}",'
    f'"last":{{"id":"{A}","title":"first","date":"2026-01-01T00:00:00.000Z"}},'
    f'"info":"{"1" * 64}","commits":"{"2" * 64}","selection":{{"include":["*"],"exclude":["*.bin"]}},'
    '"left":[["exclude",["*.bin"],2,7]],'
    '"verdicts":[{"rule":"licence","outcome":"allowed","reason":"licence mit is in licenses.allow"}],'
    f'"attachments":{{"SHA256SUMS":"{"5" * 64}","aibom.cdx.json":"{"6" * 64}"}},'
    f'"files":3,"bytes":10,"shards":[["","{"3" * 64}"],["b%20c","{"4" * 64}"]]}}'
).encode()
REFS_1 = (
    f'{{"branches":[{{"name":"main","ref":"refs/heads/main","targetCommit":"{A}"}}],'
    f'"tags":[],"converts":[],"pullRequests":[],"snapshots":{{"{A}":"{"7" * 64}"}},'
    '"gone":{"code":"disabled","since":"2026-05-01T00:00:00Z"}}'
).encode()
REFS_2 = (
    f'{{"format":2,"branches":[{{"name":"main","ref":"refs/heads/main","targetCommit":"{A}"}}],'
    f'"tags":[],"converts":[],"pullRequests":[],"channels":{{"stable":"{A}"}},"snapshots":{{"{A}":"{"7" * 64}"}},'
    f'"attachments":{{"statement":"{"8" * 64}"}},'
    '"absent":{"code":"disabled","since":"2026-05-01T00:00:00Z"},'
    f'"log":[{{"at":"2026-01-01T06:00:00Z","ref":"refs/heads/main","from":null,"to":"{A}","by":"sync models"}}],'
    '"gone":{"since":"this is format 2, which only a newer mirror-sync reads"}}'
).encode()
ROOT = Root(
    repo="acme/tiny",
    commit=CommitId(A),
    last={"id": A, "title": "first", "date": "2026-01-01T00:00:00.000Z"},
    info=Sha256("1" * 64),
    commits=Sha256("2" * 64),
    selection=Selection(("*",), ("*.bin",)),
    verdicts=(Verdict("licence", Outcome.ALLOWED, "licence mit is in licenses.allow"),),
    files=3,
    size=10,
    shards=(Shard("", Sha256("3" * 64)), Shard("b%20c", Sha256("4" * 64))),
    left=(LeftOut("exclude", ("*.bin",), 2, 7),),
    attachments={"SHA256SUMS": Sha256("5" * 64), "aibom.cdx.json": Sha256("6" * 64)},
)
REFS = Refs(
    (Ref("branches", "main", "refs/heads/main", CommitId(A)),),
    {CommitId(A): Sha256("7" * 64)},
    Gone("disabled", datetime(2026, 5, 1, tzinfo=UTC)),
    {"stable": CommitId(A)},
    {"statement": Sha256("8" * 64)},
    (LogEntry("2026-01-01T06:00:00Z", "refs/heads/main", None, CommitId(A), "sync models"),),
)
PLAIN_ROOT = replace(ROOT, attachments={})
PLAIN_REFS = replace(REFS, channels={}, attachments={}, log=())


def test_a_root_of_format_2_is_these_bytes() -> None:
    assert ROOT.encode().body == ROOT_2
    assert Root.decode(ROOT_2) == ROOT


def test_a_root_of_format_1_says_as_much_as_it_can_and_is_written_again_as_format_2() -> None:
    assert Root.decode(ROOT_1) == replace(PLAIN_ROOT, format=1)
    assert first_root(PLAIN_ROOT) == ROOT_1
    assert Root.decode(ROOT_1).encode() == PLAIN_ROOT.encode()


def test_a_refs_json_of_format_2_is_these_bytes() -> None:
    assert REFS.encode() == REFS_2
    assert Refs.decode(REFS_2) == REFS


def test_a_refs_json_of_format_1_says_no_format_and_is_written_again_as_format_2() -> None:
    assert Refs.decode(REFS_1) == PLAIN_REFS
    assert first_refs(PLAIN_REFS, PLAIN_REFS.snapshots) == REFS_1
    assert Refs.decode(REFS_1).encode() == PLAIN_REFS.encode()


def test_a_key_that_format_1_did_not_have_was_passed_over_and_still_is() -> None:
    assert Root.decode(json.dumps({**json.loads(ROOT_1), "more": 1}).encode()) == Root.decode(ROOT_1)
    assert Refs.decode(json.dumps({**json.loads(REFS_1), "more": 1}).encode()) == Refs.decode(REFS_1)


def test_a_program_of_format_1_stops_at_a_refs_json_of_format_2_with_a_line_that_says_why() -> None:
    """It read the time of `gone` in this way, and told the error that it met: nothing else in its reader refuses."""
    with pytest.raises(
        ValueError, match=r"Invalid isoformat string: 'this is format 2, which only a newer mirror-sync"
    ):
        datetime.fromisoformat(json.loads(Refs().encode())["gone"]["since"])
