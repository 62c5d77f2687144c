"""Names that people move, beside syncs, prunes and people at other machines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from mirror_sync.domain.content.refs import PINNED, VERSIONS, Refs
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.upkeep.move_names import WantedNames, history_of, move_name
from mirror_sync.errors import StoreUnavailable
from tests.engine.machines import HOUR, Clock, Machine, Shelf, Upstream, View, expect_complete, refs_of
from tests.engine.workshop import job

X, REPO = job("acme/x", workers=1), Repo.parse("acme/x")
AT = "2026-01-01T06:00:00Z"


class Site:
    """Two machines over one target, which has three commits of x; `commits` are the oldest first."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.one, self.other = Machine(self.upstream, self.shelf), Machine(self.upstream, self.shelf)
        self.commits = [self.new_commit() for _ in range(3)]

    def twin(self) -> Site:
        """Another site in which all is as it is here."""
        other = copy(self)
        other.clock = Clock()
        other.clock.now, other.shelf = self.clock.now, Shelf(other.clock)
        other.shelf.objects.update(self.shelf.objects)
        other.one, other.other = (Machine(self.upstream, other.shelf) for _ in range(2))
        return other

    def new_commit(self) -> CommitId:
        commit = self.upstream.commit("acme/x", {"same": b"same", "f": b"%d" % len(self.upstream.commits[REPO])})
        assert self.one.sync(X).outcome == "published"
        self.clock.advance(HOUR)
        return commit

    @property
    def refs(self) -> Refs:
        return refs_of(self.shelf, "acme/x")

    @property
    def history(self) -> list[str]:
        return [move.by for move in history_of(View(self.shelf), self.refs)]


def move(
    machine: Machine, decide: Callable[[Refs], WantedNames], *, sleep: Callable[[float], None] | None = None
) -> NameMove:
    context = machine.context if sleep is None else replace(machine.context, sleep=sleep)
    return move_name(context, context.targets["bucket"], REPO, decide).move


def to(name: str, commit: CommitId, by: str) -> Callable[[Refs], WantedNames]:
    def decide(refs: Refs) -> WantedNames:
        told = NameMove(AT, name, refs.channels.get(name), commit, by, "why", "promote")
        return WantedNames(replace(refs, channels={**refs.channels, name: commit}), told)

    return decide


def back(commit: CommitId) -> Callable[[Refs], WantedNames]:
    def decide(refs: Refs) -> WantedNames:
        told = NameMove(AT, "main", refs.commit_of("main"), commit, "me", "it is bad", "rollback")
        return WantedNames(refs.moving_main(commit), told, PINNED, (PINNED,))

    return decide


def unpin(refs: Refs) -> WantedNames:
    at = refs.commit_of("main")
    return WantedNames(refs, NameMove(AT, "main", at, at, "me", "", "unpin"), dropped=(PINNED,))


def test_a_machine_that_was_written_over_writes_again_and_no_line_is_lost() -> None:
    """The other one reads, all of ours is done, then it writes what it made of what it had read."""
    site = Site()
    first, second, _ = site.commits
    held: list[tuple[str, bytes]] = []

    def hold(key: str, body: bytes) -> bool:
        held.append((key, body))
        return True

    class Slow(View):
        """Its refs.json lands later."""

        def put(self, key: str, body: bytes | bytearray | memoryview, digest: object) -> None:
            if key.endswith("refs.json") and not held and hold(key, bytes(body)):
                return
            super().put(key, body, digest)  # type: ignore[arg-type]

    target = site.other.context.targets["bucket"]
    slow = replace(site.other.context, targets={"bucket": replace(target, store=Slow(site.shelf))}, sleep=_no_wait)
    move_name(slow, slow.targets["bucket"], REPO, to("candidate", second, "other"), wait=False)

    def others_lands(seconds: float) -> None:
        site.clock.advance(seconds)
        if held[0] is not None and held[0][0]:
            key, body = held[0]
            site.shelf.objects[key] = (body, site.clock.now)
            held[0] = ("", b"")

    move(site.one, to("stable", first, "one"), sleep=others_lands)
    assert site.refs.channels == {"candidate": second, "stable": first}
    assert site.history == ["other", "one"]
    expect_complete(site.shelf)


def _no_wait(_: float) -> None:
    pass


def test_a_line_that_others_write_over_again_and_again_is_told_and_not_believed() -> None:
    site = Site()
    before = dict(site.shelf.objects)

    def all_undone(_: float) -> None:
        site.shelf.objects.update({key: one for key, one in before.items() if key.endswith("refs.json")})

    with pytest.raises(StoreUnavailable, match="another machine writes acme/x again and again"):
        move(site.one, to("stable", site.commits[0], "one"), sleep=all_undone)


def test_a_sync_keeps_bringing_what_is_new_beside_a_pinned_main_and_does_not_move_it() -> None:
    site = Site()
    first, _, third = site.commits
    move(site.one, back(first))
    assert (site.refs.commit_of("main"), PINNED in site.refs.attachments) == (first, True)
    report = site.one.sync(X)
    assert (report.outcome, report.commit) == ("unchanged", first)
    assert f"main is pinned to {first} by me on 2026-01-01: it is bad" in report.reason
    assert third in report.reason

    fourth = site.upstream.commit("acme/x", {"f": b"new"})
    for machine in (site.one, site.other):
        report = machine.sync(X)
        assert report.outcome == ("published" if machine is site.one else "unchanged"), report
        assert "main is pinned" in report.reason
        assert ("fetched" in report.reason, report.code) == (machine is site.one, "pinned")
        assert (site.refs.commit_of("main"), fourth in site.refs.snapshots) == (first, True)
    fetched = len(site.upstream.fetched)
    assert site.one.sync(X).outcome == "unchanged"
    assert len(site.upstream.fetched) == fetched

    move(site.other, unpin)
    assert site.refs.commit_of("main") == first, "the next sync moves it"
    assert site.one.sync(X).outcome == "published"
    assert (site.refs.commit_of("main"), len(site.upstream.fetched)) == (fourth, fetched)
    expect_complete(site.shelf)


def test_what_is_told_of_a_pinned_main_is_of_the_commit_that_readers_get() -> None:
    site = Site()
    first = site.commits[0]
    move(site.one, back(first))
    site.upstream.commit("acme/x", {"same": b"same", "f": b"new", "run.py": b"print()"})
    assert site.one.sync(X).outcome == "published"
    report = site.one.sync(X)
    assert (report.outcome, report.commit, report.files) == ("unchanged", first, 2)
    assert not report.assurance.code_files, "run.py is in the commit that nobody gets who asks for main"


def test_a_sync_that_was_under_way_when_main_was_pinned_leaves_it_there() -> None:
    site = Site()
    first = site.commits[0]
    fourth = site.upstream.commit("acme/x", {"f": b"new"})
    done: list[str] = []

    def pin_meanwhile(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("blobs/") and not done:
            done.append(key)
            move(site.other, back(first))

    site.one.view.before = pin_meanwhile
    report = site.one.sync(X)
    assert report.outcome == "published"
    assert f"fetched {fourth}, which is here by its id alone: main is pinned to {first}" in report.reason
    assert (site.refs.commit_of("main"), fourth in site.refs.snapshots) == (first, True)


def test_a_prune_leaves_what_a_channel_a_pin_and_a_rollback_need() -> None:
    site = Site()
    first, second, third = site.commits
    fourth, fifth = site.new_commit(), site.new_commit()
    move(site.one, to("stable", first, "one"))
    keeping = replace(X, retention=Retention(1, timedelta(0), rollbacks=1))
    site.clock.advance(100 * HOUR)
    assert site.one.prune(keeping).ok
    assert set(site.refs.snapshots) == {first, fourth, fifth}, (second, third)
    move(site.one, back(fourth))
    site.clock.advance(100 * HOUR)
    assert site.one.prune(replace(X, retention=Retention(0, timedelta(0)))).ok
    assert set(site.refs.snapshots) == {first, fourth, fifth}, "the upstream's newest, too, to which main would go"
    assert {VERSIONS, PINNED} <= site.refs.attachments.keys()
    assert site.history == ["one", "me"]
    expect_complete(site.shelf)


def test_a_lost_history_is_no_reason_not_to_roll_back_and_is_told() -> None:
    site = Site()
    move(site.one, to("stable", site.commits[0], "one"))
    digest = site.refs.attachments[VERSIONS]
    del site.shelf.objects[f"blobs/sha256/{digest[:2]}/{digest}"]
    context = site.one.context
    moved = move_name(context, context.targets["bucket"], REPO, back(site.commits[1]))
    assert (moved.anew, site.history) == (True, ["me"])
    assert read_refs(site.one.view, REPO).channels == {"stable": site.commits[0]}


def test_who_writes_over_a_line_of_another_at_each_look_is_written_over_in_turn_and_both_lines_stay() -> None:
    """Both wait at once: what the other had read before comes back twice, and each sees to its own line."""
    site = Site()
    first, second, _ = site.commits
    stale = [site.shelf.objects["hub/models/acme--x/refs.json"]] * 2

    def lands_late(seconds: float) -> None:
        site.clock.advance(seconds)
        if stale:
            body, _ = stale.pop()
            site.shelf.objects["hub/models/acme--x/refs.json"] = (body, site.clock.now)

    move(site.one, to("stable", first, "one"), sleep=lands_late)
    assert stale == []
    assert (site.refs.channels, site.history) == ({"stable": first}, ["one"])
    move(site.other, to("candidate", second, "other"))
    assert site.history == ["one", "other"]
    expect_complete(site.shelf)


RETAINING = replace(X, retention=Retention(1, timedelta(hours=1)))


def _standing_still(site: Site, decide: Callable[[Refs], WantedNames]) -> None:
    """A machine reads what is there, stands still while another prunes, and writes then.

    For so long that its notice was taken for left behind.
    """
    done: list[str] = []

    def prune_meanwhile(verb: str, key: str) -> None:
        if verb == "put" and key.endswith("refs.json") and not done:
            done.append(key)
            site.clock.advance(3 * HOUR)
            assert site.other.prune(RETAINING).ok

    site.one.view.before = prune_meanwhile
    context = site.one.context
    with pytest.raises(StoreUnavailable, match="a prune removed"):
        move_name(context, context.targets["bucket"], REPO, decide)
    assert done


@pytest.mark.parametrize("name", ["stable", "main"])
def test_what_a_prune_has_removed_before_a_machine_that_stood_still_came_to_name_it_has_no_name(name: str) -> None:
    site = Site()
    first, _, third = site.commits
    site.clock.advance(200 * HOUR)
    _standing_still(site, back(first) if name == "main" else to("stable", first, "one"))
    assert (site.refs.commit_of("main"), site.refs.channels, first in site.refs.snapshots) == (third, {}, False)
    assert PINNED not in site.refs.attachments, "nobody keeps main where it was not led"
    told = history_of(View(site.shelf), site.refs)
    assert [(one.before, one.after) for one in told][-1] == (first, third if name == "main" else None)
    assert told[-1].why == "a prune had removed what it was led to"
    expect_complete(site.shelf)
    assert site.one.sync(X).outcome == "unchanged"


def test_a_prune_at_each_step_of_a_move_leaves_what_it_names_whole() -> None:
    for step in range(40):
        site = Site()
        first = site.commits[0]
        site.clock.advance(200 * HOUR)
        passed: list[str] = []

        def act(verb: str, _key: str, step: int = step, passed: list[str] = passed, site: Site = site) -> None:
            passed.append(verb)
            if len(passed) == step + 1:
                assert site.other.prune(RETAINING).ok

        site.one.view.before = act
        context = site.one.context
        try:
            move_name(context, context.targets["bucket"], REPO, _expecting(first, to("stable", first, "one")))
            assert site.refs.channels == {"stable": first}
        except (StoreUnavailable, LookupError):
            assert site.refs.channels == {}
        expect_complete(site.shelf)
    assert len(passed) < 40, "all steps were tried"


def _expecting(commit: CommitId, decided: Callable[[Refs], WantedNames]) -> Callable[[Refs], WantedNames]:
    """As a command decides, which names nothing that is not published."""

    def decide(refs: Refs) -> WantedNames:
        if commit not in refs.snapshots:
            raise LookupError(commit)
        return decided(refs)

    return decide


class Killed(BaseException):
    """The end of a process."""


class Fate:
    """Another machine prunes before one step of ours, and we are killed before another."""

    def __init__(self, site: Site, prune: int, death: int) -> None:
        self._site, self._prune, self._death = site, prune, death
        self.steps = 0

    def __call__(self, _verb: str, _key: str) -> None:
        self.steps += 1
        if self.steps == self._prune:
            self._site.clock.advance(HOUR)
            assert self._site.other.prune(RETAINING).ok
        if self.steps >= self._death:
            raise Killed


@pytest.mark.parametrize("name", ["main", "stable"])
def test_a_move_that_is_killed_at_any_step_beside_a_prune_at_any_step_leaves_no_name_of_what_is_removed(
    name: str,
) -> None:
    began = Site()
    first = began.commits[0]
    began.clock.advance(200 * HOUR)
    decide = _expecting(first, back(first) if name == "main" else to("stable", first, "one"))
    steps, tried = _steps_of_a_move(began.twin(), decide, NEVER, NEVER), 0
    for prune in range(1, steps + 1):
        for death in count(prune + 1):
            site = began.twin()
            done = _steps_of_a_move(site, decide, prune, death)
            _expect_whole(site)
            tried += 1
            if done < death:
                break
    assert tried > 50, "most moves were begun before the prune"


NEVER = 1000


def _steps_of_a_move(site: Site, decide: Callable[[Refs], WantedNames], prune: int, death: int) -> int:
    fate = site.one.view.before = Fate(site, prune, death)
    context = site.one.context
    with suppress(Killed, LookupError):
        move_name(context, context.targets["bucket"], REPO, decide)
    return fate.steps


def _expect_whole(site: Site) -> None:
    """Now, and after others have pruned and synced; a notice that was left behind is cleared away."""
    expect_complete(site.shelf)
    names = site.refs.channels, site.refs.commit_of("main")
    for _ in range(2):
        site.clock.advance(60 * HOUR)
        report = site.other.prune(RETAINING)
        assert report.ok, report.problems
        expect_complete(site.shelf)
    assert not [key for key in site.shelf.objects if key.endswith(".moving")]
    assert (site.refs.channels, site.refs.commit_of("main")) == names
    assert site.other.sync(X).outcome == "unchanged"
