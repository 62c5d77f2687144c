"""What a job's `select` takes at this run and why, and what it took before and still looks after."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mirror_sync.domain.content.refs import DEFAULT_BRANCH
from mirror_sync.domain.content.upstream import Found, PassedOver, Resolved, Shortfall
from mirror_sync.domain.job.job import Job, owners
from mirror_sync.domain.job.ranking import Demand, Ranking
from mirror_sync.domain.outcome.traffic import WantedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.errors import Disabled, NotFoundOrPrivate, RevisionNotFound, StoreError, UpstreamError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.source import Catalogue

_TRIES = 5  # names for each place, that are asked for: readers ask for names that nobody has
_ABSENT = (NotFoundOrPrivate, Disabled, RevisionNotFound)


@dataclass(frozen=True, slots=True)
class Selected:
    """The repos that take a place, in their order, each with what is known of it, and why it takes one; and which are
    passed over.
    """

    listed: Mapping[Repo, Resolved | None]
    why: Mapping[Repo, str]
    short: Shortfall | None
    passed_over: Sequence[PassedOver] = ()


def ranked(found: Iterable[Found], ranking: Ranking) -> Selected:
    """What an upstream ranks first."""
    short = None
    listed: dict[Repo, Resolved | None] = {}
    why: dict[Repo, str] = {}
    passed_over: list[PassedOver] = []
    for item in found:
        if isinstance(item, PassedOver):
            passed_over.append(item)
            continue
        if isinstance(item, Shortfall):
            short = item
            continue
        repo, resolved = (item, None) if isinstance(item, Repo) else (item.queried, item)
        listed[repo] = resolved
        why[repo] = f"number {len(listed)} by {(resolved and resolved.rank) or ranking.sort}"
    return Selected(listed, why, short, passed_over)


def wanted(context: RunContext, job: Job, ranking: Ranking, source: Catalogue, jobs: Sequence[Job]) -> Selected | None:
    """What readers of the job's target ask for and the upstream has, one call for each name; None where nobody counted.

    A name that the upstream has not takes no place; five names for each place are asked for, at the most. What cannot
    be read takes one: its own task says why. DocumentError where nobody can tell what readers ask for; Interrupted.
    """
    counted = context.demand(job.target)
    if counted is None:
        return None
    listed: dict[Repo, Resolved | None] = {}
    why: dict[Repo, str] = {}
    known: set[Repo] = set()
    names = list(_candidates(counted, job, ranking, jobs))
    few = [one for one in names[: _TRIES * ranking.limit] if job.only is None or one.repo in job.only]
    asked = 0
    for one in few:
        if len(listed) == ranking.limit:
            break
        asked += 1
        try:
            context.go_on()
            resolved = source.resolve(one.repo, DEFAULT_BRANCH)
        except _ABSENT:
            continue
        except UpstreamError:
            listed[one.repo], why[one.repo] = None, one.text
            continue
        if resolved.canonical in known or not _fits(ranking, resolved):
            continue
        known.add(resolved.canonical)
        listed[one.repo], why[one.repo] = resolved, one.text
    short = len(listed) < ranking.limit and asked > len(listed)
    return Selected(listed, why, Shortfall(asked, asked < len(names)) if short else None)


def _candidates(counted: Sequence[WantedRepo], job: Job, ranking: Ranking, jobs: Sequence[Job]) -> Iterator[WantedRepo]:
    """What another job names takes no place: it is that one's to bring."""
    others = [other for other in jobs if other.ranking is None and other.target == job.target]
    for one in counted:
        counts = (one.missed or ranking.demand is Demand.TRAFFIC) and one.clients >= ranking.clients
        if counts and job.names(one.repo) and not any(other.names(one.repo) for other in others):
            yield one


def _fits(ranking: Ranking, resolved: Resolved) -> bool:
    return not ranking.licenses or bool(resolved.terms.licenses & set(ranking.licenses))


class TakenBefore:
    """What a job's select took, by what this machine remembers: whatever it has no word of, it leaves alone."""

    def __init__(self, looks: ReadCache, job: Job) -> None:
        self._looks, self._name = looks, f"chosen/{job.name}"

    def among(self, mirrored: Iterable[Repo], choice: Selected) -> list[Repo]:
        """Of what is published, what it takes now or took before; both are remembered from now on."""
        before = self._read()
        now = {*choice.listed, *(one.canonical for one in choice.listed.values() if one is not None)}
        kept = [repo for repo in mirrored if repo in now or str(repo) in (before or ())]
        if before is None:  # a memory that could not be read is not written over
            return kept
        self._remember([*map(str, kept), *(str(repo) for repo in now)])
        return kept

    def recall(self) -> frozenset[str]:
        """Their names; empty where nothing is remembered, or that cannot be read."""
        return self._read() or frozenset()

    def _read(self) -> frozenset[str] | None:
        """None where it cannot be read now; what is no list any more is nothing."""
        try:
            return frozenset(map(str, json.loads(self._looks.recall(self._name, "") or b"[]")))
        except StoreError:
            return None
        except (ValueError, TypeError):
            return frozenset()

    def _remember(self, names: Collection[str]) -> None:
        with suppress(StoreError):
            self._looks.remember(self._name, "", json.dumps(sorted(set(names))).encode())


class Concerned:
    """Which jobs have to do with a repo that a target publishes: those that own it, but for a select that may take any
    repo there is and has not taken this one. Whose models of our own have no job keeps them as nobody's.
    """

    def __init__(self, target: Target, jobs: Sequence[Job]) -> None:
        self._target, self._jobs = target.name, jobs
        wide = (job for job in jobs if job.is_wide and job.target == target.name)
        self._taken = {job.name: TakenBefore(target.read_cache, job).recall() for job in wide}

    def __call__(self, repo: Repo) -> tuple[Job, ...]:
        name = str(repo)
        return tuple(
            job for job in owners(self._jobs, self._target, repo) if name in self._taken.get(job.name, (name,))
        )
