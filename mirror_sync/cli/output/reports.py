"""Reports as a person reads them. Repos that are as they were appear as a count, unless all are asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.outcome.cost import UpstreamCost
from mirror_sync.domain.outcome.report import (
    WORST_FIRST,
    PlanReport,
    RepoOutcome,
    RepoPlan,
    RepoReport,
    RunReport,
    TargetPlan,
    worst_first,
)
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.subject import Subject
from mirror_sync.errors import Unreachable
from mirror_sync.observe.figures import counted, in_bytes, in_time

SHORT = 8  # digits of a commit id that are enough to tell two apart
_SCHEME = re.compile(r"\b(https?)://")
_UNKNOWN = frozenset({RepoOutcome.FAILED, RepoOutcome.INTERRUPTED})  # of a plan: nobody has seen what there is
_CODE_REPOS, _CODE_PATHS = 5, 3  # that a plan names
_QUIET = (RepoOutcome.UNCHANGED,)


def sync_text(report: RunReport, page: TextLayout, *, every: bool) -> str:
    repos = report.repos
    shown = [repo for repo in worst_first(repos) if every or repo.outcome not in _QUIET]
    parts = [_sync_table(shown, page)] if shown else []
    seconds = (datetime.fromisoformat(report.finished) - datetime.fromisoformat(report.started)).total_seconds()
    done = _done(
        ("fetched", sum(repo.fetched_files for repo in repos), sum(repo.fetched_bytes for repo in repos)),
        ("went on with", 0, sum(repo.resumed_bytes for repo in repos)),
        ("reused", sum(repo.reused_files for repo in repos), sum(repo.reused_bytes for repo in repos)),
    )
    if repos or not report.interrupted:  # else what came belongs to repos that are not finished
        parts.append(page.sentence(f"{_counts(repos)}. {done[0].upper()}{done[1:]} in {in_time(seconds)}."))
    if report.interrupted:
        words = f"Stopped before the end: {_left(report)}what was done is kept: run the same command again to go on."
        parts.append(page.sentence(words))
    return "\n".join(parts)


def plan_text(report: PlanReport, targets: Mapping[str, str], page: TextLayout, *, every: bool) -> str:
    """`targets` by job: what two jobs name on the same one is counted once."""
    repos = _once(report.repos, targets)
    shown = [repo for repo in worst_first(report.repos) if every or repo.outcome not in _QUIET]
    parts = [_plan_table(shown, page)] if shown else []
    done = _done(
        ("fetch", sum(repo.fetch_files for repo in repos), sum(repo.fetch_bytes for repo in repos)),
        ("reuse", sum(repo.reuse_files for repo in repos), sum(repo.reuse_bytes for repo in repos)),
        ("remove", sum(repo.remove_files for repo in repos), sum(repo.remove_bytes for repo in repos)),
    )
    unknown = sum(repo.outcome in _UNKNOWN for repo in repos)
    if unknown == len(repos) > 0:
        parts.append(page.sentence(f"{_counts(repos)}. What a sync would do is not known."))
    else:
        parts.append(page.sentence(f"{_counts(repos)}. A sync would {done}."))
        if unknown:
            parts.append(f"What {counted(unknown, 'repo')} would take is not known, and in none of these figures.")
        parts += map(page.sentence, _code(repos))
        parts += map(page.sentence, map(_cost, report.costs))
        parts += map(page.sentence, map(_room, report.targets))
    if report.interrupted:
        parts.append("Stopped before the end: this is a part of the plan; there may be more to do.")
    return "\n".join(parts)


def _once(repos: Iterable[RepoPlan], targets: Mapping[str, str]) -> list[RepoPlan]:
    plans: dict[tuple[Subject, RepoOutcome], RepoPlan] = {}
    for repo in repos:
        plans.setdefault((replace(repo.subject, job=targets[repo.job]), repo.outcome), repo)
    return list(plans.values())


def _code(repos: Sequence[RepoPlan]) -> Iterator[str]:
    """Which files may run code when they are loaded: of the first repos by name, of the others a count."""
    running = sorted((repo for repo in repos if repo.code_files), key=lambda repo: repo.spoken)
    for repo in running[:_CODE_REPOS]:
        verb = "runs code when it is" if repo.code_files == 1 else "run code when they are"
        paths = ", ".join(repo.code_paths[:_CODE_PATHS])
        more = f" and {repo.code_files - _CODE_PATHS:,} more" if repo.code_files > _CODE_PATHS else ""
        yield f"By name, {counted(repo.code_files, 'file')} of {repo.spoken} {verb} loaded: {paths}{more}."
    if len(running) > _CODE_REPOS:
        files = counted(sum(repo.code_files for repo in running[_CODE_REPOS:]), "file")
        yield f"Beside these, {files} of {counted(len(running) - _CODE_REPOS, 'other repo')}."


def _cost(cost: UpstreamCost) -> str:
    calls = f"{counted(cost.api_calls, 'API call')} and {counted(cost.resolver_calls, 'file request')}"
    wait = f"; its rate limit makes that take at least {in_time(cost.wait)}" if cost.wait else ""
    return f"It would cost upstream {cost.upstream} about {calls}{wait}."


def _room(target: TargetPlan) -> str:
    """Whether it fits, what is left, and what a disk for it is sized to."""
    come, free = in_bytes(target.fetch_bytes), target.free_bytes
    if free is None:
        room = f"{come} to come; how much room there is {target.problem or 'its server does not say'}"
    elif target.fits:
        room = f"{come} to come, {in_bytes(free)} free, about {in_bytes(free - target.needed_bytes)} afterwards"
    else:
        room = f"{come} to come do not fit: {in_bytes(target.needed_bytes)} are needed, {in_bytes(free)} free"
    then = f"then the newest version of each repo takes {in_bytes(target.published_bytes)}"
    kept = f"to keep {counted(target.versions, 'version')} of each" if target.versions else "to keep them"
    advised = f"{kept}, have {in_bytes(target.advised_bytes)} (size x versions x 1.2)"
    return f"Target {target.target}: {room}; {then}; {advised}."


def _told_once(repos: Iterable[RepoReport] | Iterable[RepoPlan]) -> Iterator[str]:
    """The reason of each; what an endpoint that does not answer comes to is said where it is met first."""
    told: set[str] = set()
    for repo in repos:
        if repo.code != Unreachable.code:
            yield repo.reason
        elif repo.reason in told:
            yield "as above"
        else:
            scheme = None if told else _SCHEME.search(repo.reason)
            told.add(repo.reason)
            hint = (
                f"; is its address right? If only a proxy leads there, set {scheme[1].upper()}_PROXY" if scheme else ""
            )
            yield f"{repo.reason}{hint}"


def _sync_table(repos: Sequence[RepoReport], page: TextLayout) -> str:
    rows = [
        Row(
            (
                repo.outcome,
                f"{repo.files:,}",
                f"{repo.fetched_files:,}",
                in_bytes(repo.fetched_bytes),
                f"{repo.reused_files:,}",
                _name(repo),
            ),
            reason,
        )
        for repo, reason in zip(repos, _told_once(repos), strict=True)
    ]
    return page.table(("OUTCOME", "FILES", "FETCHED", "BYTES", "REUSED", "REPO"), rows, dispensable=("REUSED", "FILES"))


def _plan_table(repos: Sequence[RepoPlan], page: TextLayout) -> str:
    reasons = (
        "; ".join(filter(None, (repo.chosen, reason))) for repo, reason in zip(repos, _told_once(repos), strict=True)
    )
    rows = [
        Row(
            (
                "publish" if repo.outcome is RepoOutcome.PUBLISHED else repo.outcome,
                f"{repo.fetch_files:,}",
                in_bytes(repo.fetch_bytes),
                f"{repo.reuse_files:,}",
                f"{repo.remove_files:,}",
                _name(repo),
            ),
            reason,
        )
        for repo, reason in zip(repos, reasons, strict=True)
    ]
    return page.table(("WOULD", "FETCH", "BYTES", "REUSE", "REMOVE", "REPO"), rows, dispensable=("REMOVE", "REUSE"))


def spoken_repo(kind: Kind, repo: str) -> str:
    return repo if kind is Kind.MODEL else f"{kind}:{repo}"


def _name(of: Subject) -> str:
    return f"{of.spoken} ({of.job})"


def _left(report: RunReport) -> str:
    """7 repos left and 2 jobs not begun;"""
    left = [f"{counted(report.left, 'repo')} left"] if report.left else []
    if report.jobs_left:
        left.append(f"{counted(report.jobs_left, 'job')} not begun")
    return f"{' and '.join(left)}; " if left else ""


def _counts(repos: Sequence[RepoReport] | Sequence[RepoPlan]) -> str:
    """12 repos: 1 failed, 8 unchanged, 3 published; of a plan: 3 to publish."""
    every: list[RepoReport | RepoPlan] = sorted(repos, key=lambda repo: WORST_FIRST.index(repo.outcome))
    counts = Counter(map(_spoken, every))
    listed = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    return f"{counted(len(repos), 'repo')}: {listed}" if listed else "No repos"


def _spoken(repo: RepoReport | RepoPlan) -> str:
    planned = isinstance(repo, RepoPlan) and repo.outcome is RepoOutcome.PUBLISHED
    return "to publish" if planned else repo.outcome


def _done(*amounts: tuple[str, int, int]) -> str:
    """fetched 5 files (6.0 MB), went on with 21.0 MB, reused 1 file (33 B)."""
    some = [f"{verb} {_amount(files, size)}" for verb, files, size in amounts if files or size]
    return ", ".join(some) or f"{amounts[0][0]} nothing"


def _amount(files: int, size: int) -> str:
    """Of no whole file, the bytes alone."""
    return f"{counted(files, 'file')} ({in_bytes(size)})" if files else in_bytes(size)
