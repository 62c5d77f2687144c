"""A catalogue whose publication died or was refused is made good by the next one, and never leads astray."""

from __future__ import annotations

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.errors import Interrupted, StoreUnavailable
from tests.catalogue.shelves import ALWAYS, Machine, Memory, filled


def dying(store: Memory, at: int) -> None:
    """From its object number `at` on the store takes nothing of the catalogue."""
    left = [at]

    def refuse(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("site/"):
            left[0] -= 1
            if left[0] <= 0:
                raise StoreUnavailable("503")

    store.before = refuse


@pytest.mark.parametrize("at", range(1, 10))
def test_a_death_between_two_objects_is_mended_by_the_next_run(at: int) -> None:
    store = Memory()
    filled(store)
    dying(store, at)
    machine = Machine(store)
    with pytest.raises(StoreUnavailable):
        machine.publish()
    store.before = lambda verb, key: None
    machine.publish()
    store.put_keys.clear()
    Machine(store).publish(anew=True)
    assert set(store.put_keys) <= ALWAYS


@pytest.mark.parametrize("at", range(1, 10))
def test_no_page_leads_to_one_that_is_not_there_whenever_it_dies(at: int) -> None:
    store = Memory()
    filled(store)
    dying(store, at)
    with pytest.raises(StoreUnavailable):
        Machine(store).publish()
    if "index.html" in store.site:
        assert {f"models/acme--m{number}.html" for number in range(3)} <= store.site.keys()
        assert any(name.startswith("assets/") for name in store.site)


def test_who_is_asked_to_stop_stops_between_two_pages() -> None:
    store = Memory()
    filled(store)

    def stop() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        Machine(store, go_on=stop).publish()
    assert not store.site


def test_a_repo_that_cannot_be_read_is_counted_and_keeps_its_page(store: Memory) -> None:
    repos = filled(store)
    machine = Machine(store)
    machine.publish()
    page = store.site["models/acme--m0.html"]
    commit = repos[0].publish({"README.md": b"new"})
    del store.objects[blob_key(repos[0].root(commit))]
    store.objects[refs_key(repos[1].repo)] = b"not json", 2.0
    sheets = machine.publish()
    assert sheets.unread == 2
    assert store.site["models/acme--m0.html"] == page
    assert "models/acme--m1.html" in store.site
