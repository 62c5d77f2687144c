"""Joins what is published with what is known of it: the values that pages are made of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from heapq import nlargest, nsmallest
from statistics import median

from mirror_sync.catalogue.gather import RepoFacts
from mirror_sync.catalogue.local_knowledge import KnownJob, LocalKnowledge
from mirror_sync.domain.catalogue.rows import (
    LACKS_SHOWN,
    REASONS_SHOWN,
    Day,
    JobEntryView,
    Lack,
    LackGroup,
    Lag,
    Overview,
    RepoPage,
    RepoRow,
    ShownJob,
    ShownSnapshot,
)
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.policy.gone import PRIVATE
from mirror_sync.domain.repo import Kind, Repo

_RECENT = 12  # repos
_ENDED = ("complete", "failed")  # how a run is told that came to its end
_WORST = {state: number for number, state in enumerate(RepoState)}
_UNREAD = "what is published of it cannot be read", "unread"  # with the code
_LOST = "it is not there any more: the next run publishes it", "lost"


class View:
    """What is known of one target; its lines are for everybody to see."""

    def __init__(self, known: LocalKnowledge) -> None:
        self._known, self._upstreams = known, known.upstreams
        self._of: defaultdict[Repo, list[RepoStatus]] = defaultdict(list)
        self.patterns: list[RepoStatus] = []
        """What no run has listed."""
        for line in sorted(known.lines, key=lambda line: line.parts):
            repo = line.one_repo
            (self.patterns if repo is None else self._of[repo]).append(line)

    @property
    def asked(self) -> frozenset[Repo]:
        """The repos that some job asks for."""
        return frozenset(self._of)

    def lines(self, repo: Repo, facts: RepoFacts | None) -> tuple[RepoStatus, ...]:
        """What jobs ask of a repo, beside what is published of it; None: that cannot be read.

        A private repo's name is a secret, too, unless something of it is published. What was taken down has no line.
        """
        lines = self._of.get(repo, [])
        if facts is not None and facts.withdrawn:
            return ()
        if facts is None or not facts.snapshots:
            lines = [line for line in lines if line.code != PRIVATE]
        if facts is None:
            return tuple(_because(line, RepoState.FAILED, _UNREAD) for line in lines)
        return tuple(_checked(line, facts) for line in lines)

    def page(self, repo: Repo, facts: RepoFacts, lines: Sequence[RepoStatus]) -> RepoPage:
        """A repo's page, its files left out."""
        return RepoPage(
            row=row_of(repo, facts, lines),
            verdict=facts.verdict or next((line.reason for line in lines if line.reason), ""),
            gone=facts.gone,
            since=facts.since,
            upstream=self.address(repo),
            asked=tuple(JobEntryView(line.job, line.revision, line.state, line.reason, line.code) for line in lines),
            snapshots=facts.snapshots,
            shown_commit=facts.shown,
            files=(),
            listings=facts.listings,
            left=facts.left,
            patterns=facts.patterns,
            classes=facts.classes,
            verdicts=facts.verdicts,
            signed=facts.signed,
            scanned=facts.scanned,
            moves=facts.moves,
            pushed=facts.pushed,
        )

    def jobs(self, lines: Sequence[RepoStatus]) -> tuple[KnownJob, ...]:
        """Each with how many repos it asks for, and how many of them are there."""
        repos: defaultdict[str, set[tuple[Kind, str]]] = defaultdict(set)
        gaps: defaultdict[str, set[tuple[Kind, str]]] = defaultdict(set)
        for line in lines:
            repos[line.job].add((line.kind, line.repo))
            if not line.state.mirrored:
                gaps[line.job].add((line.kind, line.repo))
        counts = {name: (len(named), len(named - gaps[name])) for name, named in repos.items()}
        return tuple(_counted(job, *counts.get(job.shown.name, (0, 0))) for job in self._known.jobs)

    def overview(
        self, rows: Sequence[RepoRow], lines: Sequence[RepoStatus], growth: tuple[Day, ...] | None = None
    ) -> Overview:
        """`rows` and `lines` are all there are, and today's growth is remembered by them, unless it is known."""
        known, published = self._known, [row for row in rows if row.commit is not None]
        gaps = sum(not line.state.mirrored for line in lines)
        found = Overview(
            name=known.name,
            url=known.url,
            version=known.version,
            at=known.now,
            repos=len(published),
            complete=not gaps,
            gaps=gaps,
            files=sum(row.files for row in published),
            bytes=sum(row.bytes for row in published),
            jobs=tuple(self._shown(job) for job in self.jobs(lines)),
            recent=tuple(nlargest(_RECENT, published, key=_newest_last)),
            lag=_lag(lines),
            traffic=known.traffic,
            lacking=_lacking(lines),
            verified=known.verified,
            faults=known.faults,
            pruned=known.pruned,
            unusual=known.unusual,
            replicas=known.replicas,
            front=known.front,
        )
        return replace(found, growth=known.grow(found) if growth is None else growth)

    def _shown(self, job: KnownJob) -> ShownJob:
        """Of a run that ended, each repo says of itself whether it could be looked at; but for those of a pattern that
        could not be listed.
        """
        shown = job.shown
        unlisted = any(line.job == shown.name and not line.state.mirrored for line in self.patterns)
        ended = shown.last_finished if shown.last_state in _ENDED and not unlisted else None
        return replace(shown, succeeded=job.succeeded, checked=ended or job.succeeded)

    def address(self, repo: Repo) -> str:
        """Where upstream shows it; empty for nowhere."""
        bases = (self._upstreams.get(line.job, "") for line in self._of.get(repo, ()))
        base = next(filter(None, bases), "")
        return f"{base}/{repo.kind.place}{repo.id}" if base else ""


def row_of(repo: Repo, facts: RepoFacts, lines: Sequence[RepoStatus]) -> RepoRow:
    """The state that needs a person most stands for all."""
    newest = facts.newest
    worst = min(lines, key=lambda line: _WORST[line.state], default=None)
    return RepoRow(
        kind=repo.kind,
        repo=repo.id,
        state=RepoState.PUBLISHED if worst is None else worst.state,
        licenses=facts.licenses,
        task=facts.task,
        library=facts.library,
        files=newest.files if newest else 0,
        bytes=newest.bytes if newest else 0,
        commit=facts.shown,
        published=newest.published if newest else None,
        why="" if worst is None else worst.reason,
        code="" if worst is None or worst.state.mirrored else worst.code,
        item=facts.item,
        words=facts.words,
        parameters=facts.parameters,
        bases=facts.bases,
        relation=facts.relation,
    )


def _checked(line: RepoStatus, facts: RepoFacts) -> RepoStatus:
    """What is published is the truth: also where a machine remembers nothing of it, or what is there no more."""
    there = next((one for one in facts.snapshots if not _spellings(line.revision).isdisjoint(_ways_to(one))), None)
    if line.state in (RepoState.NEVER, RepoState.INTERRUPTED) and there is not None:
        known = replace(line, state=RepoState.PUBLISHED, reason="", commit=there.commit, published=there.published)
        line = replace(known, files=there.files, bytes=there.bytes)
    if line.state is RepoState.PUBLISHED and there is None:
        return _because(line, RepoState.NEVER, _LOST)
    told = line.assurance.signed, line.assurance.scanned
    as_shown = there is not None and there.commit == facts.shown == line.commit
    if as_shown and told != (facts.signed, facts.scanned):  # as its page says, which is read anew
        return replace(line, assurance=replace(line.assurance, signed=facts.signed, scanned=facts.scanned))
    return line


def _because(line: RepoStatus, state: RepoState, why: tuple[str, str]) -> RepoStatus:
    reason, code = why
    return replace(line, state=state, reason=reason, code=code)


def _ways_to(snapshot: ShownSnapshot) -> tuple[str, ...]:
    return snapshot.commit, *snapshot.names


def _spellings(revision: str) -> frozenset[str]:
    """As a snapshot may be named that a revision stands for: v1 for refs/tags/v1, refs/convert/parquet for parquet."""
    short = revision.removeprefix("refs/heads/").removeprefix("refs/tags/").removeprefix("refs/pr/")
    return frozenset({revision, short, f"refs/convert/{revision}"})


def _counted(job: KnownJob, repos: int, mirrored: int) -> KnownJob:
    return replace(job, shown=replace(job.shown, repos=repos, mirrored=mirrored))


def _lag(lines: Sequence[RepoStatus]) -> Lag | None:
    seconds = [line.lag_seconds for line in lines if line.lag_seconds is not None]
    return Lag(len(seconds), median(seconds), max(seconds)) if seconds else None


def _lacking(lines: Sequence[RepoStatus]) -> tuple[LackGroup, ...]:
    """What is not here by its reasons, what needs a person first; a private repo's name is nobody's business."""
    found: defaultdict[tuple[RepoState, str], list[RepoStatus]] = defaultdict(list)
    for line in lines:
        if not line.state.mirrored and line.code != PRIVATE:
            found[line.state, line.code].append(line)
    order = sorted(found, key=lambda key: (_WORST[key[0]], -len(found[key]), key[1]))
    return tuple(_group(*key, found[key]) for key in order[:REASONS_SHOWN])


def _group(state: RepoState, code: str, lines: Sequence[RepoStatus]) -> LackGroup:
    first = nsmallest(LACKS_SHOWN, lines, key=lambda line: (line.repo, line.kind, line.revision, line.job))
    told = (Lack(one.kind, one.repo, one.revision, one.job, one.state, one.reason, one.code) for one in first)
    return LackGroup(state, code, len(lines), tuple(told))


def _newest_last(row: RepoRow) -> tuple[str, str]:
    return row.published or "", row.repo
