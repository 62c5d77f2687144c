"""What a worker and the coordinator tell each other about a work item that is out.

A worker sends `Envelope`s, which arrive in the order of sending: what is in them when a worker dies is not lost.
Answers to `Question` go back by the worker's address. Both sides run the same version, so pickles of these classes
will do.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.outcome.events import Event
from mirror_sync.domain.work import WorkItem
from mirror_sync.ports.memory import UploadNote


@dataclass(frozen=True, slots=True)
class Deal:
    """Among how many workers the `sender` deals limits of bandwidth out; of two, the higher `number` holds."""

    sender: str
    number: int = 0
    among: int = 1


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A work item on its way to a worker. `sides` tell, by name, what its upstream and its target are there."""

    sender: str
    key: str
    work_item: WorkItem
    sides: Mapping[str, str]
    deal: Deal | None = None


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A worker has taken the work item up; what an earlier attempt says from now on counts no more."""

    worker: str


@dataclass(frozen=True, slots=True)
class EventTold:
    event: Event


@dataclass(frozen=True, slots=True)
class Noted:
    """How far an upload got; None: it is over, and its note is to be forgotten."""

    key: str
    note: UploadNote | None


@dataclass(frozen=True, slots=True)
class Released:
    """The claim on a key is given back."""

    key: str


@dataclass(frozen=True, slots=True)
class Indexed:
    """What is to be kept by git id, as `ports.ContentIndex.remember` has it."""

    pairs: Mapping[GitOid, Sha256]
    proved: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was read or published of a small object of the target, as `ports.ReadCache` has it."""

    name: str
    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """May this attempt note the upload of a key?"""

    key: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """Which of these contents are known by their git ids, as `ports.ContentIndex.known` has it?"""

    oids: tuple[GitOid, ...]
    proved: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """What was found in files, and remembered under this name and version?"""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Question:
    """The worker waits for the answer with this number."""

    number: int
    question: Claim | Lookup | Recall


@dataclass(frozen=True, slots=True)
class Claimed:
    """`mine`: nobody else may bring this content now. `note`: how far an earlier upload of it got."""

    mine: bool
    note: UploadNote | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """In place of a report: the worker stopped, and what it had not finished is noted. `why` in a few words."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """In place of a report: this worker must not carry the work item out, in one line."""

    why: str


Message = TakenUp | EventTold | Noted | Released | Indexed | Remembered | Question
Answer = Claimed | Mapping[GitOid, Sha256] | bytes | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """`key` names the work item, `attempt` the worker's turn at it."""

    key: str
    attempt: str
    message: Message


def encode(message: object) -> bytes:
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def decode(body: bytes) -> object:
    """Of what a member of our own cluster has encoded: whoever may speak to the scheduler may run code on all of it."""
    return pickle.loads(body)  # noqa: S301  Dask itself carries nothing else
