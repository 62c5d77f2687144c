"""A target that does not answer, or ceases to, ends its own verify and no other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_of
from mirror_sync.domain.outcome.events import Event
from mirror_sync.engine.upkeep.verify import Verification
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat
from tests.engine.machines import Clock, Machine, Shelf, Upstream, View
from tests.engine.test_verify_scope import Page
from tests.engine.workshop import job

ACME = job("acme/x", workers=1)
COUNT = 300
IN_ORDER = sorted(b"%d" % number for number in range(COUNT))  # of a walk
FIRST, BAD = frozenset(IN_ORDER[:90]), frozenset(IN_ORDER[90:190])


class Dead(View):
    """A target that is off."""

    def list(self, prefix: str) -> Iterator[Stat]:
        raise StoreUnavailable("it does not answer")


class Busy(View):
    """Gives nothing any more once it was asked for a file."""

    refused = 0

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        if self.refused or is_file(self, key):
            self.refused += 1
            raise StoreUnavailable("503 SlowDown")
        return super().read(key, start, stop)


class BadStretch(View):
    """Refuses some files for good, and nothing else."""

    error: type[StoreError] = StoreUnavailable

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        if is_file(self, key) and self.shelf.objects[key][0] in BAD:
            raise self.error("it cannot be read")
        return super().read(key, start, stop)


class DeniedStretch(BadStretch):
    error = StoreDenied


class Ceasing(View):
    """Gives a first part of the files, and nothing more but the refs.json once it was asked for another."""

    ceased = False

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        is_given = is_file(self, key) and self.shelf.objects[key][0] in FIRST
        self.ceased |= is_file(self, key) and not is_given
        if self.ceased and blob_of(key) and not is_given:
            raise StoreUnavailable("503 SlowDown")
        return super().read(key, start, stop)


class BadNames(View):
    """Cannot read the refs.json of the first repos."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        if "acme--a" in key:
            raise StoreUnavailable("it cannot be read")
        return super().read(key, start, stop)


def is_file(view: View, key: str) -> bool:
    """All files are shorter than any document."""
    return blob_of(key) is not None and len(view.shelf.objects.get(key, (b"is gone", 0))[0]) < 5


def beside(first: type[View]) -> tuple[Machine, View]:
    """A machine with two targets of the same contents, of which the first is of a kind of its own."""
    clock, upstream = Clock(), Upstream()
    shelf = Shelf(clock)
    machine = Machine(upstream, shelf)
    upstream.commit("acme/x", {f"f{number}": b"%d" % number for number in range(COUNT)})
    machine.sync(ACME)
    target, view = machine.context.targets["bucket"], first(shelf)
    machine.context = replace(
        machine.context, targets={"a": replace(target, name="a", store=view), "b": replace(target, name="b")}
    )
    return machine, view


def test_a_target_that_does_not_answer_keeps_no_other_from_being_verified() -> None:
    machine, _ = beside(Dead)
    lost = next(key for key, (body, _) in machine.view.shelf.objects.items() if body == b"7")
    del machine.view.shelf.objects[lost]
    report = Verification(machine.context, jobs=[ACME]).run()
    assert not report.ok
    (silent,) = report.unreadable
    assert (silent.target, silent.kind, silent.repo) == ("a", None, "")
    assert silent.problem == "not verified to its end: it does not answer"
    assert [(fault.target, fault.path) for fault in report.faults] == [("b", "f7")]
    assert report.targets == ("b",)


def test_a_target_that_gives_nothing_any_more_is_not_asked_for_all_of_it() -> None:
    machine, view = beside(Busy)
    report = Verification(machine.context, jobs=[ACME]).run()
    assert isinstance(view, Busy)
    assert view.refused <= 64 * 3 + 3, "a batch and one document, three times each"
    assert report.targets == ("b",)
    *blobs, ended = report.unreadable
    assert len(blobs) == 16
    assert ended.kind is None
    assert "it refused 16 reads in a row" in ended.problem


@pytest.mark.parametrize("kind", [BadStretch, DeniedStretch])
def test_what_lies_behind_a_stretch_that_cannot_be_read_is_verified(kind: type[View]) -> None:
    machine, view = beside(kind)
    (lost,) = (key for key, (body, _) in view.shelf.objects.items() if body == IN_ORDER[-1])
    del view.shelf.objects[lost]
    report = Verification(machine.context, jobs=[ACME]).run()
    assert report.targets == ("a", "b")
    assert [(fault.target, fault.path) for fault in report.faults] == [("a", "f99"), ("b", "f99")]
    assert {fault.path for fault in report.unreadable} == {f"f{body.decode()}" for body in BAD}
    assert not report.ok


def test_a_stretch_of_refs_that_cannot_be_read_at_the_beginning_hides_no_repo_behind_it() -> None:
    clock, upstream = Clock(), Upstream()
    machine = Machine(upstream, Shelf(clock))
    names = [*(f"acme/a{number:02}" for number in range(20)), "acme/z"]
    for name in names:
        upstream.commit(name, {"f": name.encode()})
        machine.sync(job(name, workers=1))
    target = machine.context.targets["bucket"]
    context = replace(machine.context, targets={"bucket": replace(target, store=BadNames(machine.view.shelf))})
    report = Verification(context).run()
    assert report.targets == ("bucket",)
    assert {fault.repo for fault in report.unreadable} == set(names[:-1])
    assert report.snapshots == 1


def test_a_resumed_verify_counts_once_beside_a_target_that_was_given_up() -> None:
    machine, _ = beside(Ceasing)
    whole = Verification(machine.context).run()
    machine, _ = beside(Ceasing)
    page = Page()

    def stop_in_the_second(event: Event) -> None:
        if page.text and json.loads(page.text)["target"] == "b":
            machine.context.stop.set()

    assert Verification(replace(machine.context, tell=stop_in_the_second), checkpoint=page).run().interrupted
    assert json.loads(page.text)["position"] in (64, 128)
    machine.context.stop.clear()
    resumed = Verification(machine.context, checkpoint=page).run()
    assert resumed == replace(whole, resumed=True)
    assert resumed.targets == ("b",)
    assert not Verification(machine.context, checkpoint=page).run().resumed
