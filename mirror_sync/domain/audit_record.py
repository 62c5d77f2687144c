"""What was done in a target, and by whom, as lines of the segments of a chain; and what is wrong with a chain.

A segment is `audit/<machine>/<10 digits>.jsonl`. Its first line is `{"machine", "seq", "prev"}`, where `prev` is the
SHA-256 of the whole segment before, 64 zeros for the first; each further line is an act:

    {"at": "2026-01-01T06:00:00Z", "actor": {"kind": "user", "name": "alice@host"}, "verb": "publish",
     "target": "bucket", "repo": "acme/x", "revision": "main", "commit": "<40 hex>", "job": "models", "run": "<id>",
     "reason": "", "digests": {"root": "<64 hex>"}}

What is empty is left out. `failed` is a further key, of the line that follows where an act did not come to its end.
See docs/design/decisions/0040-the-audit.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mirror_sync.domain.bounds import short, text, whole
from mirror_sync.domain.content.document_format import bounded, exactly, few, in_brief
from mirror_sync.domain.content.keys import segment_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import DocumentError

NOTHING_BEFORE = Sha256("0" * 64)
MAX_SEGMENT = 16 * 1024 * 1024  # bytes; what we write is far below
_REASON, _WORD, _DIGESTS = 1000, 300, 16  # characters of a reason and of any other text, digests of an act
_MOST_FAULTS = 20  # lines of one segment that are named


class ActorKind(StrEnum):
    """Who can have something done."""

    USER = "user"  # who called a command
    DAEMON = "daemon"  # by a schedule, or once more after a failure
    WEBHOOK = "webhook"  # by what a hub told the daemon


@dataclass(frozen=True, slots=True)
class Actor:
    """Who has something done, as far as the system told: no proof of a person. `name` as in `alice@host`."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return self.name


BY_DAEMON = Actor(ActorKind.DAEMON, "daemon")
BY_WEBHOOK = Actor(ActorKind.WEBHOOK, "webhook")


class Verb(StrEnum):
    """What can be done in a target, or decided about it."""

    PUBLISH = "publish"  # a snapshot, or a name that leads to one
    IMPORT = "import"  # what a bundle says of a repo: snapshots, and names that lead to them
    HOLD = "hold"  # a new commit, whose reason is another than before
    WITHDRAW = "withdraw"  # all that is published of a repo
    RESTORE = "restore"
    APPROVE = "approve"
    REJECT = "reject"
    SIGN = "sign"  # what was published unsigned, or with another key
    REPAIR = "repair"  # what a verify found wrong
    PRUNE = "prune"  # a snapshot; without a repo: blobs that nothing names
    PROMOTE = "promote"  # a channel to a commit, a rollout main; `revision` is the name, of the next five, too
    TAG = "tag"
    UNTAG = "untag"
    ROLLBACK = "rollback"  # main, which is pinned then
    UNPIN = "unpin"
    SHARE = "share"  # of the readers of main, who are given what a channel stands for
    KEY_CHANGE = "key-change"  # what segments and snapshots are signed with
    TOKEN_NEW = "token-new"  # noqa: S105  a verb: somebody may read here, by a token of this name
    TOKEN_REVOKE = "token-revoke"  # noqa: S105  a verb
    CONFIG_CHANGE = "config-change"  # jobs.yaml has other bytes than at the act before


@dataclass(frozen=True, slots=True)
class Act:
    """What is done: `repo` as people write it, with `dataset:` in front of a dataset; `digests` by what they are of.

    What an act is not about is empty.
    """

    verb: str
    target: str
    repo: str = ""
    revision: str = ""
    commit: str = ""
    job: str = ""
    run: str = ""
    reason: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An act, and who has it done when: `at` is ISO 8601 in UTC. It is written before the act.

    `failed` is the code of the error by which an act ended that was begun; the record before tells of its beginning.
    """

    at: str
    actor: Actor
    act: Act
    failed: str = ""

    def encode(self) -> bytes:
        """One line; texts that are too long are cut."""
        act = self.act
        said: dict[str, Any] = {
            "at": self.at,
            "actor": {"kind": self.actor.kind, "name": short(self.actor.name, _WORD)},
            "verb": act.verb,
            "target": act.target,
        }
        words = {"repo": act.repo, "revision": act.revision, "commit": act.commit, "job": act.job, "run": act.run}
        said |= {key: short(one, _WORD) for key, one in words.items()} | {"reason": short(act.reason, _REASON)}
        said |= {"digests": dict(list(act.digests.items())[:_DIGESTS]), "failed": self.failed}
        return _line({key: value for key, value in said.items() if value})

    def document(self) -> dict[str, Any]:
        """What `audit --json` prints of it: all keys, also of what is empty."""
        act = self.act
        return {
            "at": self.at,
            "actor": {"kind": self.actor.kind, "name": self.actor.name},
            "verb": act.verb,
            "target": act.target,
            "repo": act.repo,
            "revision": act.revision,
            "commit": act.commit,
            "job": act.job,
            "run": act.run,
            "reason": act.reason,
            "digests": dict(act.digests),
            "failed": self.failed,
        }

    @classmethod
    def decode(cls, line: bytes) -> AuditRecord:
        """TypeError, KeyError, ValueError, RecursionError for what is none; what later programs add is passed over."""
        said = json.loads(line.decode())
        if not isinstance(said, dict):
            raise TypeError(f"an object expected, got {type(said).__name__}")
        who = exactly(said["actor"], ("kind", "name"))
        names = ("repo", "revision", "commit", "job", "run", "reason")
        digests = said.get("digests", {})
        few(digests, _DIGESTS)
        act = Act(
            bounded(said["verb"], _WORD),
            bounded(said["target"], _WORD),
            **{key: bounded(said.get(key, ""), _REASON) for key in names},
            digests={text(key): text(one) for key, one in digests.items()},
        )
        actor = Actor(ActorKind(who["kind"]), bounded(who["name"], _WORD))
        return cls(bounded(said["at"], _WORD), actor, act, bounded(said.get("failed", ""), _WORD))


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The first line of a segment: whose, the how many of them from 1, and the digest of the one before."""

    machine: str
    seq: int
    prev: Sha256 = NOTHING_BEFORE

    @property
    def key(self) -> str:
        """Where the segment lies."""
        return segment_key(self.machine, self.seq)

    def encode(self) -> bytes:
        """One line."""
        return _line({"machine": self.machine, "seq": self.seq, "prev": self.prev})

    @classmethod
    def decode(cls, line: bytes) -> SegmentHeader:
        """DocumentError for what is none."""
        try:
            said = exactly(json.loads(line.decode()), ("machine", "seq", "prev"))
            return cls(bounded(said["machine"], _WORD), whole(said["seq"]), Sha256(text(said["prev"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DocumentError(f"not the first line of a segment: {in_brief(error)}") from error


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest segment of a machine's chain: what a signed statement says, so that no end can be cut off unseen."""

    machine: str
    seq: int
    sha256: Sha256

    @property
    def next_header(self) -> SegmentHeader:
        """That of the segment after it."""
        return SegmentHeader(self.machine, self.seq + 1, self.sha256)

    def encode(self) -> dict[str, Any]:
        """As statements and the state folder have it."""
        return {"machine": self.machine, "seq": self.seq, "sha256": self.sha256}

    @classmethod
    def decode(cls, document: Any) -> AuditHead:
        """TypeError, KeyError, ValueError for what is none."""
        said = exactly(document, ("machine", "seq", "sha256"))
        return cls(bounded(said["machine"], _WORD), whole(said["seq"]), Sha256(text(said["sha256"])))


def lines_of(segment: bytes) -> list[bytes]:
    """The lines of a segment that were written to their end: what was cut off in its midst is none."""
    return segment.split(b"\n")[:-1]


def records_of(segment: bytes) -> tuple[list[AuditRecord], list[str]]:
    """The acts of a segment, and what is wrong with those lines that are none, by the number of the line from 1.

    Of many such lines the first ones are named, and the others counted: anybody may have written them.
    """
    found: list[AuditRecord] = []
    wrong: list[str] = []
    more = 0
    for number, line in enumerate(lines_of(segment)[1:], 2):
        try:
            found.append(AuditRecord.decode(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if len(wrong) < _MOST_FAULTS:
                wrong.append(f"line {number} is no act: {in_brief(error)}")
            else:
                more += 1
    if more:
        wrong.append(f"{more:,} more lines are no acts")
    if not segment.endswith(b"\n"):
        wrong.append("its last line has no end")
    return found, wrong


class ChainCheck:
    """Walks the chain of one machine, segment by segment; `faults` are lines for a person, one each.

    `signed` tells what is wrong with the signature of a segment, empty when it is good; None: nobody knows who signs.
    One without a signature is a fault as long as no signed one follows it: that names its digest, and so covers it.
    """

    def __init__(self, machine: str, signed: Callable[[bytes, bytes | None], str] | None = None) -> None:
        self.machine, self._signed = machine, signed
        self._faults: list[str] = []
        self._uncovered: list[str] = []
        self.end: AuditHead | None = None
        self.segments = self.unsigned = 0

    @property
    def faults(self) -> list[str]:
        """What is wrong, as far as it was walked."""
        return [*self._faults, *self._uncovered]

    def take(self, seq: int, body: bytes, signature: bytes | None) -> None:
        """The next segment in the order of numbers."""
        key, before = segment_key(self.machine, seq), 0 if self.end is None else self.end.seq
        missing = range(before + 1, seq)
        wrong = [f"{key}: {fault}" for fault in self._wrong(key, seq, body, gap=bool(missing))]
        if missing:
            wrong.insert(0, f"{_named(self.machine, missing)} missing: the chain goes on with {key}")
        if wrong:  # what is signed from here on covers nothing before
            self._faults += [*self._uncovered, *wrong]
            self._uncovered = []
        self._check_signature(key, body, signature)
        self.end = AuditHead(self.machine, seq, Sha256.of(body))
        self.segments += 1
        self.unsigned += signature is None

    def refuse(self, seq: int, why: str) -> None:
        """A segment that cannot be read."""
        self._faults.append(f"{segment_key(self.machine, seq)}: {why}")

    def expect(self, head: AuditHead | None) -> None:
        """After the last one: what is known elsewhere of the chain's end, by the machine itself or by a statement."""
        if head is None or head.machine != self.machine:
            return
        key = segment_key(head.machine, head.seq)
        if self.end is None or self.end.seq < head.seq:
            last = "nothing of it is there" if self.end is None else f"the last one is {self.end.seq}"
            self._faults.append(f"{key} was written, and the end of the chain is cut off: {last}")
        elif self.end.seq == head.seq and self.end.sha256 != head.sha256:
            self._faults.append(
                f"{key}: changed after it was written: it was {head.sha256[:12]}, it is {self.end.sha256[:12]}"
            )

    def _check_signature(self, key: str, body: bytes, signature: bytes | None) -> None:
        if self._signed is None:
            return
        fault = self._signed(body, signature)
        if not fault:
            self._uncovered = []
        elif signature is None:
            self._uncovered.append(f"{key}: {fault}")
        else:
            self._faults.append(f"{key}: {fault}")

    def _wrong(self, key: str, seq: int, body: bytes, *, gap: bool) -> Iterator[str]:
        try:
            header = SegmentHeader.decode(body.partition(b"\n")[0])
        except DocumentError as error:
            yield str(error)
        else:
            if (header.machine, header.seq) != (self.machine, seq):
                yield f"its first line is of segment {header.seq} of {header.machine}"
            elif not gap and header.prev != (NOTHING_BEFORE if self.end is None else self.end.sha256):
                yield self._broken(header)
        yield from records_of(body)[1]

    def _broken(self, header: SegmentHeader) -> str:
        if self.end is None:
            return f"it is the first, and names one before it ({header.prev[:12]})"
        before = segment_key(self.machine, self.end.seq)
        return (
            f"it follows a segment of digest {header.prev[:12]}, and {before} has {self.end.sha256[:12]}: one of both "
            "was changed after it was written"
        )


def _named(machine: str, missing: Sequence[int]) -> str:
    first = segment_key(machine, missing[0])
    return f"{first} is" if len(missing) == 1 else f"{first} and {len(missing) - 1:,} after it are"


def _line(document: Mapping[str, Any]) -> bytes:
    """Without a line break within, or half characters: each line is a record, whatever texts are in it."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
