"""A target that does not answer, or ceases to, ends its own verify and no other's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from mirror_sync.domain.keys import blob_of
from mirror_sync.engine.verify import Verification
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports import ByteStream, Stat
from tests.engine.machines import Clock, Machine, Shelf, Upstream, View
from tests.engine.workshop import job

ACME = job("acme/x", workers=1)
COUNT = 300


class Dead(View):
    """A target that is off."""

    def list(self, prefix: str) -> Iterator[Stat]:
        raise StoreUnavailable("it does not answer")


class Busy(View):
    """Gives its documents, and refuses every file, which are all shorter."""

    refused = 0

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        if blob_of(key) and len(self.shelf.objects[key][0]) < 5:
            self.refused += 1
            raise StoreUnavailable("503 SlowDown")
        return super().read(key, start, stop)


def beside(first: type[View]) -> tuple[Machine, View]:
    """A machine with two targets of the same contents, of which the first is of a kind of its own."""
    clock, upstream = Clock(), Upstream()
    shelf = Shelf(clock)
    machine = Machine(upstream, shelf)
    upstream.commit("acme/x", {f"f{number}": b"%d" % number for number in range(COUNT)})
    machine.sync(ACME)
    target, view = machine.site.targets["bucket"], first(shelf)
    machine.site = replace(
        machine.site, targets={"a": replace(target, name="a", store=view), "b": replace(target, name="b")}
    )
    return machine, view


def test_a_target_that_does_not_answer_keeps_no_other_from_being_verified() -> None:
    machine, _ = beside(Dead)
    lost = next(key for key, (body, _) in machine.view.shelf.objects.items() if body == b"7")
    del machine.view.shelf.objects[lost]
    report = Verification(machine.site, jobs=[ACME]).run()
    assert not report.ok
    (silent,) = report.unreadable
    assert (silent.target, silent.kind, silent.repo) == ("a", None, "")
    assert silent.problem == "not verified to its end: it does not answer"
    assert [(fault.target, fault.path) for fault in report.faults] == [("b", "f7")]
    assert report.targets == ("b",)


def test_a_target_that_gives_nothing_any_more_is_not_asked_for_all_of_it() -> None:
    machine, view = beside(Busy)
    report = Verification(machine.site, jobs=[ACME]).run()
    assert isinstance(view, Busy)
    assert view.refused <= 64 * 3, "a batch, three times each"
    assert report.targets == ("b",)
    *blobs, ended = report.unreadable
    assert len(blobs) == 16
    assert ended.kind is None
    assert "it refused 16 reads in a row" in ended.problem
