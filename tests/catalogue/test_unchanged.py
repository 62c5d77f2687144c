"""What one repo more that has not changed costs a publication, counted and not timed: reads, rendered pages, calls.

A bound is a fifth above what was counted. Who raises one has seen by docs/lab/scale.md what for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import refs_key
from tests.call_counter import calls_counted
from tests.catalogue.shelves import ALWAYS, Machine, Memory, filled, line

FEW, MANY = 40, 104  # repos
CALLS = 134  # in our code, for each repo more
KINDS = pytest.mark.parametrize("tells", [True, False], ids=["bucket", "directory"])


def counted(machine: Machine) -> Counter[str]:
    """The calls of our code in one more publication."""
    with calls_counted() as found:
        machine.publish()
    return found


def published(repos: int, *, tells: bool, times: int) -> Machine:
    """A machine that has published so many repos so often; all of them were there for an hour."""
    store = Memory(tells=tells)
    filled(store, repos)
    machine = Machine(store, lines=tuple(line(f"acme/m{number}") for number in range(repos)))
    machine.at += timedelta(hours=1)
    for _ in range(times):
        machine.publish()
    return machine


@KINDS
def test_a_repo_that_has_not_changed_is_neither_read_nor_rendered_nor_put(tells: bool) -> None:
    """A directory's list tells no digest: what lies there is read once after it was written, and then no more."""
    gets, calls = [], []
    for repos in (FEW, MANY):
        machine = published(repos, tells=tells, times=2)
        with machine.store.counted() as asked:
            found = counted(machine)
        assert found["repo_page"] == found["Refs.decode"] == found["Root.decode"] == 0
        assert set(machine.store.put_keys) <= ALWAYS
        gets.append(asked["get"] + asked["stat"])
        calls.append(sum(found.values()))
    assert gets[0] == gets[1]
    assert (calls[1] - calls[0]) / (MANY - FEW) <= CALLS


@KINDS
def test_a_page_that_was_put_is_known_at_the_next_publication(tells: bool) -> None:
    machine = published(FEW, tells=tells, times=1)
    assert counted(machine)["repo_page"] == 0


def test_lines_of_jobs_that_are_ours_are_not_read_from_status_json() -> None:
    machine = published(FEW, tells=True, times=1)
    assert counted(machine)["_line"] == FEW  # as they are written


def test_a_refs_json_that_another_machine_wrote_is_noticed_where_lists_tell_no_digest() -> None:
    store = Memory(tells=False)
    [repo] = filled(store, 1)
    machine = Machine(store)
    machine.at += timedelta(hours=1)
    machine.publish()
    machine.publish()
    before = store.objects[refs_key(repo.repo)]
    repo.refs = replace(repo.refs, refs=(), snapshots={})
    repo.publish({"README.md": b"jello", "weights.bin": b"w" * 2000})
    assert len(store.objects[refs_key(repo.repo)][0]) == len(before[0])
    machine.publish()
    [commit] = repo.refs.snapshots
    assert commit.encode() in store.site["models/acme--m0.html"]


def test_what_was_written_a_moment_ago_is_read_again_since_clocks_count_in_steps() -> None:
    """Of a file with a time that is not past yet, no time is remembered: the next change may have the same."""
    store = Memory(tells=False)
    [repo] = filled(store, 1)
    machine = Machine(store)
    body, _ = store.objects[refs_key(repo.repo)]
    store.objects[refs_key(repo.repo)] = body, (machine.at + timedelta(minutes=1)).timestamp() - 1
    machine.publish()
    with store.counted() as asked:
        machine.at -= timedelta(minutes=1)
        machine.publish()
    assert asked["get"] >= 1
    assert any(key == refs_key(repo.repo) for key in gets(machine))


def gets(machine: Machine) -> list[str]:
    """What one more publication reads, at the very moment of the last."""
    asked: list[str] = []
    machine.store.before = lambda verb, key: asked.append(key) if verb == "get" else None
    machine.at -= timedelta(minutes=1)
    machine.publish()
    return asked
