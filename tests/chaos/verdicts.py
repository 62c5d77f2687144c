"""Whether what a run said of itself is true."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from tests.chaos.actors import Outcome
from tests.chaos.faults import EMPTY_HUB
from tests.chaos.inspector import judge
from tests.chaos.ledger import Published
from tests.chaos.shelf import Unreadable
from tests.chaos.tally import FALSE, LOST, MISSED, STUCK
from tests.chaos.truth import Files, RepoName
from tests.chaos.upstream import REPOS, REVISIONS
from tests.chaos.world import World

_DONE = {"published", "unchanged"}


def check_outcome(one: World, outcome: Outcome) -> None:
    """Compare what a run claims with what is there."""
    report = outcome.report
    if outcome.words[0] == "verify":
        _check_verify(one, outcome, report)
    elif outcome.words[0] == "prune":
        _check_prune(one, outcome, report)
    elif outcome.words[0] == "sync":
        _check_sync(one, outcome, report)


def _check_sync(one: World, outcome: Outcome, report: dict[str, Any] | None) -> None:
    if outcome.code == 0 and (report is None or not report["ok"]):
        one.ledger.say(FALSE, f"{outcome}: exit code 0, and the report says {report and report['ok']}")
    if report is None:
        return
    if report["ok"] and (report["interrupted"] or any(entry["outcome"] == "failed" for entry in report["repos"])):
        one.ledger.say(FALSE, f"{outcome}: ok, and not all of it is")
    if report["ok"]:
        _check_complete(one, outcome, report)
    whole: dict[tuple[RepoName, str], bool] = {}
    for entry in report["repos"]:
        if entry["outcome"] in _DONE:
            _check_claim(one, outcome, entry, whole)


def _check_complete(one: World, outcome: Outcome, report: dict[str, Any]) -> None:
    """Whatever is followed is spoken of."""
    spoken = {(entry["kind"], entry["repo"], entry["revision"]) for entry in report["repos"]}
    for repo in REPOS:
        for name in followed(one, repo):
            if (repo.kind.removesuffix("s"), repo.id, name) not in spoken:
                one.ledger.say(FALSE, f"{outcome}: ok, and not a word of {repo.in_jobs} {name}")


def _check_claim(one: World, outcome: Outcome, entry: dict[str, Any], whole: dict[tuple[RepoName, str], bool]) -> None:
    """One name that is said to be up to date: its commit is one that it had during the run, and is whole here.

    A report speaks of the moment of its look. When another run has moved the name since, the mirror has a commit that
    upstream gave the name later than the claimed one; any other is a false claim.
    """
    repo = RepoName(f"{entry['kind']}s", entry["repo"])
    name, commit = entry["revision"], entry["commit"]
    claim = f"said to be {entry['outcome']}: {repo.in_jobs} {name} at {commit}"
    truth = one.upstream.truth
    heard = outcome.began
    if commit not in truth.since(repo, name, heard):
        if commit not in one.near.told.since(repo, name, heard):
            one.ledger.say(FALSE, f"{claim}, which it was not upstream ({outcome})")
        heard = 0.0  # the neighbour lags behind: what it tells was so upstream before
    try:
        published = one.ledger.look(repo)
        if one.ledger.season.raced:
            return
        if (repo, commit) not in whole:
            whole[repo, commit] = judge(one.ledger, one.inspector, repo, commit)
    except Unreadable as error:
        one.ledger.say(STUCK, f"the target does not answer: {error}")
        return
    here = published.names.get(name)
    if here != commit and here not in truth.after(repo, name, commit, heard):
        one.ledger.say(FALSE, f"{claim}, and the mirror has {here} ({outcome})")
    elif here == commit and not whole[repo, commit]:
        one.ledger.say(FALSE, f"{claim}, which is not whole ({outcome})")


def _check_verify(one: World, outcome: Outcome, report: dict[str, Any] | None) -> None:
    for fault in (report or {}).get("faults", ()):
        one.ledger.say(LOST, f"{outcome} says: {fault}")
    if outcome.code == 0 and not (report and report["ok"]):
        one.ledger.say(FALSE, f"{outcome}: exit code 0, and the report says otherwise")


def check_damage(one: World, outcome: Outcome, digest: str, harm: str) -> None:
    """A verify of a target in which the content of this digest is not right: it fails, and names that and no other."""
    faults = (outcome.report or {}).get("faults", ())
    if outcome.code == 0:
        one.ledger.say(MISSED, f"{harm}, and a verify has exit code 0 ({outcome})")
    if all(fault["sha256"] != digest for fault in faults):
        one.ledger.say(MISSED, f"{harm}, and a verify does not name it ({outcome}): {faults}")
    for fault in faults:
        if fault["sha256"] != digest:
            one.ledger.say(LOST, f"{outcome} says: {fault}")


def check_repair(one: World, outcome: Outcome, digest: str, harm: str) -> bool:
    """A repair of what only this damage is wrong with: it is all right again, and the run says so."""
    report = outcome.report or {}
    repaired = any(fault["sha256"] == digest for fault in report.get("repaired", ()))
    if outcome.code != 0 or not repaired:
        one.ledger.say(STUCK, f"{harm}, and a repair does not put it right ({outcome}): {report.get('faults')}")
        return False
    return True


def check_lied_to(one: World, outcome: Outcome, lie: str, times: int) -> None:
    """A run that was told a lie so many times: a verify is not well, and no other run claims what is not so.

    A verify that misses repos in a list, and looks for them by their names, may be well: it has read them all.
    """
    if outcome.words[0] != "verify":
        check_outcome(one, outcome)
        return
    published = sum(bool(one.ledger.look(repo).roots) for repo in REPOS)
    read_all = lie == EMPTY_HUB and (outcome.report or {}).get("repos", 0) >= published
    if times and outcome.code == 0 and not read_all:
        one.ledger.say(MISSED, f"{lie}, told {times} times, and a verify has exit code 0 ({outcome})")


def _check_prune(one: World, outcome: Outcome, report: dict[str, Any] | None) -> None:
    problems = (report or {}).get("problems", ())
    for problem in problems:
        if "named by a snapshot" in problem:
            one.ledger.say(LOST, f"{outcome} says: {problem}")
    if outcome.code == 0 and (report is None or problems):
        one.ledger.say(FALSE, f"{outcome}: exit code 0, and {problems or 'no report'}")


def check_convergence(one: World, outcome: Outcome) -> None:
    """After a run without faults every open repo is as upstream has it, to the last byte."""
    if outcome.code != 0:
        words = outcome.out.with_suffix(".err").read_text(encoding="utf-8", errors="replace")[-1500:]
        one.ledger.say(STUCK, f"{outcome}, without any fault: {_reasons(outcome)} {words}")
        return
    held = set(_guarded(outcome))
    for repo in REPOS:
        published = one.ledger.look(repo)
        for name, here, there in _late(one, repo, published):
            guarded = (repo.id, name) in held
            if not (guarded and _may_be_held(one, repo, here, there)):
                seen = f"{repo.in_jobs}: {name} is {here}, upstream has {there}; held by the guard: {guarded}"
                one.ledger.say(STUCK, seen)
        for commit in set(published.names.values()):
            judge(one.ledger, one.inspector, repo, commit)


def behind(one: World) -> list[str]:
    """The names that are not as upstream has them, and may not be held by the guard."""
    return [
        f"{repo.in_jobs}: {name} is {here}, upstream has {there}"
        for repo in REPOS
        for name, here, there in _late(one, repo, one.ledger.look(repo))
        if not _may_be_held(one, repo, here, there)
    ]


def _late(one: World, repo: RepoName, published: Published) -> Iterator[tuple[str, str | None, str]]:
    """The names that the mirror may have and has not as upstream does: what they are here, and there."""
    for name, commit in followed(one, repo).items():
        shut = repo in one.upstream.closed or one.upstream.forbids(repo, commit)
        if not shut and published.names.get(name) != commit:
            yield name, published.names.get(name), commit


def _may_be_held(one: World, repo: RepoName, here: str | None, there: str) -> bool:
    """A name stays behind rightly when more than half of its files would go: the guard asks a person."""
    files = [one.upstream.truth.files(repo, commit or "") or {} for commit in (here, there)]
    return here is not None and _removed(*files) > len(files[0]) / 2


def _removed(before: Files, after: Files) -> int:
    contents = {content.sha256 for content in after.values()}
    return sum(path not in after and content.sha256 not in contents for path, content in before.items())


def followed(one: World, repo: RepoName) -> dict[str, str]:
    """The names of a repo that the job follows, and where they point upstream."""
    names = one.upstream.truth.names(repo)
    return {name: commit for name, commit in names.items() if any(fnmatchcase(name, glob) for glob in REVISIONS)}


def _guarded(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for entry in (outcome.report or {}).get("repos", ()):
        if entry["code"] == "guard":
            yield entry["repo"], entry["revision"]


def _reasons(outcome: Outcome) -> list[str]:
    entries = (outcome.report or {}).get("repos", ())
    return [f"{one['repo']} {one['revision']}: {one['reason']}" for one in entries if one["outcome"] == "failed"]
