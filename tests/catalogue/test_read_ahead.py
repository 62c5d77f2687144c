"""What is remembered of many repos is asked for and written together, and is never more than a hint."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mirror_sync.catalogue.read_ahead import ReadAhead
from mirror_sync.errors import StoreUnavailable
from tests.catalogue.shelves import Machine, Memory, Remembering, filled, line


class Broken(Remembering):
    """Can be asked one by one only, and cannot be written."""

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        raise StoreUnavailable("looks.db: disk I/O error")

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        raise StoreUnavailable("looks.db: disk I/O error")


def test_inside_the_block_nothing_is_asked_and_after_it_nothing_is_held() -> None:
    looks = Remembering()
    looks.remember("a", "1", b"one")
    ahead = ReadAhead(looks)
    with ahead.fetched(["a", "b"]):
        looks.kept["a"] = "1", b"another"
        assert ahead.recall("a", "1") == b"one"
        assert ahead.recall("a", "2") is ahead.recall("b", "1") is None
    assert ahead.recall("a", "1") == b"another"


def test_what_is_remembered_is_known_at_once_and_written_together() -> None:
    looks = Remembering()
    ahead = ReadAhead(looks)
    ahead.remember("a", "1", b"one")
    assert ahead.recall("a", "1") == b"one"
    assert looks.kept == {}
    ahead.flush()
    assert looks.kept == {"a": ("1", b"one")}
    assert ahead.recall("a", "1") == b"one"


def test_a_memory_that_cannot_be_asked_or_written_costs_time_and_no_catalogue() -> None:
    store = Memory()
    filled(store, 2)
    machine = Machine(store, lines=(line("acme/m0"), line("acme/m1")), read_cache=Broken())
    machine.publish()
    machine.publish()
    assert {"models/acme--m0.html", "models/acme--m1.html"} <= set(store.site)
