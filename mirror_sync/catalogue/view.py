"""Joins what is published with what is known of it: the values that pages are made of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from mirror_sync.catalogue.gather import Facts
from mirror_sync.catalogue.known import Known
from mirror_sync.domain.catalogue import Asked, Lag, Overview, RepoPage, RepoRow
from mirror_sync.domain.line import Line, State
from mirror_sync.domain.repo import Kind, Repo

_RECENT = 12  # repos
_ORDER = {state.value: number for number, state in enumerate(State)}  # what needs a person comes first


class View:
    """What is known of one target, by repo; its lines are for everybody to see."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.lines = tuple(sorted(known.lines, key=_place))
        self._of: defaultdict[Repo, list[Line]] = defaultdict(list)
        for line in self.lines:
            if (repo := _repo(line)) is not None:
                self._of[repo].append(line)

    @property
    def asked(self) -> frozenset[Repo]:
        """The repos that some job asks for."""
        return frozenset(self._of)

    def page(self, repo: Repo, facts: Facts) -> RepoPage:
        """A repo's page, its files left out."""
        asked = tuple(_asked(line, facts) for line in self._of.get(repo, ()))
        return RepoPage(
            row=_row(repo, facts, asked),
            verdict=facts.verdict or next((one.reason for one in asked if one.reason), ""),
            gone=facts.gone,
            upstream=self._address(repo),
            asked=asked,
            snapshots=facts.snapshots,
            shown_commit=facts.shown,
            files=(),
            listings=facts.listings,
        )

    def overview(self, rows: Sequence[RepoRow]) -> Overview:
        known, published = self._known, [row for row in rows if row.commit is not None]
        names = {(row.kind, row.repo): row for row in published}
        gaps = sum(not _is_there(line, names) for line in self.lines)
        files, size = sum(row.files for row in published), sum(row.bytes for row in published)
        found = Overview(
            name=known.name,
            url=known.url,
            version=known.version,
            at=known.now,
            repos=len(published),
            complete=not gaps,
            gaps=gaps,
            files=files,
            bytes=size,
            jobs=tuple(job.shown for job in known.jobs),
            recent=tuple(sorted(published, key=_newest_first, reverse=True)[:_RECENT]),
            lag=self._lag(),
            traffic=known.traffic,
        )
        return replace(found, growth=known.grow(found))

    def _lag(self) -> Lag | None:
        seconds = [line.lag_seconds for line in self.lines if line.lag_seconds is not None]
        return Lag(len(seconds), median(seconds), max(seconds)) if seconds else None

    def _address(self, repo: Repo) -> str:
        upstreams = self._known.upstreams
        base = next((found for line in self._of.get(repo, ()) if (found := upstreams.get(line.job, ""))), "")
        kind = "datasets/" if repo.kind is Kind.DATASET else ""
        return f"{base}/{kind}{repo.id}" if base else ""


def _place(line: Line) -> tuple[str, str, str, str]:
    return line.job, line.kind.value, line.repo, line.revision


def _newest_first(row: RepoRow) -> tuple[str, str]:
    return row.published or "", row.repo


def _repo(line: Line) -> Repo | None:
    """None for a pattern that no run has listed."""
    try:
        return Repo(line.kind, line.repo)
    except ValueError:
        return None


def _asked(line: Line, facts: Facts) -> Asked:
    """What is published is the truth: also where a machine remembers nothing of it, or what is there no more."""
    there = line.revision in facts.names or any(line.revision == one.commit for one in facts.snapshots)
    if line.state is State.NEVER and there:
        line = replace(line, state=State.PUBLISHED, reason="")
    if line.state is State.PUBLISHED and not facts.snapshots:
        line = replace(line, state=State.NEVER, reason="it is not there any more; the next run publishes it")
    return Asked(line.job, line.revision, line.state, line.reason)


def _is_there(line: Line, published: Iterable[tuple[Kind, str]]) -> bool:
    there = (line.kind, line.repo) in published
    return there if line.state is State.NEVER else there and line.state.mirrored


def _row(repo: Repo, facts: Facts, asked: Sequence[Asked]) -> RepoRow:
    states = sorted((one.state for one in asked), key=_ORDER.__getitem__)
    newest = facts.newest
    return RepoRow(
        kind=repo.kind,
        repo=repo.id,
        state=states[0] if states else State.PUBLISHED,
        licenses=facts.licenses,
        task=facts.task,
        library=facts.library,
        files=newest.files if newest else 0,
        bytes=newest.bytes if newest else 0,
        commit=facts.shown,
        published=newest.published if newest else None,
    )
