"""A lock of the state folder has one holder, and who waits for it can be called away."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from mirror_sync.errors import Interrupted
from mirror_sync.state.locks import acquired, locks_of
from tests.waiting import PATIENCE


def refuse() -> None:
    raise Interrupted("called away")


def test_who_waits_is_called_away_and_leaves_the_lock_to_its_holder(tmp_path: Path) -> None:
    path = locks_of(tmp_path, "here") / "one.lock"
    with acquired(path, refuse):
        for _ in range(2):
            with pytest.raises(Interrupted):
                acquired(path, refuse)
    with acquired(path, refuse):
        pass


def test_who_waits_gets_it_when_its_holder_lets_go(tmp_path: Path) -> None:
    path, waits, has_it = locks_of(tmp_path, "here") / "one.lock", Event(), Event()

    def wait() -> None:
        with acquired(path, waits.set):
            has_it.set()

    waiting = Thread(target=wait)
    with acquired(path, refuse):
        waiting.start()
        assert waits.wait(PATIENCE)
        assert not has_it.is_set()
    waiting.join(PATIENCE)
    assert has_it.is_set()


def test_a_fault_inside_lets_go(tmp_path: Path) -> None:
    path = locks_of(tmp_path, "here") / "one.lock"
    with pytest.raises(ValueError, match="ours"), acquired(path, refuse):
        raise ValueError("ours")
    with acquired(path, refuse):
        pass


def test_targets_at_one_place_share_their_locks_and_others_do_not(tmp_path: Path) -> None:
    assert locks_of(tmp_path, "s3://one") == locks_of(tmp_path, "s3://one")
    assert locks_of(tmp_path, "s3://one") != locks_of(tmp_path, "s3://other")
