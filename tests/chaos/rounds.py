"""One round: the upstream changes, faults are set, runs begin and are cut short, and now and then all is cleared."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.actors import PATIENCE, Ending, Machine, beside, commands, finish, start
from tests.chaos.pair import NAME, two_daemons
from tests.chaos.shelf import FolderShelf, Unreadable
from tests.chaos.tally import STUCK, Finding
from tests.chaos.unsound import PRUNE, SYNC, VERIFY, damage, lies
from tests.chaos.upstream import REPOS, total
from tests.chaos.verdicts import behind, check_convergence, check_outcome
from tests.chaos.world import World
from tests.standin import faults

DAEMON = ("daemon", "--quiet")
_LONGEST = 8.0
_PRUNES = 25.0
"""Seconds: a prune waits out the grace period."""
_DEAD = 3 * 3600.0
"""Seconds by which the notice of a killed prune is made older, in a folder: nobody waits for its prune then."""
OUTAGE = 20.0
"""Seconds that the upstream does not answer, in every third round."""
RECOVERY = 120.0
"""Seconds after an outage within which a daemon whose next run is in hours must have made up for it."""


@dataclass(frozen=True)
class Scene:
    """What runs in a round: machines by number, with the words of the command line."""

    name: str
    weight: int
    runs: tuple[tuple[int, tuple[str, ...]], ...] = ()
    story: Callable[[World, int, Callable[[str], None]], None] | None = None
    """What is played in the place of runs that go side by side."""

    @property
    def raced(self) -> bool:
        """Whether two machines write."""
        return len({machine for machine, words in self.runs if words[0] != "verify"}) > 1

    @property
    def doubled(self) -> bool:
        """Whether two machines fetch."""
        return (
            self.story is two_daemons
            or len({machine for machine, words in self.runs if words[0] in ("sync", "daemon")}) > 1
        )

    @property
    def pruned(self) -> bool:
        """Whether anything is removed."""
        return any(words[0] == "prune" for _, words in self.runs)


SCENES = (
    Scene("a sync", 12, ((0, SYNC),)),
    Scene("two machines", 3, ((0, SYNC), (1, SYNC))),
    Scene("two syncs on one machine", 2, ((0, SYNC), (0, SYNC))),
    Scene("a daemon", 1, ((0, DAEMON),)),
    Scene("a verify beside a sync", 2, ((0, SYNC), (0, VERIFY))),
    Scene("a prune beside a sync", 2, ((0, SYNC), (0, PRUNE))),
    Scene("a prune on another machine", 2, ((0, SYNC), (1, PRUNE))),
    Scene("damage", 2, story=damage),
    Scene("a bucket that lies", 2, story=lies),
    Scene(NAME, 0, story=two_daemons),  # by itself alone: see --daemons
)


def play(
    one: World, number: int, *, last: bool, tell: Callable[[str], None], only: str = "", outage: float = OUTAGE
) -> None:
    """Play a round, and check all that can be checked when its runs have ended.

    `only`: scenes with these words in their name. Every third round is an outage of so many seconds.
    """
    one.ledger.season.number = number
    one.near.look()
    changes = [one.upstream.change(terms=number > 2) for _ in range(one.dice.choice((0, 1, 1, 2, 3)))]
    tell(f"changes: {changes}")
    one.faulter.clear()
    if number % 3 == 2 and not only:
        _outage(one, number, outage, tell)
    else:
        _play_scene(one, number, last=last, tell=tell, only=only)
    if last or one.dice.random() < 0.33:
        _converge(one, number, tell, last=last)


def _play_scene(one: World, number: int, *, last: bool, tell: Callable[[str], None], only: str) -> None:
    season, dice = one.ledger.season, one.dice
    scenes = [scene for scene in _possible(one) if only in scene.name]
    weights = [scene.weight for scene in scenes]
    scene = dice.choices(scenes, weights if any(weights) else None)[0]
    season.raced, season.pruned, season.alone = scene.raced, scene.pruned, len(scene.runs) == 1
    if scene.story is not None:
        if scene.story is two_daemons:
            season.raced = True  # who was stopped in the middle of a write may end it
            tell(f"faults: {one.faulter.draw(dice)}")
        season.alone = not season.raced
        scene.story(one, number, tell)
        _settle(one, scene)
        return
    drawn = one.faulter.draw(dice)
    if dice.random() < 0.2:
        one.hub.faults.before(lambda _: one.upstream.change(terms=False), "/api/*/tree/*")
        drawn.append("a change while it is read")
    missing = _missing(one)
    harmless = last or isinstance(one.shelf, FolderShelf)
    endings = [_ending(dice, words, scene, missing, last=harmless) for _, words in scene.runs]
    tell(f"{scene.name} ({', '.join(map(str, endings))}); faults: {drawn}")
    _act(one, number, scene, endings, tell)
    _settle(one, scene)


def _outage(one: World, number: int, seconds: float, tell: Callable[[str], None]) -> None:
    """A daemon's run begins while the first endpoint, or both, are away; nobody calls it again, and it makes up."""
    season, both = one.ledger.season, one.dice.random() < 0.5
    season.raced, season.pruned, season.alone = False, False, True
    away = [one.hub, one.near.hub] if both else [one.hub]
    tell(f"an outage of {seconds:g} s, of both endpoints: {both}")
    for hub in away:
        hub.faults.add(faults.refuse())
    with beside(start(one.patient, number, DAEMON, Ending(None, 1e9))):
        time.sleep(seconds)
        for hub in away:
            hub.faults.clear()
        ended, late = time.monotonic(), ["not looked"]
        while late and time.monotonic() < ended + RECOVERY:
            time.sleep(1)
            late = behind(one)
    for name in late:
        one.ledger.say(STUCK, f"{RECOVERY:g} s after an outage: {name}")
    if not late:
        one.tally.outages.append(time.monotonic() - ended)
        tell(f"made up for {one.tally.outages[-1]:.0f} s after the outage")
    _count(one, doubled=False)


def _possible(one: World) -> list[Scene]:
    known, silent = commands(), one.faulter.target is None
    scenes = [scene for scene in SCENES if not (silent and scene.story is lies)]
    return [scene for scene in scenes if all(words[0] in known for _, words in scene.runs)]


def _ending(dice: Random, words: tuple[str, ...], scene: Scene, missing: int, *, last: bool) -> Ending:
    """By itself, by SIGKILL, or by SIGTERM. `last`: it may be a prune, whose notice would slow all later runs."""
    longest = _PRUNES if scene.pruned else _LONGEST
    if words[0] == "daemon":
        longest = dice.uniform(1.5, 4)
    sign = dice.choices((None, signal.SIGKILL, signal.SIGTERM), (4, 5, 1))[0]
    if sign is None or (words[0] == "prune" and not last):
        return Ending(None, longest)
    seconds = dice.uniform(0.3, 2.5)
    if words[0] == "sync" and missing and dice.random() < 0.7:
        return Ending(sign, longest, dice.randrange(missing))
    return Ending(sign, seconds)


def _missing(one: World) -> int:
    """Bytes of the contents that upstream's names lead to, and that nobody has asked for yet."""
    truth = one.upstream.truth
    pairs = ((repo, commit) for repo in REPOS for commit in set(truth.names(repo).values()))
    contents = [content for repo, commit in pairs for content in (truth.files(repo, commit) or {}).values()]
    return total(content for content in contents if content.sha256 not in one.traffic.sent)


def _act(one: World, number: int, scene: Scene, endings: list[Ending], tell: Callable[[str], None]) -> None:
    bytes_due = [ending.sent for ending in endings if ending.sent is not None]
    one.meter.watch(min(bytes_due, default=1 << 62))
    machines = [one.machines[index] for index, _ in scene.runs]
    pairs = zip(machines, scene.runs, endings, strict=True)
    outcomes = finish([start(machine, number, words, ending) for machine, (_, words), ending in pairs], one.meter)
    one.tally.kills += sum(outcome.code == -signal.SIGKILL for outcome in outcomes)
    if scene.pruned and isinstance(one.shelf, FolderShelf):
        one.shelf.age("prunes/", _DEAD)
    for outcome in outcomes:
        tell(f"{outcome}")
        check_outcome(one, outcome)


def _settle(one: World, scene: Scene) -> None:
    """Everything published in this round is on record before the next begins."""
    _count(one, doubled=scene.doubled)
    try:
        for repo in REPOS:
            one.ledger.look(repo)
        if scene.pruned:
            one.traffic.removed({key.rpartition("/")[2] for key in one.shelf.keys("blobs/")})
    except Unreadable as error:
        one.ledger.say(STUCK, f"the target does not answer: {error}")
    one.ledger.season.raced = one.ledger.season.pruned = False


def _count(one: World, *, doubled: bool) -> None:
    one.traffic.add(one.upstream.truth, one.hub.log.records(), one.ledger.season.number, doubled=doubled)
    one.hub.log.clear()


def _converge(one: World, number: int, tell: Callable[[str], None], *, last: bool) -> None:
    """No faults, nothing in the way: the mirror is as the upstream, after one run."""
    one.faulter.clear()
    if last:
        one.upstream.open_all()
    machine: Machine = one.machines[0]
    (outcome,) = finish([start(machine, number, SYNC, Ending(None, PATIENCE))], one.meter)
    one.tally.converged += 1
    tell(f"without faults, {outcome}")
    check_outcome(one, outcome)
    check_convergence(one, outcome)
    _count(one, doubled=False)
    for crash in one.hub.crashes:
        one.tally.found(Finding(STUCK, one.number, number, f"the stand-in failed: {crash}"))
