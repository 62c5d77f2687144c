"""What can be told of a repo that somebody wants and that is not mirrored: by its upstream, and by the rules here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirror_sync.domain.bounds import short
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.policy.decisions import Matter
from mirror_sync.domain.policy.rules import Candidate, judge_all
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import UsageError

_LINE = 300  # characters of a verdict


@dataclass(frozen=True, slots=True)
class WantedVerdict:
    """`closed`: its upstream gives it to some people only, or does not say that it does not. `outcome` is what the
    rules that need no file say of it, `verdict` that in a line.
    """

    closed: bool
    outcome: str
    verdict: str


class LookAtWanted:
    """One call to the upstream of the job that would bring a repo. Safe for many threads."""

    def __init__(self, jobs: Callable[[], tuple[Job, ...]], context: Callable[[], RunContext]) -> None:
        self._jobs, self._context = jobs, context

    def __call__(self, target: str, repo: Repo) -> WantedVerdict:
        """By the first job of the target that names it, or else the first of all. UsageError where there is none;
        UpstreamError for a repo that the upstream does not give.
        """
        jobs = [job for job in self._jobs() if job.target == target]
        job = next((one for one in jobs if one.names(repo)), jobs[0] if jobs else None)
        if job is None:
            raise UsageError(f"no job publishes into target {target}")
        context = self._context()
        source = context.own(job) or context.sources[job.upstream]
        there = Repo(repo.kind, job.published_as.upstreams(repo.id)) if job.published_as else repo
        resolved = source.resolve(there, job.revisions[0])
        named = job.spells_out(repo) or not job.names(repo)  # who grants a wish names it
        candidate = Candidate(
            repo,
            resolved.terms,
            whole=True,
            named=named,
            about=Matter(
                (repo,), names=(resolved.queried, resolved.canonical), commit=resolved.commit, now=context.clock()
            ),
            decisions=job.decisions,
        )
        judged = judge_all(job.rules, candidate)
        worst = judged.objection or judged.verdicts[0]
        terms = resolved.terms
        closed = terms.private is not False or terms.gated is not False or terms.disabled
        return WantedVerdict(closed, worst.outcome.value, short(worst.reason, _LINE))
