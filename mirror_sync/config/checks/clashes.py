"""Two jobs that want the same revision of the same repo on the same target."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from mirror_sync.config.findings import Finding, quoted
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.repo import EVERYTHING, RepoPattern

_GLOB = re.compile(r"[*?\[]")

Numbered = tuple[int, Job]  # a job, and which one of the file it is


def clashes(jobs: Sequence[Numbered]) -> Iterator[Finding]:
    """Pairs with different selections: the copy of one would undo the copy of the other.

    A job with a ranking leaves to one without what that names, so that these two never clash.
    """
    for (_, first), (index, second), shared in _meetings(jobs):
        if _apart(first, second):
            continue
        if first.selection != second.selection and (first.ranking is None) is (second.ranking is None):
            what = f"jobs {quoted(first.name)} and {quoted(second.name)} select different files of {shared}"
            where = f"on the target {quoted(first.target)} ({first.selection} against {second.selection})"
            right = "give both the same include and exclude, or another target"
            yield Finding(("jobs", index), f"{what} {where}; {right}")


def _apart(first: Job, second: Job) -> bool:
    """Whether both look for variants, and of other models: that both may look everywhere is no clash."""
    one, other = first.ranking, second.ranking
    return isinstance(one, Variants) and isinstance(other, Variants) and not set(one.bases) & set(other.bases)


def repetitions(jobs: Sequence[Numbered]) -> Iterator[Finding]:
    """Pairs that do the same work twice; two rankings are two questions."""
    for (_, first), (index, second), shared in _meetings(jobs):
        if first.selection == second.selection and first.ranking is second.ranking is None:
            what = f"jobs {quoted(first.name)} and {quoted(second.name)} both mirror {shared}"
            yield Finding(("jobs", index), f"{what} to the target {quoted(first.target)}; one of them is enough")


def two_hubs(jobs: Sequence[Numbered], modelscopes: Collection[str]) -> Iterator[Finding]:
    """Pairs that publish repos of two hubs under one name: each would take the other's repo for a new state of its own.

    A ModelScope is a hub of its own, where anybody may have taken a name that stands elsewhere for another.
    """
    for (_, first), (index, second) in combinations(jobs, 2):
        if first.target != second.target or first.upstream == second.upstream:
            continue
        if not {first.upstream, second.upstream} & set(modelscopes):
            continue
        shared = shared_repos(first, second)
        if shared:
            more = f" (and {len(shared) - 1} more)" if len(shared) > 1 else ""
            what = f"jobs {quoted(first.name)} and {quoted(second.name)} publish {shared[0]}{more} of two upstreams"
            where = f"({first.upstream} and {second.upstream}) under one name on the target {quoted(first.target)}"
            right = 'write as: "ms-{org}/{name}" in one of them, take the repo out of one, or give it another target'
            yield Finding(("jobs", index), f"{what} {where}; {right}")


def _meetings(jobs: Sequence[Numbered]) -> Iterator[tuple[Numbered, Numbered, str]]:
    for first, second in combinations(jobs, 2):
        if first[1].target != second[1].target:
            continue
        revisions = _shared_revisions(first[1], second[1])
        repos = shared_repos(first[1], second[1]) if revisions else []
        if repos:
            more = len(repos) * len(revisions) - 1
            shared = f"{repos[0]} at {revisions[0]}" + (f" (and {more} more)" if more else "")
            yield first, second, shared


def _shared_revisions(one: Job, other: Job) -> list[str]:
    """What both follow for certain. Whether two globs meet is only known at run time, unless they are the same."""
    named = [revision for revision in one.revisions if not _GLOB.search(revision) and other.follows(revision)]
    named += [revision for revision in other.revisions if not _GLOB.search(revision) and one.follows(revision)]
    return sorted({*named, *(set(one.revisions) & set(other.revisions))})


def shared_repos(one: Job, other: Job) -> list[str]:
    """What both name for certain, by the same rule. Sets first: a file may name thousands of repos."""
    if one.shares_no_name_with(other):
        return []
    same = set(one.repos) & set(other.repos)
    met = {*same, *_caught(one, other), *_caught(other, one)}
    denied = {each for each in met if not each.is_glob and (one.denied_by(each.repo) or other.denied_by(each.repo))}
    return sorted(map(str, met - denied))


def _caught(one: Job, other: Job) -> set[RepoPattern]:
    """The repos that `one` names and a glob of `other` catches; globs where that is all there are."""
    globs = [pattern for pattern in other.repos if pattern.is_glob]
    if not globs:
        return set()
    every = {pattern.kind for pattern in globs if pattern.glob == EVERYTHING}
    return {
        named
        for named in one.repos
        if (named.kind in every if named.is_glob else any(pattern.matches(named.repo) for pattern in globs))
    }
