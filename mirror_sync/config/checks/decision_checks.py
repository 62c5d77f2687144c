"""What is odd about decisions beside the jobs: whom they name, whether they still hold, what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mirror_sync.config.decisions.decisions_file import DecisionsFile
from mirror_sync.config.findings import quoted
from mirror_sync.domain import nearest
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Matter, RuleKey, matches_in_any_case
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import Fault


def doubts(file: DecisionsFile, jobs: Sequence[Job], now: datetime) -> Iterator[Fault]:
    """A warning for each decision that has ended, cannot do anything, or is about what no job names."""
    for index, one in enumerate(file.decisions.every):
        message = _ended(one, now) or _in_vain(one, file, jobs, now) or _unnamed(one, jobs) or _idle(one, jobs)
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
    if any(job.means(repo) for job in jobs) or _may_be_a_base(one, jobs):
        return ""
    named = (pattern for job in jobs for pattern in job.repos if not pattern.is_glob)
    near = nearest.did_you_mean(RepoPattern(repo.kind, repo.id), named)
    return f"{quoted(repo)} is decided about, and {denials(jobs, repo) or 'no job names it'}{near}"


def _may_be_a_base(one: Decision, jobs: Sequence[Job]) -> bool:
    """Whether its licence may be asked about though no job names it: what is derived of it waits for that."""
    return one.rule is RuleKey.LICENCE and any(job.house.inherit_base_model for job in jobs)


def _idle(one: Decision, jobs: Sequence[Job]) -> str:
    """An approval by a rule that holds nothing of the repo in any job, as the jobs are now."""
    if one.outcome is DecisionOutcome.REJECT or _may_be_a_base(one, jobs):
        return ""
    repo = one.pattern.repo
    why = [_never_held(one, job, repo) for job in jobs if job.means(repo)]
    return f"approves nothing: {why[0]}; remove it, or choose another rule" if why and all(why) else ""


def _never_held(one: Decision, job: Job, repo: Repo) -> str:  # noqa: PLR0911  one for each rule
    """Why a job holds a repo for no such rule; empty where it may."""
    house = job.house
    match one.rule:
        case RuleKey.RESTRICTED:
            found = [entry for entry in house.restricted if matches_in_any_case(entry.pattern, repo)]
            if not found:
                return f"policy.restricted does not name {repo}"
            pinned = next((entry.pattern for entry in found if entry.pin), None)
            all_wait = pinned is not None and one.commit is None
            return f"policy.restricted pins {pinned}, so that each commit wants its own" if all_wait else ""
        case RuleKey.COOLDOWN:
            return "" if house.cooldown else "there is no policy.cooldown"
        case RuleKey.BASE_MODEL:
            if repo.kind is not Kind.MODEL:
                return "only models have base models"
            return "" if house.inherit_base_model else "there is no policy.inherit_base_model"
        case RuleKey.FORMATS:
            return "" if job.formats is not None else "there is no policy.formats"
        case RuleKey.SCAN:
            return "" if job.scan is not None else "there is no policy.scan"
        case RuleKey.GATED | RuleKey.PRIVATE:
            return f"job {job.name} names {repo} itself, which says as much" if job.spells_out(repo) else ""
        case _:  # a licence may be unclear whatever the lists are, and the guard is always there
            return ""


def _meet(rejected: RepoPattern, named: RepoPattern) -> bool:
    """Whether a rejection may match something that is named; of two globs only their owners tell."""
    if not named.is_glob:
        return matches_in_any_case(rejected, named.repo)
    return (rejected.kind, rejected.owner.lower()) == (named.kind, named.owner.lower())
