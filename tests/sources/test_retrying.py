"""RetryingSource repeats what may succeed later, waits as it was told, and resumes transfers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, GitOid
from mirror_sync.domain.outcome.events import Event, Retrying
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import BadAnswer, Gated, IntegrityError, Interrupted, MirrorError, RateLimited, Unreachable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.breaker import Resting
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import FILES, TINY, Steps, fetched, fill_hub, listed, published, read
from tests.standin import Hub, faults

LARGE, SMALL = "sub/model.safetensors", "config.json"
FILE = RemoteFile(SMALL, 9, GitOid("0" * 40))
COMMIT = CommitId("0" * 40)


class Wrapped:
    """A source in a RetryingSource, with what it waited for and what it told."""

    def __init__(self, source: Source, policy: RetryPolicy | None = None, chance: float = 0.0) -> None:
        self.sleep, self.told = Steps(), list[Event]()
        self.source = RetryingSource(source, policy or RetryPolicy(), self.told.append, self.sleep, lambda: chance)


class Failing:
    """A source that raises these errors, one a call, before it answers; its stream gives a byte at a time."""

    def __init__(self, *errors: MirrorError | None) -> None:
        self.errors = [*errors]
        self.opened: list[int] = []
        self.calls = 0

    def step(self) -> None:
        self.calls += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    def authorize(self, repo: Repo) -> None:
        self.step()

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        self.opened.append(start)
        yield OneByOne(self, start, file.size if stop is None else stop)


class OneByOne:
    def __init__(self, failing: Failing, position: int, stop: int) -> None:
        self.failing, self.position, self.stop = failing, position, stop

    def readinto(self, buffer: memoryview) -> int:
        if self.position == self.stop:
            return 0
        self.failing.step()
        buffer[0] = self.position
        self.position += 1
        return 1


def failing(*errors: MirrorError | None, policy: RetryPolicy | None = None) -> tuple[Failing, Wrapped]:
    source = Failing(*errors)
    return source, Wrapped(source, policy)  # type: ignore[arg-type]  # a part of a source is enough


@pytest.fixture
def wrapped(hub: Hub, source: HubSource) -> Wrapped:
    fill_hub(hub)
    return Wrapped(source)


def test_a_call_that_fails_is_made_again_after_growing_waits(hub: Hub, wrapped: Wrapped) -> None:
    hub.faults.add(faults.status(503), times=3)
    assert wrapped.source.resolve(TINY, "main").terms.licenses == {"mit"}
    assert wrapped.sleep.waits == [0.25, 0.5, 1.0]
    assert hub.calls() == 4


def test_after_the_last_attempt_the_last_error_leaves(hub: Hub, wrapped: Wrapped) -> None:
    hub.faults.add(faults.status(503), times=6)
    hub.faults.add(faults.garbage())
    with pytest.raises(BadAnswer):
        wrapped.source.resolve(TINY, "main")
    assert (hub.calls(), len(wrapped.sleep.waits)) == (7, 6)


def test_every_repetition_is_told(hub: Hub, wrapped: Wrapped) -> None:
    hub.faults.add(faults.status(503), times=1)
    wrapped.source.refs(TINY)
    (event,) = wrapped.told
    assert isinstance(event, Retrying)
    assert (event.what, event.cause, event.attempt, event.wait) == ("refs of acme/tiny", "unreachable", 1, 0.25)
    assert hub.url in event.message


def test_a_rate_limit_is_waited_for(hub: Hub, wrapped: Wrapped) -> None:
    hub.faults.add(faults.busy(17), times=1)
    wrapped.source.authorize(TINY)
    assert wrapped.sleep.waits == [17]


def test_a_spent_window_is_waited_for(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    hub.limits.exhaust("api")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        hub.clock.advance(seconds)

    RetryingSource(source, RetryPolicy(), lambda _: None, sleep, lambda: 0.0).authorize(TINY)
    assert len(waits) == 1
    assert 1 < waits[0] <= 301


def test_a_rest_is_waited_out_told_once_and_counts_as_no_attempt() -> None:
    rests = [Resting("not asked", wait, silent) for wait, silent in ((5.0, 10.0), (0.0, 15.0), (30.0, 16.0))]
    source, wrapped = failing(*rests, policy=RetryPolicy(attempts=1))
    wrapped.source.authorize(TINY)
    assert source.calls == 4
    assert wrapped.sleep.waits == [5.25, 0.25, 30.25]
    assert [event.message for event in wrapped.told if isinstance(event, Retrying)] == ["not asked"]


def test_a_rest_beyond_the_patience_is_not_waited_for() -> None:
    for wait, silent in ((300.0, 0.0), (1.0, 120.0)):
        source, wrapped = failing(Resting("not asked", wait, silent))
        with pytest.raises(Resting):
            wrapped.source.authorize(TINY)
        assert (source.calls, wrapped.sleep.waits) == (1, [])


def test_a_rate_limit_beyond_the_policy_is_not_waited_for() -> None:
    source, wrapped = failing(RateLimited("later", 3600))
    with pytest.raises(RateLimited):
        wrapped.source.authorize(TINY)
    assert (source.calls, wrapped.sleep.waits) == (1, [])


@pytest.mark.parametrize("error", [Gated("no"), Interrupted("stop")])
def test_an_error_that_stays_is_not_repeated(error: MirrorError) -> None:
    source, wrapped = failing(error)
    with pytest.raises(type(error)):
        wrapped.source.authorize(TINY)
    assert source.calls == 1


def test_a_sleep_that_is_interrupted_ends_the_call() -> None:
    source = Failing(Unreachable("x"), Unreachable("x"))

    def sleep(_: float) -> None:
        raise Interrupted("asked to stop")

    retrying = RetryingSource(source, RetryPolicy(), lambda _: None, sleep, lambda: 0.0)  # type: ignore[arg-type]
    with pytest.raises(Interrupted):
        retrying.authorize(TINY)
    assert source.calls == 1


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_waits_grow_to_their_bound_and_differ_by_chance(chance: float) -> None:
    policy = RetryPolicy(first_wait=1, longest_wait=10)
    waits = [policy.wait(attempt, Unreachable("x"), chance) for attempt in range(1, 10)]
    assert waits == sorted(waits)
    assert 0.5 <= waits[0] < 1
    assert 5 <= waits[-1] < 10


def test_a_listing_that_breaks_is_read_again_without_repeating_a_file(hub: Hub, wrapped: Wrapped) -> None:
    hub.behaviour.tree_page = 2
    commit, _ = published(wrapped.source)
    hub.faults.add(faults.status(503), "*/tree/*", skip=1, times=1)
    paths = [file.path for file in wrapped.source.list(TINY, commit)]
    assert sorted(paths) == sorted(FILES)
    assert len(wrapped.sleep.waits) == 1


def test_a_search_that_breaks_is_made_again_without_repeating_a_repo(hub: Hub, wrapped: Wrapped) -> None:
    hub.behaviour.list_page = 1
    hub.faults.add(faults.refuse(), "/api/models", skip=1, times=1)
    found = [each.queried.id for each in listed(wrapped.source, "acme/*")]
    assert sorted(found) == ["acme/second", "acme/tiny"]


def test_a_broken_transfer_goes_on_from_the_byte_it_reached(hub: Hub, wrapped: Wrapped) -> None:
    commit, files = published(wrapped.source)
    hub.log.clear()
    hub.faults.add(faults.cut(3_000_000), origin="cdn", times=3)
    assert fetched(wrapped.source, TINY, commit, files[LARGE]) == FILES[LARGE].read()
    ranges = [record.range for record in hub.log.records(origin="cdn")]
    assert ranges[0] is None
    assert len(ranges) == 4
    assert [int((text or "").split("=")[1].split("-")[0]) for text in ranges[1:]] == [3_000_000, 6_000_000, 9_000_000]
    assert hub.log.records(origin="cdn")[-1].sent == FILES[LARGE].size - 9_000_000


def test_a_range_goes_on_within_itself(hub: Hub, wrapped: Wrapped) -> None:
    commit, files = published(wrapped.source)
    hub.faults.add(faults.cut(10), origin="cdn", times=1)
    assert fetched(wrapped.source, TINY, commit, files[LARGE], 100, 200) == FILES[LARGE].read(100, 200)
    assert hub.log.records(origin="cdn")[-1].range == "bytes=110-199"


def test_attempts_count_anew_after_every_byte() -> None:
    errors = [Unreachable("cut")] * 2
    source, wrapped = failing(*errors, None, *errors, None, *errors, policy=RetryPolicy(attempts=3))
    with wrapped.source.fetch(TINY, COMMIT, FILE) as stream:
        assert read(stream) == bytes(range(9))
    assert source.opened == [0, 0, 0, 1, 1, 2, 2]


def test_a_transfer_that_does_not_move_is_given_up() -> None:
    source, wrapped = failing(None, *[Unreachable("cut")] * 9, policy=RetryPolicy(attempts=3))
    with pytest.raises(Unreachable), wrapped.source.fetch(TINY, COMMIT, FILE) as stream:
        read(stream)
    assert source.opened == [0, 1, 1]


def test_a_file_that_has_changed_is_tried_again_at_opening(hub: Hub, wrapped: Wrapped) -> None:
    commit, files = published(wrapped.source)
    rule = hub.faults.add(lambda _, answer: answer.having({"X-Linked-Size": "1"}), "/acme/*", times=1)
    assert len(fetched(wrapped.source, TINY, commit, files[LARGE])) == files[LARGE].size
    rule.times = None
    with pytest.raises(IntegrityError):
        fetched(wrapped.source, TINY, commit, files[LARGE])


def test_a_stream_that_is_left_early_lets_go_of_its_connection(hub: Hub, wrapped: Wrapped) -> None:
    commit, files = published(wrapped.source)
    with wrapped.source.fetch(TINY, commit, files[LARGE]) as stream:
        stream.readinto(memoryview(bytearray(5)))
    assert fetched(wrapped.source, TINY, commit, files[LARGE]) == FILES[LARGE].read()
