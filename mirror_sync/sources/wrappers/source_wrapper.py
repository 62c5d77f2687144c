"""What every wrapper of a source is made of: all verbs of the port, each through one method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from operator import methodcaller
from typing import Any, TypeVar, cast

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.upstream import BudgetState, Found, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Catalogue, Source

_T = TypeVar("_T")


class Wrapper(Source):
    """A source over another one, to which it passes every verb.

    What a wrapper does to calls, it does in `around`; `fetch`, whose bytes come after the call, it overrides. Verbs for
    which the port has an answer of its own are added below, so that a new one of these needs no line in any wrapper.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def around(self, verb: str, call: Callable[[Source], _T], about: object = "") -> _T:
        """Make the call of a verb, which may be made again, at `self._source`; `about` is its first argument."""
        return call(self._source)

    def search(self, sought: Sought) -> Iterator[Found]:
        return self.around("search", lambda source: source.search(sought), sought)

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        return self.around("resolve", lambda source: source.resolve(repo, revision), repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        return self.around("list", lambda source: source.list(repo, commit), repo)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._source.fetch(repo, commit, file, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """Not through `around`, since it asks nobody; so with `budget` and `speeds`."""
        self._source.distrust(repo, commit, file)

    def budget(self) -> Mapping[str, BudgetState]:
        return self._source.budget()

    def speeds(self) -> Mapping[str, WayPace]:
        return self._source.speeds()


def whole(answer: _T) -> _T:
    """The same answer, all of it here: a list that still comes is read to its end, within the call that brings it."""
    return cast("_T", iter([*answer])) if isinstance(answer, Iterator) else answer


def _passed(verb: str) -> Callable[..., Any]:
    def ask(self: Wrapper, *args: Any, **named: Any) -> Any:
        return self.around(verb, methodcaller(verb, *args, **named), *args[:1])

    return ask


for _verb in vars(Catalogue):
    if not _verb.startswith("_") and _verb not in vars(Wrapper):
        setattr(Wrapper, _verb, _passed(_verb))
