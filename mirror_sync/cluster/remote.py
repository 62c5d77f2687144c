"""What a worker has of its coordinator: the notes, index, looks and flights of the work item's target, from afar."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from mirror_sync.cluster.attempt import Attempt
from mirror_sync.cluster.messages import Claim, Claimed, Indexed, Lookup, Noted, Recall, Released, Remembered
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.engine.single_flight import SingleFlight, StoredContent
from mirror_sync.engine.sync.repo_sync import JobRun
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.memory import FINDINGS, UploadNote

_AT_ONCE = 500  # git ids in one question
_WORTH = 8 * 1024 * 1024  # bytes; for a smaller content two workers may be on the way at once
_PAUSE = 0.5  # seconds between two tries for a content that another worker brings


def remote_job_run(job_run: JobRun, attempt: Attempt, actor: Actor) -> JobRun:
    """This job run for one attempt: its pools, sources, stores and memory are shared with all others.

    The audit is the worker's own: it does what is done, for the `actor` of the coordinator.
    """
    context = replace(job_run.context, tell=attempt.tell, stop=attempt.stop, actor=actor)
    single_flight = RemoteSingleFlight(job_run.target.single_flight, attempt)
    notes, index, looks = RemoteNotes(attempt), RemoteIndex(attempt), RemoteReadCache(attempt)
    target = replace(job_run.target, notes=notes, index=index, read_cache=looks, single_flight=single_flight)
    return job_run.at(context, target, job_run.jobs)


class RemoteNotes:
    """Implements `ports.UploadNotes` by those of the coordinator: a claim holds for all workers."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._found: dict[str, UploadNote | None] = {}

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        answer = self._attempt.ask(Claim(key))
        if not isinstance(answer, Claimed) or not answer.mine:
            yield False
            return
        self._found[key] = answer.note
        try:
            yield True
        finally:
            self._found.pop(key, None)
            self._attempt.say(Released(key))

    def load(self, key: str) -> UploadNote | None:
        """What came with the claim; nothing is known of other keys."""
        return self._found.get(key)

    def save(self, key: str, note: UploadNote) -> None:
        self._attempt.say(Noted(key, note))

    def forget(self, key: str) -> None:
        self._attempt.say(Noted(key, None))

    def stale(self, older_than: float) -> tuple[str, ...]:
        return ()  # the coordinator sweeps


class RemoteIndex:
    """Implements `ports.ContentIndex` by the coordinator's, which it has made complete.

    `known` raises StoreUnavailable where that does not answer.
    """

    complete = True

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def known(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        found: dict[GitOid, Sha256] = {}
        wanted = list(oids)
        for start in range(0, len(wanted), _AT_ONCE):
            answer = self._attempt.ask(Lookup(tuple(wanted[start : start + _AT_ONCE]), proved))
            if not isinstance(answer, Mapping):
                raise StoreUnavailable("the coordinator does not answer what it knows by git id")
            found.update(answer)
        return found

    def remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        self._attempt.say(Indexed(dict(pairs), proved))

    def mark_complete(self) -> None:
        pass


class RemoteReadCache:
    """Implements `ports.ReadCache` by those of the coordinator, who looks at the repo in the next run."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def recall(self, name: str, version: str) -> bytes | None:
        """A worker compares with what is there; what was found in files is asked for."""
        answer = self._attempt.ask(Recall(name, version)) if name.startswith(FINDINGS) else None
        return answer if isinstance(answer, bytes) else None

    def remember(self, name: str, version: str, body: bytes) -> None:
        self._attempt.say(Remembered(name, version, body))

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        """Nothing: a worker has one repo."""
        return {}

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        for name, (version, body) in kept.items():
            self.remember(name, version, body)


class RemoteSingleFlight(SingleFlight):
    """Flights that take off once among all workers, where the content is worth the question."""

    def __init__(self, here: SingleFlight, attempt: Attempt) -> None:
        super().__init__()
        self._here, self._attempt = here, attempt

    def share(
        self,
        content: Content,
        bring: Callable[[], StoredContent],
        is_there: Callable[[StoredContent], bool] = lambda stored: True,
    ) -> tuple[StoredContent, bool]:
        if content.size < _WORTH or not isinstance(content.promise, Sha256):
            return self._here.share(content, bring, is_there)
        brought = False
        expected = StoredContent(content.promise)

        def alone() -> StoredContent:
            nonlocal brought
            with self._turn(f"flight {content.promise}") as waited:
                if waited and is_there(expected):
                    return expected
                brought = True
                return bring()

        stored, mine = self._here.share(content, alone, is_there)
        return stored, mine and brought

    def forget_landed(self) -> None:
        self._here.forget_landed()

    def enter(self, epoch: Hashable) -> None:
        self._here.enter(epoch)

    @contextmanager
    def _turn(self, key: str) -> Iterator[bool]:
        """Whether another worker had to be waited for. Without an answer nobody is: at worst two bring the same."""
        waited = False
        while True:
            answer = self._attempt.ask(Claim(key))
            if not isinstance(answer, Claimed) or answer.mine:
                break
            waited = True
            self._attempt.stop.wait(_PAUSE)
        try:
            yield waited
        finally:
            self._attempt.say(Released(key))
