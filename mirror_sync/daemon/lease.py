"""Who of several daemons works: the one that holds a lease, an object of a target that it writes again and again.

Each looks with its own clock alone: a holder counts from the moment at which it began a write that was accepted, and
gives up before a lease is over; a standby counts from the moment at which it saw the object change, and waits for a
whole one. Neither compares its clock with what the other has written. See
docs/design/decisions/0077-two-daemons.md.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import DocumentError, MirrorError, StoreError, StoreUnavailable
from mirror_sync.logger import Logger
from mirror_sync.ports.lease_place import LEASE_KEY, LeasePlace, Tagged, WrittenByAnother
from mirror_sync.state.pauses import Pauses

RENEWED = 1 / 3  # of a lease, between two writes of its holder
HELD = 5 / 6  # of a lease, for which a holder believes in its last write: then its runs end, before another may begin
LOOKED = 1 / 6  # of a lease, between two looks of a standby, and
LONGEST_LOOK = 10.0  # seconds at the most
LEAST_PATIENCE = 1.0  # seconds that a call gets, or a sixth of a lease
_MOMENT = 0.25  # seconds
_FORMAT = 1

_log = Logger()


def suspended_too() -> float:
    """Seconds from any start, with those in which the machine was suspended: CLOCK_BOOTTIME of clock_gettime(2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class JobMark:
    """That a job was begun, so many seconds before its mark was written, and whether that run goes on."""

    age: float
    going: bool


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What the object says. `holder` is a process, empty for a lease that was given back; `name` its machine.

    `since` is for people: when it took the lease, by its own clock, in ISO 8601. `serial` makes each body another one.
    `paused`: the jobs that a person has paused there, and until when, for good with None.
    """

    holder: str
    name: str
    since: str
    serial: int
    seconds: float
    jobs: Mapping[str, JobMark] = field(default_factory=dict)
    paused: Mapping[str, datetime | None] = field(default_factory=dict)

    def encode(self) -> bytes:
        """JSON, for people, too."""
        jobs = {name: {"age": round(mark.age, 3), "going": mark.going} for name, mark in self.jobs.items()}
        paused = {name: None if end is None else end.isoformat() for name, end in self.paused.items()}
        said = {"format": _FORMAT, "holder": self.holder, "name": self.name, "since": self.since}
        more = {"serial": self.serial, "lease": self.seconds, "jobs": jobs, "paused": paused}
        return json.dumps(said | more, indent=1).encode()

    @classmethod
    def decode(cls, body: bytes) -> LeaseRecord:
        """DocumentError for what is none, or of a format that is not known."""
        try:
            said: dict[str, Any] = json.loads(body)
            if said["format"] != _FORMAT:
                raise DocumentError(f"{LEASE_KEY} is of format {said['format']}, which this program does not know")
            jobs = {str(name): JobMark(float(one["age"]), bool(one["going"])) for name, one in said["jobs"].items()}
            ends = said["paused"].items()
            paused = {str(name): None if end is None else datetime.fromisoformat(end) for name, end in ends}
            holder, name, since = (str(said[key]) for key in ("holder", "name", "since"))
            return cls(holder, name, since, int(said["serial"]), float(said["lease"]), jobs, paused)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"{LEASE_KEY} is no lease: {type(error).__name__}: {error}") from None


class Term(threading.Event):
    """The stop of all that a holder does: set from the moment on at which its lease may be another's, for good.

    It is the clock that sets it, so that a process that was stopped sees it at its very next look, before any thread
    of it has found out why.
    """

    def __init__(self, stop: threading.Event, until: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._stop, self._until, self._clock = stop, until, clock
        self._turn = threading.Lock()

    def is_set(self) -> bool:
        with self._turn:
            if not super().is_set() and (self._stop.is_set() or self._clock() >= self._until):
                super().set()
            return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """As an event's; it wakes within a moment for the process' stop, and for the clock."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (end is None or time.monotonic() < end):
            super().wait(_MOMENT if end is None else max(0.0, min(_MOMENT, end - time.monotonic())))
        return self.is_set()

    def extend(self, until: float) -> None:
        """The holder may go on until then; what is over stays so."""
        with self._turn:
            self._until = max(self._until, until)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a daemon stands, for who asks: `since` by its own clock; `holder` is the machine that has the lease, as far
    as is known, empty for none. `contact`: seconds since the lease was last read or written.
    """

    leads: bool
    since: datetime
    holder: str
    contact: float
    changes: int
    trouble: str = ""

    def __str__(self) -> str:
        since = f"since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        if self.leads:
            return f"leader {since}"
        held = f"{self.holder} holds the lease" if self.holder else "nobody holds the lease"
        return f"standby {since}; {self.trouble or held}"


class Leads(Protocol):
    """What begins and ends with a lease. Called in the thread of the lease, one after the other."""

    def lead(self, term: Term) -> None:
        """The lease is ours until `term` is set."""
        ...

    def leave(self, reason: str) -> None:
        """It is ours no more, or may not be. Returns when nothing of ours goes on."""
        ...


@dataclass(slots=True)
class _SeenLease:
    """What stood there when it was last read, since when by our clock, and whether we have seen it change."""

    found: Tagged
    record: LeaseRecord
    at: float
    alive: bool


class Lease:
    """Takes and keeps the lease in a thread of its own; others ask it before they begin something. Safe for all."""

    def __init__(
        self,
        place: LeasePlace,
        seconds: float,
        name: str,
        stop: threading.Event,
        pauses: Pauses,
        clock: Callable[[], float] = suspended_too,
    ) -> None:
        self._pauses = pauses
        self._place, self._seconds, self._name, self._stop, self._clock = place, seconds, name, stop, clock
        self._id = os.urandom(16).hex()
        self._lock = threading.Lock()  # of the object, and what is known of it
        self._wake = threading.Event()
        self._term: Term | None = None
        self._reason = ""  # why the term is over
        self._serial = 0
        self._sent, self._sure = b"", True  # what was written last, and whether that is known to stand there
        self._tag: str | None = None  # of what stood there then
        self._since = datetime.now(UTC)
        self._seen: _SeenLease | None = None
        self._marks = dict[str, tuple[float, bool]]()  # by job: when it was begun, by our clock, and whether it goes on
        self._alive_at: float | None = None  # when anybody last showed that the jobs are looked after
        self._contact, self._changes, self._trouble = clock(), 0, ""
        self._proved = False
        self._thread: threading.Thread | None = None

    @property
    def _look(self) -> float:
        return min(self._seconds * LOOKED, LONGEST_LOOK)

    def prove(self) -> None:
        """Whether the place can hold a lease. StoreError where it cannot; silent where it does not answer now."""
        try:
            self._place.prove()
            self._proved = True
        except StoreUnavailable as error:
            self._complain(str(error))

    def start(self, daemon: Leads) -> None:
        """Begin to look, and to take it when nobody has it."""
        self._thread = threading.Thread(target=self._keep, args=(daemon,), name="lease", daemon=True)
        self._thread.start()

    def end(self, *, clean: bool) -> None:
        """After the stop: give it back, where nothing of ours goes on any more, so that another need not wait."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2 * max(LEAST_PATIENCE, self._seconds * LOOKED))
        with self._lock:
            term, self._term = self._term, None
            if term is None or not clean:
                return
            try:
                self._write(holder="")
                _log.info("lease.given-back", holder=self._name)
            except (StoreError, OSError, WrittenByAnother) as error:
                _log.warning("lease.not-given-back", reason=str(error) or "another daemon has it")

    # ---- what others ask

    @property
    def term(self) -> Term | None:
        """Ours, where we have the lease now."""
        term = self._term
        return None if term is None or term.is_set() else term

    @property
    def standing(self) -> Standing:
        """How we stand now."""
        seen, leads = self._seen, self.term is not None
        holder = self._name if leads else seen.record.name if seen is not None and seen.record.holder else ""
        contact = max(0.0, self._clock() - self._contact)
        return Standing(leads, self._since, holder, contact, self._changes, self._trouble)

    def begin(self, job: str | None) -> bool:
        """Before each run: write that it begins, and so find out whether the lease is ours still; False where not.

        None for what no other daemon has to know of.
        """
        while (term := self.term) is not None:
            with self._lock:
                if job is not None:
                    self._marks[job] = self._clock(), True
                try:
                    self._renew(term)
                except (StoreError, OSError) as error:
                    self._complain(str(error))
                else:
                    return not term.is_set()
            term.wait(self._look)
        self._wake.set()
        return False

    def ended(self, job: str) -> None:
        """The run of a job has ended by itself."""
        with self._lock:
            if job in self._marks and self.term is not None:
                self._marks[job] = self._marks[job][0], False
        self._wake.set()

    def why_not(self) -> str:
        """Why nothing begins here, in words."""
        if self._stop.is_set():
            return "the daemon is stopping"
        standing = self.standing
        there = f"; ask the daemon of {standing.holder}" if standing.holder and not standing.leads else ""
        return f"of the daemons with these jobs this one is the {standing}{there}"

    def marks(self) -> dict[str, JobMark]:
        """The jobs that are known to have been begun, here or by another, as of now."""
        with self._lock:
            return self._as_of(self._clock())

    def alive_since(self) -> float | None:
        """How many seconds ago jobs were last seen to be looked after; None where nobody knows."""
        at = self._alive_at
        return None if at is None else self._clock() - at

    # ---- the thread

    def _keep(self, daemon: Leads) -> None:
        while not self._stop.is_set():
            try:
                wait = self.step(daemon)
            except (MirrorError, OSError) as error:
                self._complain(str(error))
                wait = self._look
            except WrittenByAnother:
                wait = 0.0
            except Exception as error:  # without this thread nobody would ever work
                _log.error("lease.failed", reason=f"{type(error).__name__}: {error}", exc_info=True)
                wait = self._look
            self._wake.wait(wait)
            self._wake.clear()

    def step(self, daemon: Leads) -> float:
        """Renew the lease, or look whether it can be taken; returns the seconds until the next time. For one thread.

        StoreError, DocumentError, WrittenByAnother where that could not be done.
        """
        if self._term is None:
            return self._stand_by(daemon)
        term = self._term
        if not term.is_set():
            with self._lock:
                try:
                    self._renew(term)
                except (StoreError, OSError) as error:
                    self._complain(str(error))
        if not term.is_set():
            return self._seconds * RENEWED if not self._trouble else self._look
        if self._stop.is_set():  # whoever set it ends the runs, and gives the lease back
            return 0.0
        reason = self._reason or self._trouble or f"it was not renewed for {self._seconds * HELD:g} s"
        _log.error("lease.lost", reason=reason, holder=self._name)
        daemon.leave(reason)
        with self._lock:
            self._term, self._seen = None, None
            self._since = datetime.now(UTC)
            self._changes += 1
        return 0.0

    def _stand_by(self, daemon: Leads) -> float:
        if not self._proved:
            self._place.prove()
            self._proved = True
        with self._lock:
            found = self._place.read()
            now = self._clock()
            if found is not None:
                self._look_at(found, now)
            self._reached(now)
            seen = self._seen
            if found is not None and seen is not None and seen.record.holder:
                left = max(seen.record.seconds, self._seconds) - (now - seen.at)
                if left > 0:
                    return min(left, self._look)
            was = "" if found is None or seen is None else seen.record.name
            term = self._taken(None if found is None else found.tag)
            waited = 0.0 if found is None or seen is None or not seen.record.holder else now - seen.at
        _log.info("lease.taken", holder=self._name, former=was, waited=round(waited, 1))
        try:
            daemon.lead(term)
        except BaseException as error:  # who has it and does nothing keeps others from it
            self._reason = f"nothing could be begun: {error}"
            term.set()
            raise
        return 0.0 if term.is_set() else self._seconds * RENEWED

    def _look_at(self, found: Tagged, now: float) -> None:
        """What stands there counts from when we first saw it."""
        seen = self._seen
        if seen is not None and seen.found.tag == found.tag:
            return
        record = LeaseRecord.decode(found.body)
        if seen is None or seen.record.holder != record.holder:
            _log.info("lease.seen", holder=record.name if record.holder else "", since=record.since)
        alive = seen is not None
        self._seen = _SeenLease(found, record, now, alive)
        if alive:  # who has seen it change knows how old what it says is
            self._alive_at = now
            self._marks |= {name: (now - mark.age, mark.going) for name, mark in record.jobs.items()}
            self._pauses.put(record.paused)
        elif record.name != self._name:  # whoever died had them, and here some may have been said since
            self._pauses.put({**record.paused, **self._pauses.all()})

    def _taken(self, tag: str | None) -> Term:
        """Ours from here on. WrittenByAnother where somebody was quicker; StoreError where nobody knows."""
        self._sent, self._tag, self._sure, before = b"", tag, True, self._clock()
        since, self._since = self._since, datetime.now(UTC)
        try:
            self._write(holder=self._id)
        except BaseException:
            self._since = since
            raise
        self._term = term = Term(self._stop, before + self._seconds * HELD, self._clock)
        self._reason = ""
        self._changes += 1
        return term

    def _renew(self, term: Term) -> None:
        """Write that we are there; the term is over where another has written. StoreError where nobody knows."""
        if term.is_set():
            return
        before = self._clock()
        try:
            self._write(holder=self._id)
        except WrittenByAnother:
            self._reason = f"{self._who()} has taken it"
            term.set()
            return
        term.extend(before + self._seconds * HELD)
        self._alive_at = before

    def _write(self, holder: str) -> None:
        """What was refused, or got no answer, may have been written all the same: then what stands there is ours."""
        if not self._sure:
            self._find_out()
        self._serial += 1
        jobs = self._as_of(self._clock())
        since = iso_utc(self._since)
        said = LeaseRecord(holder, self._name, since, self._serial, self._seconds, jobs, self._pauses.all())
        self._sent = said.encode()
        self._sure = False
        try:
            self._tag = self._place.write(self._sent, self._tag)
        except WrittenByAnother:
            self._find_out(written=True)
        self._sure = True
        self._reached(self._clock())

    def _find_out(self, *, written: bool = False) -> None:
        """Whether the last write was done after all. WrittenByAnother where what stands there is neither that nor what
        was before it; StoreUnavailable where it is what was before it, though the write was refused.
        """
        found = self._place.read()
        if found is not None and self._sent and found.body == self._sent:
            self._tag = found.tag
        elif (None if found is None else found.tag) != self._tag:
            self._seen = (
                None if found is None else _SeenLease(found, LeaseRecord.decode(found.body), self._clock(), alive=False)
            )
            raise WrittenByAnother
        elif written:
            self._sure = True
            raise StoreUnavailable(f"{LEASE_KEY}: the server refused a write beside another one; it is tried again")
        self._sure = True

    def _who(self) -> str:
        record = None if self._seen is None else self._seen.record
        return (record.name or "nobody") if record is not None else "somebody"

    def _as_of(self, now: float) -> dict[str, JobMark]:
        return {job: JobMark(max(0.0, now - at), going) for job, (at, going) in self._marks.items()}

    def _reached(self, now: float) -> None:
        if self._trouble:
            _log.info("lease.reached", seconds=round(now - self._contact, 1))
        self._contact, self._trouble = now, ""

    def _complain(self, reason: str) -> None:
        """Once, until it is well again."""
        if not self._trouble:
            _log.warning("lease.not-reached", reason=reason)
        self._trouble = reason
