"""Scenes in which the target is not what the program made it: something in it is damaged, or it lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.actors import PATIENCE, Ending, Outcome, finish, start
from tests.chaos.faults import LIES
from tests.chaos.inspector import judge, key_of
from tests.chaos.truth import RepoName
from tests.chaos.upstream import MIB, REPOS
from tests.chaos.verdicts import check_damage, check_lied_to, check_outcome, check_repair
from tests.chaos.world import World

SYNC = ("sync", "--json", "--quiet")
PRUNE = ("prune", "--json", "--quiet")
VERIFY = ("verify", "--json", "--quiet")
REPAIR = (*VERIFY, "--repair")
_LIED_TO = 20.0
"""Seconds after which a run that is lied to is ended."""
_LARGEST = 8 * MIB
"""Bytes of a content that is damaged: it is read, and written again, whole."""


@dataclass(frozen=True)
class Harm:
    """What was done to one content of a published commit, and its bytes before."""

    repo: RepoName
    commit: str
    digest: str
    body: bytes
    words: str


def damage(one: World, number: int, tell: Callable[[str], None]) -> None:
    """One content is damaged: a verify names it, a repair puts it right, and the reader reads right bytes."""
    with one.rest:
        harm = do_harm(one)
        if harm is None:
            tell("nothing is published that could be damaged")
            return
        tell(harm.words)
        one.tally.damages += 1
        one.traffic.left_out.add(harm.digest)  # a repair fetches it again
        seen = _run_anew(one, number, VERIFY)
        check_damage(one, seen, harm.digest, harm.words)
        mended = _run_anew(one, number, REPAIR)
        tell(f"{seen}; {mended}")
        right = check_repair(one, mended, harm.digest, harm.words)
        if right:
            judge(one.ledger, one.inspector, harm.repo, harm.commit)
        else:
            one.shelf.put(key_of(harm.digest), harm.body)  # said once, and not in all rounds that follow


def lies(one: World, number: int, tell: Callable[[str], None]) -> None:
    """The bucket lies to whoever asks: no prune removes what is named, no verify is well; what is there stays whole."""
    target = one.faulter.target
    if target is None:
        return
    (ready,) = finish([start(one.machines[0], number, SYNC, Ending(None, PATIENCE))], one.meter)
    check_outcome(one, ready)
    if ready.code != 0 or not any(one.ledger.look(repo).roots for repo in REPOS):
        tell("nothing is published that could be lied about")
        return
    one.tally.lies += 1
    one.ledger.season.pruned = True
    lie = one.dice.choice([*LIES])
    target.ask_for(LIES[lie](one.dice))
    for words in (VERIFY, one.dice.choice((PRUNE, PRUNE, SYNC))):
        before = target.struck
        (outcome,) = finish([start(one.machines[0], number, words, Ending(None, _LIED_TO))], one.meter)
        tell(f"{lie}, told {target.struck - before} times: {outcome}")
        check_lied_to(one, outcome, lie, target.struck - before)
    target.clear()
    for repo in REPOS:
        for commit in one.ledger.look(repo).roots:
            judge(one.ledger, one.inspector, repo, commit)


def do_harm(one: World) -> Harm | None:
    """Damage a file's content or a document of a commit that the upstream still gives; None where there is none."""
    held = [
        (repo, commit, root)
        for repo in REPOS
        if repo not in one.upstream.closed
        for commit, root in sorted(one.ledger.look(repo).roots.items())
        if not one.upstream.forbids(repo, commit)
    ]
    if not held:
        return None
    repo, commit, root = one.dice.choice(held)
    what, digest = _content(one, repo, commit, root)
    key = key_of(digest)
    body = one.shelf.get(key) or b""
    how = one.dice.choice([*WAYS])
    changed = WAYS[how](body, one.dice)
    if changed is None:
        one.shelf.remove(key)
    else:
        one.shelf.put(key, changed)
    return Harm(repo, commit, digest, body, f"{repo.in_jobs} at {commit}: its {what} {digest} {how}")


def _content(one: World, repo: RepoName, commit: str, root: str) -> tuple[str, str]:
    """What may be damaged: half of the time a file, else one of the documents, each kind as likely."""
    files = (one.upstream.truth.files(repo, commit) or {}).values()
    small = sorted({content.sha256 for content in files if 0 < content.size <= _LARGEST})
    if one.dice.random() < 0.5:
        return "file", one.dice.choice(small)
    top = json.loads(one.shelf.get(key_of(root)) or b"")
    shards = [digest for _, digest in top["shards"]]
    kinds = {"root": root, "info": top["info"], "history": top["commits"], "shard": one.dice.choice(shards)}
    return one.dice.choice(sorted(kinds.items()))


def _flipped(body: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


WAYS: dict[str, Callable[[bytes, Random], bytes | None]] = {
    "is removed": lambda body, dice: None,
    "has one bit flipped": _flipped,
    "is cut short": lambda body, dice: body[: dice.randrange(len(body))],
}


def _run_anew(one: World, number: int, words: tuple[str, ...]) -> Outcome:
    """A verify that looks at everything: one that was killed before is gone on with first."""
    for _ in range(2):
        (outcome,) = finish([start(one.machines[0], number, words, Ending(None, PATIENCE))], one.meter)
        if not (outcome.report or {}).get("resumed"):
            break
    return outcome
