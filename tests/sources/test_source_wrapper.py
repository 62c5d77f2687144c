"""A wrapper passes every verb of the port; what it does to calls it does to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import NoSuchCall
from mirror_sync.ports.source import Bytes, Catalogue, Source
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.limited import LimitedSource
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from mirror_sync.sources.wrappers.source_wrapper import Wrapper
from tests.sources.reading import TINY, Steps, fill_directory, published

T = TypeVar("T")
VERBS = {verb for half in (Catalogue, Bytes) for verb in vars(half) if not verb.startswith("_")}
ASK_NOBODY = {"budget", "distrust", "speeds"}
TINY_PATTERN = RepoPattern.parse("acme/tiny")


class Noting(Wrapper):
    """Notes what goes through it."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.noted: list[tuple[str, object]] = []

    def around(self, verb: str, call: Callable[[Source], T], about: object = "") -> T:
        self.noted.append((verb, about))
        return super().around(verb, call, about)


class Least(DirectorySource):
    """An upstream that has the verbs which all must have, and of the others what the port answers."""

    heads, refs, authorize = Source.heads, Source.refs, Source.authorize
    history, prove, budget = Source.history, Source.prove, Source.budget


@pytest.fixture
def folder(tmp_path: Path) -> DirectorySource:
    fill_directory(tmp_path)
    return DirectorySource(tmp_path)


def test_every_verb_goes_through_around_but_the_bytes_and_what_asks_nobody(folder: DirectorySource) -> None:
    source = Noting(folder)
    commit, files = published(source)
    assert [found.queried for found in source.search(TINY_PATTERN) if isinstance(found, Resolved)] == [TINY]
    source.heads([TINY])
    source.refs(TINY)
    source.authorize(repo=TINY)
    assert source.history(TINY, commit) == folder.history(TINY, commit)
    with pytest.raises(NoSuchCall):
        source.scans(TINY, commit, [])
    assert source.prove() is TokenStatus.UNPROVEN
    assert source.budget() == {}
    assert source.attested(TINY, commit) is None
    source.forget_lists([TINY])
    source.distrust(TINY, commit, files["config.json"])
    with source.fetch(TINY, commit, files["config.json"]):
        pass
    assert {verb for verb, _ in source.noted} == VERBS - ASK_NOBODY - {"fetch"}
    assert dict(source.noted)["refs"] == TINY


def every_wrapper(source: Source) -> Iterator[Source]:
    yield RetryingSource(source, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    yield ConnectedSource(source, [Connections(1, lambda: None)])
    yield LimitedSource(source, [Limiter(Bandwidth(10**12), Timing(Steps()))])
    yield FailoverSource([source])


def test_every_wrapper_has_every_verb_of_the_port(folder: DirectorySource) -> None:
    for source in every_wrapper(folder):
        assert isinstance(source, Wrapper)
        assert set(dir(type(source))) >= VERBS
        assert not [verb for verb in VERBS if getattr(type(source), verb) is getattr(Source, verb)]


def test_what_an_upstream_does_not_know_the_port_answers_through_every_wrapper(folder: DirectorySource) -> None:
    least = Least(folder._root)
    commit = least.resolve(TINY, "main").commit
    for source in (least, *every_wrapper(least)):
        assert source.heads([TINY]).found == ()
        assert source.budget() == {}
        assert source.prove() is TokenStatus.UNPROVEN
        scans = partial(source.scans, commit=commit, paths=[])
        for ask in (source.refs, source.authorize, partial(source.history, commit=commit), scans):
            with pytest.raises(NoSuchCall, match=r"DirectorySource.* tells no .* acme/tiny"):
                ask(TINY)


@pytest.mark.parametrize("stop", ["list", "search"])
def test_who_stops_in_the_midst_of_a_list_holds_no_connection(folder: DirectorySource, stop: str) -> None:
    source = ConnectedSource(folder, [Connections(1, lambda: None)])
    commit = source.resolve(TINY, "main").commit
    items: Iterator[object] = source.list(TINY, commit) if stop == "list" else source.search(TINY_PATTERN)
    next(items)
    del items  # a list of files is too long to be held, and has its place until it is left
    assert source.resolve(TINY, "main").commit == commit
