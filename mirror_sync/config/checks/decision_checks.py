"""What is odd about decisions beside the jobs: whom they name, whether they still hold, what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mirror_sync.config.decisions.decisions_file import DecisionsFile
from mirror_sync.config.findings import quoted
from mirror_sync.domain import nearest
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Matter, RuleKey, matches_in_any_case
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import Fault


def doubts(file: DecisionsFile, jobs: Sequence[Job], now: datetime) -> Iterator[Fault]:
    """A warning for each decision that has ended, cannot do anything, or is about what no job names."""
    for index, one in enumerate(file.decisions.every):
        message = _ended(one, now) or _in_vain(one, file, jobs, now) or _unnamed(one, jobs)
        if message:
            yield file.finding(index, message)


def _ended(one: Decision, now: datetime) -> str:
    if one.until is None or not one.has_ended(now):
        return ""
    since = f"has ended ({iso_utc(one.until)})"
    if one.outcome is DecisionOutcome.REJECT:
        return f"{since}: it refuses nothing any more; remove it, or write a later until"
    return f"{since}: new commits are held again, what is published stays; remove it, or write a later until"


def _in_vain(one: Decision, file: DecisionsFile, jobs: Sequence[Job], now: datetime) -> str:
    if one.outcome is DecisionOutcome.REJECT:
        return ""
    repo = one.pattern.repo
    forbidding = (pattern for job in jobs for pattern in job.house.forbidden if matches_in_any_case(pattern, repo))
    if one.rule is RuleKey.FORBIDDEN or next(forbidding, None) is not None:
        return f"no decision lifts policy.forbidden; take {one.pattern} out of that list, or remove this"
    against = file.decisions.rejection(Matter((repo,), commit=one.commit, now=now))
    return f"does nothing: {against.place} rejects it, which always wins" if against is not None else ""


def _unnamed(one: Decision, jobs: Sequence[Job]) -> str:
    if one.pattern.is_glob:
        meets = any(_meet(one.pattern, named) for job in jobs for named in job.repos)
        return "" if meets else f"{quoted(one.pattern)} is rejected, and no job names a repo that it could match"
    repo = one.pattern.repo
    if any(job.means(repo) for job in jobs):
        return ""
    named = (pattern for job in jobs for pattern in job.repos if not pattern.is_glob)
    near = nearest.did_you_mean(RepoPattern(repo.kind, repo.id), named)
    return f"{quoted(repo)} is decided about, and {denials(jobs, repo) or 'no job names it'}{near}"


def _meet(rejected: RepoPattern, named: RepoPattern) -> bool:
    """Whether a rejection may match something that is named; of two globs only their owners tell."""
    if not named.is_glob:
        return matches_in_any_case(rejected, named.repo)
    return (rejected.kind, rejected.owner.lower()) == (named.kind, named.owner.lower())
