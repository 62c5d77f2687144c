"""How far a verification came, so that the next one goes on there after an interrupt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from mirror_sync.domain.repo import Kind
from mirror_sync.domain.report import BlobFault, VerifyReport

_FORMAT = 1


class Checkpoint(Protocol):
    """One small JSON document, local to a machine; it may be lost, which costs a verification from the start."""

    def load(self) -> Mapping[str, Any] | None:
        """What was saved last; None when there is nothing, or nothing readable. Never raises."""
        ...

    def save(self, document: Mapping[str, Any]) -> None:
        """Replace it in one step. A fault of the disk is not worth an exception: then the last one stands."""
        ...


class NoCheckpoint:
    """Implements `Checkpoint` by forgetting."""

    def load(self) -> Mapping[str, Any] | None:
        return None

    def save(self, document: Mapping[str, Any]) -> None:
        pass


@dataclass(slots=True)
class Progress:
    """What is verified. `question` is what was asked: an answer to another one is no use.

    In the target that is being walked, all repos before `key` are done, and `position` blobs of the repo at `key`,
    counted in the order of the walk while its refs.json has the digest `refs`.
    """

    question: str
    round: int = 0
    targets: list[str] = field(default_factory=list)
    target: str = ""
    key: str = ""
    refs: str = ""
    position: int = 0
    repos: int = 0
    snapshots: int = 0
    blobs: int = 0
    bytes: int = 0
    skipped: int = 0
    faults: list[BlobFault] = field(default_factory=list)
    repaired: list[BlobFault] = field(default_factory=list)
    unreadable: list[BlobFault] = field(default_factory=list)
    resumed: bool = False

    @classmethod
    def load(cls, checkpoint: Checkpoint, question: str) -> Progress:
        """Go on where the same question was left; else begin, with the round after that of the last sample."""
        saved = checkpoint.load() or {}
        try:
            if saved.get("format") == _FORMAT and saved["question"] == question:
                values = {name: saved[name] for name in cls.__slots__ if name in saved}
                for name in ("faults", "repaired", "unreadable"):
                    values[name] = [_fault(item) for item in saved[name]]
                return replace(cls(**values), resumed=True)
            return cls(question, round=int(saved.get("round", 0)))
        except (KeyError, ValueError, TypeError, AttributeError):
            return cls(question)

    def save(self, checkpoint: Checkpoint) -> None:
        checkpoint.save({"format": _FORMAT, **asdict(self)})

    def finish(self, checkpoint: Checkpoint, *, sampled: bool) -> None:
        """Nothing to go on with: the next verification of a sample is another round."""
        checkpoint.save({"round": self.round + sampled})

    def passed(self, target: str, key: str, refs: str) -> int | None:
        """How many blobs of a repo need no look any more; None: all of them."""
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
            faults=tuple(self.faults),
            interrupted=interrupted,
            repaired=tuple(self.repaired),
            unreadable=tuple(self.unreadable),
            skipped=self.skipped,
            sampled=sampled,
            resumed=self.resumed,
            targets=tuple(self.targets),
        )


def _fault(item: Mapping[str, Any]) -> BlobFault:
    return BlobFault(**{**item, "kind": item["kind"] and Kind(item["kind"])})
