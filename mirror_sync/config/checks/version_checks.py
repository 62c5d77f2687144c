"""Rules about names of ours that stand in each other's way: none makes jobs.yaml unusable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from mirror_sync.config.checks.clashes import Numbered, shared_repos
from mirror_sync.config.findings import Finding, quoted
from mirror_sync.domain.content.ref_log import MAINS
from mirror_sync.domain.content.refs import MAINS as NAMES_OF_MAIN
from mirror_sync.domain.job.job import Job


def version_doubts(jobs: Sequence[Numbered]) -> Iterator[Finding]:
    """What is odd in one job, and where two jobs move the same name by different rules."""
    for index, job in jobs:
        yield from _forgotten(index, job)
        yield from _unwatched(index, job)
        yield from _undone(index, job)
        yield from _round(index, job)
    for (_, first), (index, second) in combinations(jobs, 2):
        if first.target == second.target and (job_rules(first) and job_rules(second)):
            yield from _torn(first, index, second)


def job_rules(job: Job) -> bool:
    """Whether it moves any name of ours."""
    return bool(job.channels) or job.rollout is not None


def _forgotten(index: int, job: Job) -> Iterator[Finding]:
    if job.retention.rollbacks > MAINS:
        message = f"a refs.json remembers the last {MAINS} commits that main left: more are kept by retention alone"
        yield Finding(("jobs", index, "keep_rollbacks"), message)


def _unwatched(index: int, job: Job) -> Iterator[Finding]:
    if job.rollout is not None and job.schedule is None:
        message = "the job has no schedule, so that no daemon looks at it: only runs by hand do, when they end"
        yield Finding(("jobs", index, "rollout"), message)


def _undone(index: int, job: Job) -> Iterator[Finding]:
    """While some get the candidate main waits where it was: who follows main then takes the candidate back there."""
    for rule in job.channels if job.rollout is not None else ():
        if rule.source in NAMES_OF_MAIN:
            said = f"{rule.channel} follows main, also while a share of it is on and main waits behind it"
            yield Finding(
                ("jobs", index, "channels", rule.channel, "from"),
                f"{said}; move it by mirror-sync promote, or leave rollout out",
            )


def _round(index: int, job: Job) -> Iterator[Finding]:
    sources = {rule.channel: rule.source for rule in job.channels}
    for channel, source in sources.items():
        if channel < source and sources.get(source) == channel:
            message = f"{channel} follows {source}, and {source} follows {channel}: each gives the other what it had"
            yield Finding(("jobs", index, "channels", channel, "from"), message)


def _torn(first: Job, index: int, second: Job) -> Iterator[Finding]:
    repos = shared_repos(first, second)
    if not repos:
        return
    who = f"jobs {quoted(first.name)} and {quoted(second.name)}"
    rules = {rule.channel: rule for rule in first.channels}
    for rule in second.channels:
        if rules.get(rule.channel, rule) != rule:
            message = f"{who} move {rule.channel} of {repos[0]} by different rules; one of them is enough"
            yield Finding(("jobs", index, "channels", rule.channel), message)
    if first.rollout is not None and second.rollout is not None and first.rollout != second.rollout:
        message = f"{who} have different rollouts for {repos[0]}: both are gone by; one of them is enough"
        yield Finding(("jobs", index, "rollout"), message)
