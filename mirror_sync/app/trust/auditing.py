"""`audit`: what was done in a target and by whom, read and proved; and the borders of a run, as the audit has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import (
    MAX_SEGMENT,
    Actor,
    AuditRecord,
    ChainCheck,
    records_of,
)
from mirror_sync.domain.content.keys import AUDIT, segment_key, segment_of, signature_key
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import NotRecorded, StoreDenied, StoreError
from mirror_sync.ports.audit import SignatureCheck
from mirror_sync.ports.store import Stat, Store, read_all
from mirror_sync.state.audit_journal import AuditJournal, audit_folder

MAX_SIGNATURE = 64 * 1024  # bytes
_READERS = 16
_SKEW = timedelta(days=1)  # by which the clocks of a target and of a machine may differ

Key = TypeVar("Key", str, int)
Got = TypeVar("Got")


@contextmanager
def acting(context: RunContext, actor: Actor, targets: Collection[str]) -> Iterator[RunContext]:
    """A run for an actor: what it does in these targets is in their audit at its end."""
    try:
        yield replace(context, actor=actor)
    finally:
        for target in targets:
            context.targets[target].audit.seal()


@dataclass(frozen=True, slots=True)
class AuditedActs:
    """The acts that a target's audit tells of, in the order of their times; `faults` are lines that are none."""

    target: str
    records: tuple[AuditRecord, ...]
    machines: int = 0
    unsigned: int = 0
    faults: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """The document of `audit --json`."""
        return {
            "target": self.target,
            "machines": self.machines,
            "unsigned": self.unsigned,
            "faults": list(self.faults),
            "acts": [record.document() for record in self.records],
        }


@dataclass(frozen=True, slots=True)
class AuditProof:
    """What came of walking all chains of a target: `faults` are lines for a person.

    `waiting` acts are recorded on this machine and are not in the target yet. `checked`: whether signatures were looked
    at.
    """

    target: str
    machines: int
    segments: int
    unsigned: int
    waiting: int
    checked: bool
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every chain is whole."""
        return not self.faults

    def encode(self) -> dict[str, Any]:
        """The document of `audit --verify --json`."""
        return {
            "ok": self.ok,
            "target": self.target,
            "machines": self.machines,
            "segments": self.segments,
            "unsigned": self.unsigned,
            "waiting": self.waiting,
            "checked": self.checked,
            "faults": list(self.faults),
        }


class AuditTrail:
    """Reads the audits of targets, and changes nothing."""

    def __init__(self, settings: Settings, context: Callable[[], RunContext]) -> None:
        self._settings, self._context = settings, context

    def acts(self, target: str, since: datetime | None = None, repo: Repo | None = None) -> AuditedActs:
        """What was done from a moment on, and to one repo where one is named. StoreError where it cannot be read.

        A segment that was put a day before that moment, or more, is not read: no act in it is younger.
        """
        store, found = self._context().targets[target].store, list[AuditRecord]()
        faults, horizon = list[str](), 0.0 if since is None else (since - _SKEW).timestamp()
        chains = _chains(store.list(AUDIT))
        keys = [stat.key for chain in chains.segments.values() for stat in chain.values() if stat.modified >= horizon]
        for key, body in _side_by_side(partial(_whole_or_why, store), sorted(keys)):
            records, wrong = records_of(body) if isinstance(body, bytes) else ([], [body])
            found += records
            faults += [f"{key}: {line}" for line in wrong]
        unsigned = sum(signature_key(key) not in chains.signatures for key in keys)
        wanted = [record for record in found if _is_wanted(record, since, repo)]
        wanted.sort(key=lambda record: record.at)
        return AuditedActs(target, tuple(wanted), len(chains.segments), unsigned, tuple(faults))

    def prove(self, target: str, signed: SignatureCheck | None = None) -> AuditProof:
        """Walk the chain of every machine from its first segment to its last. StoreError where the list is refused.

        `signed` is asked about signatures; None: nobody knows keys.
        """
        journal = AuditJournal(audit_folder(self._settings.state_dir, place_of(self._settings.targets[target])))
        known, doubts = None, list[str]()
        try:
            known = journal.head()  # before the list: what comes after is no cut end
            waiting = journal.waiting()
        except (NotRecorded, OSError) as error:
            waiting = 0
            doubts.append(f"what this machine knows of its own chain cannot be read: {error}")
        store = self._context().targets[target].store
        chains = _chains(store.list(AUDIT))
        machines = {*chains.segments, *([] if known is None else [known.machine])}
        checks = [_check(store, machine, chains, signed) for machine in sorted(machines)]
        for check in checks:
            check.expect(known)
        faults = [*doubts, *chains.strange, *(fault for check in checks for fault in check.faults)]
        return AuditProof(
            target,
            len(chains.segments),
            sum(check.segments for check in checks),
            sum(check.unsigned for check in checks),
            waiting,
            signed is not None,
            tuple(faults),
        )


@dataclass(frozen=True, slots=True)
class _Chains:
    """What lies below `audit/`: segments by machine and number, keys of signatures, and what is neither."""

    segments: defaultdict[str, dict[int, Stat]]
    signatures: set[str]
    strange: list[str]


def _check(store: Store, machine: str, chains: _Chains, signed: SignatureCheck | None) -> ChainCheck:
    def read(seq: int) -> tuple[bytes, bytes | None] | StoreError:
        key = segment_key(machine, seq)
        name = signature_key(key)
        try:
            return _read(store, key), _read(store, name, MAX_SIGNATURE) if name in chains.signatures else None
        except StoreError as error:
            return error

    check = ChainCheck(machine, signed)
    for seq, got in _side_by_side(read, sorted(chains.segments.get(machine, ()))):
        if isinstance(got, StoreError):
            check.refuse(seq, f"cannot be read: {got}")
        else:
            check.take(seq, *got)
    return check


def _chains(stats: Iterable[Stat]) -> _Chains:
    found = _Chains(defaultdict(dict), set(), [])
    for stat in stats:
        segment = segment_of(stat.key)
        if segment is not None:
            found.segments[segment[0]][segment[1]] = stat
        elif segment_of(stat.key.removesuffix(".sig")) is not None:
            found.signatures.add(stat.key)
        else:
            found.strange.append(f"{stat.key}: no segment of an audit, and no signature")
    return found


def _side_by_side(read: Callable[[Key], Got], keys: Sequence[Key]) -> Iterator[tuple[Key, Got]]:
    """What is read under each key, in their order; a few at once, as each is a request."""
    with ThreadPoolExecutor(_READERS, "audit") as readers:
        for start in range(0, len(keys), _READERS):
            some = keys[start : start + _READERS]
            yield from zip(some, readers.map(read, some), strict=True)


def _read(store: Store, key: str, limit: int = MAX_SEGMENT) -> bytes:
    return read_all(store, key, limit)


def _whole_or_why(store: Store, key: str) -> bytes | str:
    """What hinders one segment hides no other one; that the target cannot be read now is raised."""
    try:
        return _read(store, key)
    except StoreError as error:
        if error.retryable or isinstance(error, StoreDenied):
            raise
        return f"cannot be read: {error}"


def _is_wanted(record: AuditRecord, since: datetime | None, repo: Repo | None) -> bool:
    at = moment(record.at)
    if since is not None and at is not None and at < since:
        return False
    return repo is None or record.act.repo == str(repo)
