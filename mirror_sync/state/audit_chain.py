"""An audit of one target: a journal on this machine, and a chain of segments in the target.

The first act of a run goes into the target at once, as a segment of its own: what does not take that is not written to
at all. What follows waits in the journal, and goes together: at the end of the run, or when it is much, or old.
See docs/design/decisions/0040-the-audit.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mirror_sync.domain.audit_record import (
    MAX_SEGMENT,
    AuditHead,
    AuditRecord,
    SegmentHeader,
    lines_of,
)
from mirror_sync.domain.content.keys import AUDIT, BLOBS, HUB, segment_key, segment_of, signature_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import AuditFailed, AuditPut, Observer
from mirror_sync.errors import DocumentError, MirrorError, NotRecorded, StoreError, StoreUnavailable, Vanished
from mirror_sync.owners import PRIVATE, cause
from mirror_sync.ports.audit import Signer
from mirror_sync.ports.store import Store, read_all
from mirror_sync.state.audit_journal import AuditJournal
from mirror_sync.state.file_lock import Held, hold

_NOT_DONE = "not done, since it cannot be recorded"
_BATCH = 500  # acts that are written at once; a reader takes a segment of so many, however long their words are
_FULL = 1024 * 1024  # bytes of a journal that is put at once
_OLD = 600.0  # seconds after which the next act has those before it put
_PATIENCE = 60.0  # seconds that another process may take for its record, or to put a segment


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """Where an audit lies: `journal` and the `lock` beside it, the `store` of `target`, and `machine`, which gives the
    name of this machine's chain (OSError).
    """

    journal: AuditJournal
    lock: Path
    store: Store
    target: str
    machine: Callable[[], str]


class ChainedAudit:
    """Implements `ports.audit.Audit`. `sign` None: segments have no signature, and that is told."""

    def __init__(
        self,
        place: AuditPlace,
        tell: Observer,
        sign: Signer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._journal, self._store = place, place.journal, place.store
        self._tell, self._sign, self._monotonic = tell, sign, monotonic
        self._turn = threading.Lock()
        self._taken = False  # whether the target has taken a segment since the run began
        self._looked = False  # whether the end of the chain was looked for in the target, since then
        self._anew = False  # whether the target was emptied on purpose
        self._machine = ""  # as it was found since the run began
        self._since = 0.0  # when the journal was begun, as far as this process knows
        self._states: dict[str, str] | None = None
        self._new_states: dict[str, str] = {}

    def record(self, *records: AuditRecord) -> None:
        with self._alone():
            self._look_for_the_end()
            self._put_sealed()
            for end in range(_BATCH, len(records) + _BATCH, _BATCH):
                self._write(records[end - _BATCH : end], records[:end])

    def begin_anew(self) -> None:
        self._anew = True

    def seal(self) -> None:
        try:
            if self._journal.has_some():
                with self._alone():
                    self._put_sealed()
                    if self._journal.header() is not None:
                        self._put()
        except MirrorError as error:
            self._tell(AuditFailed(self._place.target, error.code, str(error)))
        self._taken, self._looked, self._anew, self._machine = False, False, False, ""
        self._keep_states()

    def state(self, name: str) -> str:
        with self._turn:
            if self._states is None:
                self._states = self._journal.states()
            return self._new_states.get(name, self._states.get(name, ""))

    def remember(self, name: str, state: str) -> None:
        if self.state(name) != state:
            with self._turn:
                self._new_states[name] = state

    @property
    def head(self) -> AuditHead | None:
        with suppress(OSError, NotRecorded):
            return self._journal.head()
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """For threads first: a lock between processes is asked for again and again. StoreError, whatever goes wrong."""
        journal = self._journal.folder / "journal.jsonl"
        with self._turn:
            try:
                self._place.lock.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
                with hold(self._place.lock, _PATIENCE):
                    yield
            except Held as error:
                raise StoreUnavailable(f"{_NOT_DONE}: {self._place.lock} is held by another process") from error
            except OSError as error:
                at = Path(error.filename or journal)
                raise NotRecorded(f"{_NOT_DONE}: {at}: {cause(error, at)}") from error
            except DocumentError as error:
                raise NotRecorded(f"{_NOT_DONE}: {journal}: {error}") from error

    def _write(self, records: Sequence[AuditRecord], called_off: Sequence[AuditRecord]) -> None:
        """`called_off` are those that will not be done where this raises."""
        if self._header() is None:
            self._journal.begin(self._next_header())
            self._since = self._monotonic()
        size = self._journal.append([record.encode() for record in records])
        if self._taken and size < _FULL and self._monotonic() - self._since < _OLD:
            return
        try:
            self._put()
        except (MirrorError, OSError) as error:
            code = error.code if isinstance(error, MirrorError) else "os"
            with suppress(OSError):
                self._call_off([replace(record, failed=code).encode() for record in called_off])
            raise

    def _call_off(self, lines: Sequence[bytes]) -> None:
        """What was sealed may be in the target, and will not be done: the segment after it says so."""
        body = self._journal.sealed()
        if body:
            sealed = _header_of(body)
            self._journal.begin(AuditHead(sealed.machine, sealed.seq, Sha256.of(body)).next_header, lines)
        else:
            self._journal.append(lines)

    def _header(self) -> SegmentHeader | None:
        """Of what waits here. Where this machine has another name than before, it begins a chain of its own."""
        machine = self._name()
        header = self._journal.header()
        sealed = self._journal.sealed()
        first = _header_of(sealed) if sealed else header
        if first is not None and first.machine != machine:
            self._journal.rename(self._next_header())
            return self._journal.header()
        return header

    def _next_header(self) -> SegmentHeader:
        machine, head = self._name(), self._journal.head()
        if head is None or head.machine != machine:
            head = self._found_head(machine)
        return SegmentHeader(machine, 1) if head is None else head.next_header

    def _name(self) -> str:
        self._machine = self._machine or self._place.machine()
        return self._machine

    def _found_head(self, machine: str) -> AuditHead | None:
        """What the target has of this machine's chain, of which nothing is known here. StoreError."""
        found = (segment_of(stat.key) for stat in self._store.list(f"{AUDIT}{machine}/"))
        last = max((seq for _, seq in filter(None, found)), default=0)
        if not last:
            return None
        return AuditHead(machine, last, Sha256.of(read_all(self._store, segment_key(machine, last), MAX_SEGMENT)))

    def _put(self) -> None:
        self._journal.seal()
        self._put_sealed()

    def _put_sealed(self) -> None:
        """Nothing where nothing is sealed. What a process that was killed had sealed may be in the target already."""
        self._header()
        body = self._journal.sealed()
        if not body:
            return
        header = _header_of(body)
        head = self._journal.head()
        if head is None or head.machine != header.machine or head.seq < header.seq:
            self._bring(header, body)
            head = AuditHead(header.machine, header.seq, Sha256.of(body))
            self._tell(
                AuditPut(
                    self._place.target, header.machine, header.seq, len(lines_of(body)) - 1, self._sign is not None
                )
            )
        self._journal.landed(head)
        self._taken = True

    def _bring(self, header: SegmentHeader, body: bytes) -> None:
        try:
            self._look_for_the_end()
            if not self._is_there(header, body):
                if self._sign is not None:
                    self._put_object(signature_key(header.key), self._sign(body))
                self._put_object(header.key, body)
        except (NotRecorded, Vanished):
            raise
        except MirrorError as error:
            kind = StoreUnavailable if error.retryable else NotRecorded
            raise kind(f"{_NOT_DONE}: {header.key}: {error}") from error

    def _put_object(self, key: str, body: bytes) -> None:
        self._store.put(key, body, Sha256.of(body))
        if self._store.confirm and self._store.stat(key) is None:
            raise StoreError("it was put, and is not there")

    def _is_there(self, header: SegmentHeader, body: bytes) -> bool:
        """NotRecorded where something else lies there: a segment is written once, and nobody's is written over."""
        if self._store.stat(header.key) is None:
            return False
        if read_all(self._store, header.key, MAX_SEGMENT) == body:
            return self._sign is None or self._store.stat(signature_key(header.key)) is not None
        name = self._journal.folder.parents[1] / "machine"
        raise NotRecorded(
            f"{_NOT_DONE}: {header.key} is there already, with other acts: another machine goes by this one's name, as "
            f"a copy of its state folder does; remove {name} here, and this one gets a name of its own"
        )

    def _look_for_the_end(self) -> None:
        """Once a run: a chain whose end was removed goes on all the same, with a gap that stays to be seen.

        Vanished where nothing else is there, either: that may be the folder below a mount.
        """
        head = None if self._looked else self._journal.head()
        if head is None:
            return
        key = segment_key(head.machine, head.seq)
        if self._store.stat(key) is None:
            if not self._anew and not any(True for prefix in (HUB, BLOBS) for _ in self._store.list(prefix)):
                raise Vanished(
                    f"target {self._place.target} holds nothing, and {key} was written there: is it mounted, and is "
                    "its url right? If it was emptied on purpose: mirror-sync sync --anew"
                )
            why = f"{key} was written, and is not there any more: run mirror-sync audit --verify"
            self._tell(AuditFailed(self._place.target, "audit-cut", why))
        self._looked = True

    def _keep_states(self) -> None:
        """Only what changed here: other processes change theirs."""
        with self._turn:
            changed, self._new_states, self._states = self._new_states, {}, None
            if changed:
                kept = {**self._journal.states(), **changed}
                with suppress(OSError):
                    self._journal.keep_states({name: state for name, state in kept.items() if state})


def _header_of(segment: bytes) -> SegmentHeader:
    return SegmentHeader.decode(segment.partition(b"\n")[0])
