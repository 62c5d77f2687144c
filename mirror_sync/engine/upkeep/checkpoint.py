"""How far a verification came, so that the next one goes on there after an interrupt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mirror_sync.domain.outcome.report import BlobFault, VerifyReport
from mirror_sync.domain.repo import Kind
from mirror_sync.ports.memory import Checkpoint

_FORMAT = 2
_SAVED = (
    "question", "round", "targets", "empty", "target", "key", "refs", "position",
    "repos", "snapshots", "blobs", "bytes", "skipped", "frozen",
)  # fmt: skip

_Place = tuple[str, Kind | None, str, str, str]


@dataclass(slots=True)
class VerifyProgress:
    """What is verified. `question` is what was asked: an answer to another one is no use.

    In the target that is being walked, all repos before `key` are done, and `position` blobs of the repo at `key`,
    counted in the order of the walk while its refs.json has the digest `refs`. What is wrong is noted once, by its
    place, and saved once: there may be as many faults as blobs. `empty` are those of `targets` where there was nothing
    to look at.
    """

    question: str
    round: int = 0
    targets: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    target: str = ""
    key: str = ""
    refs: str = ""
    position: int = 0
    repos: int = 0
    snapshots: int = 0
    blobs: int = 0
    bytes: int = 0
    skipped: int = 0
    frozen: int = 0
    resumed: bool = False
    faults: dict[_Place, BlobFault] = field(default_factory=dict)
    repaired: dict[_Place, BlobFault] = field(default_factory=dict)
    unreadable: dict[_Place, BlobFault] = field(default_factory=dict)
    _begun: bool = False
    _unsaved: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, checkpoint: Checkpoint, question: str) -> VerifyProgress:
        """Go on where the same question was left; else begin, with the round after that of the last sample."""
        saved = checkpoint.load() or {}
        try:
            if saved.get("format") == _FORMAT and saved["question"] == question:
                progress = cls(**{name: saved[name] for name in _SAVED if name in saved})
                for note in saved.get("notes", ()):
                    progress._keep(note["as"], _decoded(note["fault"]))
                progress.resumed = progress._begun = True
                return progress
            return cls(question, round=int(saved.get("round", 0)))
        except (KeyError, ValueError, TypeError, AttributeError):
            return cls(question)

    def note(self, fault: BlobFault) -> None:
        """Once: a document may be named by several snapshots, and be met again after an interrupt."""
        if _place(fault) not in self.faults:
            self._tell("faults", fault)

    def refuse(self, fault: BlobFault) -> None:
        """Note, once, what the target would not give."""
        if _place(fault) not in self.unreadable:
            self._tell("unreadable", fault)

    def judge(self, fault: BlobFault, answer: str, said: str = "") -> None:
        """Move a fault to where it belongs after a repair, whose answer is empty when it went well, as `said`."""
        self.faults.pop(_place(fault), None)
        self._tell("faults" if answer else "repaired", replace(fault, repair=answer or said or "repaired"))

    def _tell(self, kind: str, fault: BlobFault) -> None:
        self._keep(kind, fault)
        self._unsaved.append({"as": kind, "fault": asdict(fault)})

    def _keep(self, kind: str, fault: BlobFault) -> None:
        kinds = {"faults": self.faults, "repaired": self.repaired, "unreadable": self.unreadable}
        if kind == "repaired":
            self.faults.pop(_place(fault), None)
        kinds[kind][_place(fault)] = fault

    def save(self, checkpoint: Checkpoint) -> None:
        if not self._begun:
            checkpoint.begin({"round": self.round})
            self._begun = True
        checkpoint.save({"format": _FORMAT, **{name: getattr(self, name) for name in _SAVED}}, self._unsaved)
        self._unsaved.clear()

    def finish(self, checkpoint: Checkpoint, *, sampled: bool) -> None:
        """Nothing to go on with: the next verification of a sample is another round."""
        checkpoint.begin({"round": self.round + sampled})

    def is_over(self, target: str) -> bool:
        """Whether a target was walked to its end, or given up: it is not begun anew while the others are gone on with,
        or its blobs would be counted twice, and theirs.
        """
        return target in self.targets or (target, None, "", "", "") in self.unreadable

    def passed(self, target: str, key: str, refs: str) -> int | None:
        """How many blobs of a repo need no check any more; None: all of them."""
        if self.target != target or key > self.key:
            return 0
        if key < self.key:
            return None
        return self.position if refs == self.refs else 0

    def report(self, sampled: float, *, interrupted: bool) -> VerifyReport:
        return VerifyReport(
            repos=self.repos,
            snapshots=self.snapshots,
            blobs=self.blobs,
            bytes=self.bytes,
            faults=tuple(self.faults.values()),
            interrupted=interrupted,
            repaired=tuple(self.repaired.values()),
            unreadable=tuple(self.unreadable.values()),
            skipped=self.skipped,
            frozen=self.frozen,
            sampled=sampled,
            resumed=self.resumed,
            targets=tuple(name for name in self.targets if name not in self.empty),
        )


def _place(fault: BlobFault) -> _Place:
    return fault.target, fault.kind, fault.repo, fault.path, fault.sha256


def _decoded(item: Mapping[str, Any]) -> BlobFault:
    return BlobFault(**{**item, "kind": item["kind"] and Kind(item["kind"])})
