"""A source that asks again: after a back-off, after a rate limit, and in a transfer from where it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome import events
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import FolderUnreadable, ListedOtherwise, MirrorError, RateLimited
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.breaker import Resting
from mirror_sync.sources.wrappers.source_wrapper import Wrapper, whole

if TYPE_CHECKING:
    from tenacity import RetryCallState

_CALLED = {
    "heads": "list repos",
    "refs": "refs of {}",
    "authorize": "access to {}",
    "history": "history of {}",
    "scans": "scans of {}",
    "prove": "check the token",
}
"""What a person is told of a verb that is made again, with what it is about; others go by their names."""
_IN_VAIN = (ListedOtherwise, FolderUnreadable)  # what a wait of seconds mends in no case
_PAGE = 1000  # files that are held
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is made at most, and how long to wait between; waits in seconds.

    `longest_limit` bounds what a rate limit may ask for: rather than hold a worker longer, the call fails. The Hub's
    windows last 300 s. The attempts last longer than a breaker's span, so that calls that fail in an outage find it
    open, and wait for it to close: while the outage is younger than `patience`, counted from its first failure and
    for all calls together. Later calls fail at once, and a run that meets a long outage comes to its end.
    """

    attempts: int = 7
    first_wait: float = 0.5
    longest_wait: float = 60.0
    longest_limit: float = 310.0
    patience: float = 120.0
    shortest_wait: float = 0.25

    def wait(self, attempt: int, error: BaseException | None, chance: float) -> float:
        """Before the attempt after `attempt` (from 1). `chance` in [0, 1) spreads workers that failed together."""
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after + chance
        full = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return full * (1 + chance) / 2

    def outlasts(self, rest: Resting, waited: float) -> bool:
        """Whether to wait for the end of an outage, of which this call has waited for so many seconds."""
        return max(rest.silent, waited) + rest.wait <= self.patience

    def allows(self, error: BaseException) -> bool:
        """Whether the same call may succeed later, soon enough."""
        if isinstance(error, RateLimited) and (error.retry_after or 0) > self.longest_limit:
            return False
        return isinstance(error, MirrorError) and error.retryable and not isinstance(error, _IN_VAIN)


class RetryingSource(Wrapper):
    """Repeats the calls of another source while its errors are retryable; then the last error leaves.

    `sleep` takes seconds and may raise Interrupted; `random` gives numbers in [0, 1).
    """

    def __init__(
        self,
        source: Source,
        policy: RetryPolicy,
        tell: Observer,
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        super().__init__(source)
        self._policy, self._tell, self._sleep, self._random = policy, tell, sleep, random

    def around(self, verb: str, call: Callable[[Source], _T], about: object = "") -> _T:
        """A list is read whole before the first of it is given, so that a repeated call repeats nothing."""
        what = _CALLED.get(verb, f"{verb} {{}}").format(about)
        return self.again(what, lambda: whole(call(self._source)))

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """A list that breaks is read again, and goes on behind what has come of it; attempts count anew from there."""
        return _going_on(lambda: self._source.list(repo, commit), partial(self.again, f"list {repo}"))

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """A stream that opens again at the byte it has reached; attempts count anew after every byte that came."""
        end = min(file.size if stop is None else stop, file.size)

        def reopen(position: int) -> AbstractContextManager[ByteStream]:
            return self._source.fetch(repo, commit, file, position, end)

        def again(error: MirrorError, call: Callable[[], int]) -> int:
            return self._repeat(f"fetch {repo} {plain(file.path)}", _after(error, call))

        return _Resuming(reopen, start, again)

    def again(self, what: str, call: Callable[[], _T]) -> _T:
        """Make a call, also one that is no verb of the port; `what` is told of it where it fails.

        The machinery of repeating is too dear for each of many calls: it begins where the first one has failed.
        """
        try:
            return call()
        except MirrorError as error:
            return self._repeat(what, _after(error, call))

    def _patiently(self, what: str, call: Callable[[], _T]) -> _T:
        """The call, once its upstream is asked at all. A rest is no attempt: nothing was asked."""
        waited, rests = 0.0, 0
        while True:
            try:
                return call()
            except Resting as rest:
                if not self._policy.outlasts(rest, waited):
                    raise
                rests += 1
                wait = rest.wait + self._policy.shortest_wait * (1 + self._random())  # not all at the same moment
                if rests == 1:
                    self._tell(events.Retrying(what, rest.code, str(rest), rests, wait))
                self._sleep(wait)
                waited += wait

    def _repeat(self, what: str, call: Callable[[], _T]) -> _T:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt  # dear, and hardly ever needed

        def wait(state: RetryCallState) -> float:
            return self._policy.wait(state.attempt_number, _error_of(state), self._random())

        def tell(state: RetryCallState) -> None:
            error = _error_of(state)
            code = error.code if isinstance(error, MirrorError) else "error"
            self._tell(events.Retrying(what, code, str(error), state.attempt_number, state.upcoming_sleep))

        again = Retrying(
            stop=stop_after_attempt(self._policy.attempts),
            wait=wait,
            retry=retry_if_exception(self._policy.allows),
            before_sleep=tell,
            sleep=self._sleep,
            reraise=True,
        )
        return again(lambda: self._patiently(what, call))


def _going_on(
    begin: Callable[[], Iterator[RemoteFile]], again: Callable[[Callable[[], list[RemoteFile]]], list[RemoteFile]]
) -> Iterator[RemoteFile]:
    """The files of a list that is begun again where it breaks. ListedOtherwise where that is another list by then."""
    files: Iterator[RemoteFile] | None = None
    came = mark = 0  # how many files, and what tells them from others

    def read() -> list[RemoteFile]:
        nonlocal files
        try:
            if files is None:
                files = _behind(begin(), came, mark)
            return [*islice(files, _PAGE)]
        except MirrorError:
            files = None
            raise

    while page := again(read):
        mark = _mark(mark, page)
        came += len(page)
        yield from page


def _behind(files: Iterator[RemoteFile], came: int, mark: int) -> Iterator[RemoteFile]:
    """What comes after the first `came` files, when these are the same as before."""
    passed = seen = 0
    while passed < came and (page := [*islice(files, min(_PAGE, came - passed))]):
        seen = _mark(seen, page)
        passed += len(page)
    if (passed, seen) != (came, mark):
        raise ListedOtherwise("a list of files that broke was given otherwise when it was asked for again")
    yield from files


def _mark(mark: int, page: Iterable[RemoteFile]) -> int:
    for file in page:
        mark = hash((mark, file))
    return mark


class _Resuming(AbstractContextManager[ByteStream]):
    """A stream over other streams, each from where the one before broke."""

    def __init__(
        self,
        reopen: Callable[[int], AbstractContextManager[ByteStream]],
        position: int,
        again: Callable[[MirrorError, Callable[[], int]], int],
    ) -> None:
        """`again` makes a call anew whose first try has failed with an error."""
        self._reopen, self._position, self._again = reopen, position, again
        self._stream: ByteStream | None = None
        self._opened: AbstractContextManager[ByteStream] | None = None

    def __enter__(self) -> ByteStream:
        try:
            self._open()
        except MirrorError as error:
            self._again(error, self._open)
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop()

    def readinto(self, buffer: memoryview) -> int:
        try:
            count = self._read(buffer)
        except MirrorError as error:
            count = self._again(error, lambda: self._read(buffer))
        self._position += count
        return count

    def _read(self, buffer: memoryview) -> int:
        if self._stream is None:
            self._open()
        assert self._stream is not None  # noqa: S101  for the type checker: _open has set it
        try:
            return self._stream.readinto(buffer)
        except MirrorError:
            self._drop()
            raise

    def _open(self) -> int:
        opened = self._reopen(self._position)
        self._stream = opened.__enter__()
        self._opened = opened
        return 0

    def _drop(self) -> None:
        opened, self._opened, self._stream = self._opened, None, None
        if opened is not None:
            opened.__exit__(None, None, None)


def _after(error: MirrorError, call: Callable[[], _T]) -> Callable[[], _T]:
    """The call whose first attempt has failed already."""
    failed = [error]

    def again() -> _T:
        if failed:
            raise failed.pop()
        return call()

    return again


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
