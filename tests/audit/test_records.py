"""Lines of an audit, and what is wrong with a chain of segments, as values."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.audit_record import (
    MAX_SEGMENT,
    NOTHING_BEFORE,
    Act,
    Actor,
    ActorKind,
    AuditHead,
    AuditRecord,
    ChainCheck,
    SegmentHeader,
    Verb,
    records_of,
)
from mirror_sync.domain.content.keys import segment_key, segment_of, signature_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import DocumentError

MACHINE = "0123456789ab"
ALICE = Actor(ActorKind.USER, "alice@host")
WORDS = st.text(max_size=200)


def record(reason: str = "") -> AuditRecord:
    return AuditRecord("2026-01-01T06:00:00Z", ALICE, Act(Verb.PUBLISH, "bucket", "acme/x", reason=reason))


def chain(*reasons: Sequence[str]) -> list[bytes]:
    """A segment for each list of reasons."""
    made: list[bytes] = []
    for seq, acts in enumerate(reasons, 1):
        prev = Sha256.of(made[-1]) if made else NOTHING_BEFORE
        made.append(SegmentHeader(MACHINE, seq, prev).encode() + b"".join(record(one).encode() for one in acts))
    return made


def faults(segments: Sequence[tuple[int, bytes]], head: AuditHead | None = None) -> list[str]:
    check = ChainCheck(MACHINE)
    for seq, body in segments:
        check.take(seq, body, None)
    check.expect(head)
    return check.faults


@given(reason=WORDS, repo=WORDS, run=WORDS, name=WORDS, digests=st.dictionaries(WORDS, WORDS, max_size=3))
def test_a_record_is_one_line_and_reads_back_as_it_was(
    reason: str, repo: str, run: str, name: str, digests: dict[str, str]
) -> None:
    act = Act(Verb.HOLD, "bucket", repo, "main", "c" * 40, "job", run, reason, digests)
    line = AuditRecord("2026-01-01T06:00:00Z", Actor(ActorKind.USER, name), act).encode()
    assert (line.count(b"\n"), line.endswith(b"\n"), line.isascii()) == (1, True, True)
    assert AuditRecord.decode(line) == AuditRecord("2026-01-01T06:00:00Z", Actor(ActorKind.USER, name), act)


def test_what_is_empty_is_left_out_and_what_is_too_long_is_cut() -> None:
    said = json.loads(record(reason="r" * 5000).encode())
    assert said.keys() == {"at", "actor", "verb", "target", "repo", "reason"}
    assert len(said["reason"]) == 1000


def test_as_many_acts_as_are_written_at_once_are_a_segment_that_is_read() -> None:
    said = "\N{SNOWMAN}" * 1000
    longest = Act("v", "t" * 300, said, said, said, said, said, said, {str(one): "0" * 64 for one in range(99)})
    assert 500 * len(AuditRecord("", ALICE, longest).encode()) < MAX_SEGMENT


def test_what_a_later_program_adds_to_a_record_is_passed_over() -> None:
    line = json.dumps({**json.loads(record().encode()), "verb": "new-verb", "more": {"a": 1}}).encode()
    assert AuditRecord.decode(line).act.verb == "new-verb"


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"actor":', b"\xff", b'{"actor":{"kind":"nobody","name":"x"}}'])
def test_what_is_no_record_is_named_by_its_line_and_the_others_are_read(line: bytes) -> None:
    found, wrong = records_of(SegmentHeader(MACHINE, 1).encode() + record("a").encode() + line + b"\n")
    assert [one.act.reason for one in found] == ["a"]
    (fault,) = wrong
    assert fault.startswith("line 3 is no act")


def test_of_many_lines_that_are_no_records_some_are_named_and_the_others_counted() -> None:
    found, wrong = records_of(b"{}\n" + b"?\n" * 100_000)
    assert (found, len(wrong), wrong[-1]) == ([], 21, "99,980 more lines are no acts")


@pytest.mark.parametrize("line", [b"", b"[]", b'{"machine":"x","seq":1}', b'{"machine":"x","seq":-1,"prev":"0"}'])
def test_what_is_no_first_line_is_an_error(line: bytes) -> None:
    with pytest.raises(DocumentError, match="not the first line of a segment"):
        SegmentHeader.decode(line)


def test_a_segment_is_named_by_its_machine_and_ten_digits() -> None:
    key = segment_key(MACHINE, 12)
    assert (key, segment_of(key)) == (f"audit/{MACHINE}/0000000012.jsonl", (MACHINE, 12))
    assert segment_of(signature_key(key)) is None
    assert segment_of("audit/other/0000000012.jsonl") is None


def test_a_whole_chain_has_no_fault() -> None:
    made = chain(["a"], ["b", "c"], ["d"])
    assert faults([*enumerate(made, 1)], AuditHead(MACHINE, 3, Sha256.of(made[2]))) == []
    assert faults([*enumerate(made, 1)], AuditHead("a" * 12, 9, Sha256.of(b""))) == [], "another machine's head"


@pytest.mark.parametrize("place", [0, 1])
def test_a_changed_line_is_seen_by_the_segment_after_it(place: int) -> None:
    made = chain(["a"], ["b"], ["c"])
    made[place] = made[place].replace(b'"acme/x"', b'"acme/y"')
    (fault,) = faults([*enumerate(made, 1)])
    assert f"{place + 1:010}.jsonl has {Sha256.of(made[place])[:12]}: one of both was changed" in fault


def test_a_missing_segment_is_seen() -> None:
    made = chain(["a"], ["b"], ["c"], ["d"])
    (first,) = faults([(2, made[1])])
    assert (
        first == f"audit/{MACHINE}/0000000001.jsonl is missing: the chain goes on with audit/{MACHINE}/0000000002.jsonl"
    )
    (between,) = faults([(1, made[0]), (4, made[3])])
    assert "0000000002.jsonl and 1 after it are missing" in between


def test_an_end_that_is_cut_off_is_seen_by_who_noted_it() -> None:
    made = chain(["a"], ["b"])
    head = AuditHead(MACHINE, 2, Sha256.of(made[1]))
    assert faults([(1, made[0])]) == []
    (fault,) = faults([(1, made[0])], head)
    assert "0000000002.jsonl was written, and the end of the chain is cut off: the last one is 1" in fault
    (nothing,) = faults([], head)
    assert nothing.endswith("nothing of it is there")


def test_a_changed_end_is_seen_by_who_noted_it() -> None:
    made = chain(["a"], ["b"])
    head = AuditHead(MACHINE, 2, Sha256.of(made[1]))
    (fault,) = faults([(1, made[0]), (2, made[1] + record().encode())], head)
    assert "changed after it was written" in fault


def test_a_segment_under_another_ones_name_is_seen() -> None:
    made = chain(["a"], ["b"])
    assert f"its first line is of segment 1 of {MACHINE}" in faults([(1, made[0]), (2, made[0])])[0]
    (other,) = faults([(1, made[0].replace(MACHINE.encode(), b"a" * 12))])
    assert "its first line is of segment 1 of aaaaaaaaaaaa" in other


def test_a_bad_signature_is_a_fault_where_somebody_knows_who_signs() -> None:
    (body,) = chain(["a"])
    check = ChainCheck(MACHINE, lambda segment, signature: "" if signature == b"good" else "its signature is not good")
    check.take(1, body, b"bad")
    assert check.faults == [f"audit/{MACHINE}/0000000001.jsonl: its signature is not good"]
    assert check.unsigned == 0


def test_what_was_written_before_there_was_a_key_is_covered_by_the_first_signed_segment() -> None:
    def walked(*signatures: bytes | None, changed: int = 0) -> list[str]:
        check = ChainCheck(MACHINE, lambda segment, signature: "" if signature == b"good" else "is not signed")
        for seq, (body, signature) in enumerate(zip(chain(["a"], ["b"], ["c"]), signatures, strict=True), 1):
            check.take(seq, body + (record("more").encode() if seq == changed else b""), signature)
        return check.faults

    assert walked(None, None, b"good") == []
    assert walked(None, b"good", None) == [f"audit/{MACHINE}/0000000003.jsonl: is not signed"]
    broken = walked(None, None, b"good", changed=2)
    assert [one for one in broken if one.endswith("is not signed")] == [
        f"audit/{MACHINE}/000000000{seq}.jsonl: is not signed" for seq in (1, 2)
    ]
    assert any("was changed after it was written" in one for one in broken)
