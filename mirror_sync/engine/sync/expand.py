"""Expands a job into its work: pairs of a repo and a revision."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from mirror_sync.domain.bounds import plain, short
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, name_fault
from mirror_sync.domain.content.upstream import PassedOver, Resolved, Shortfall
from mirror_sync.domain.job.job import Job, cedes, denials
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.outcome.events import RankingCutShort, RefsLeftOut
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.work import DENIED, Task, TaskResult, Unlisted
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.faults import to_outcome
from mirror_sync.engine.published import Mirrored
from mirror_sync.engine.sync.heads import ListedBefore, asks_lists, heads_of
from mirror_sync.engine.sync.hints import Hints
from mirror_sync.engine.sync.selecting import Selected, TakenBefore, ranked, wanted
from mirror_sync.errors import Disabled, Gated, NoSuchCall, NotFoundOrPrivate
from mirror_sync.ports.source import Catalogue

_GLOB = re.compile(r"[*?\[]")
_NAMED, _SHOWN = 3, 80  # names of refs that are told of a repo, and characters of each


def gather(
    context: RunContext, run: str, job: Job, jobs: Sequence[Job], before: ListedBefore | None = None
) -> Iterator[Task | Unlisted]:
    """The tasks of a job, each pair once; what cannot be listed is data, so that it never stops the rest.

    What the job denies is an Unlisted of the code DENIED, which a plan shows and a run passes over.
    What a pattern names and the target publishes is a task also when the upstream lists it no more. After a stop
    nothing is asked any more, and what it would have been asked about is Unlisted. `jobs` are all of the configuration:
    a ranking leaves to others what they name. `before`: what lists told to the jobs of the run before this one.
    """
    seen: set[tuple[Repo, str]] = set()
    if job.only is not None:
        context.source(job).forget_lists(job.only)
    expansion = _Expansion(context, run, job, jobs, before)
    yield from expansion.denied()
    for pattern in job.asked:
        for item in expansion.of(pattern):
            if isinstance(item, Task):
                if (item.repo, item.revision) in seen or cedes(job, item.repo, item.revision, jobs):
                    continue
                seen.add((item.repo, item.revision))
            yield item


class _Expansion:
    """Expands the patterns of one job."""

    def __init__(
        self, context: RunContext, run: str, job: Job, jobs: Sequence[Job], before: ListedBefore | None = None
    ) -> None:
        self._context, self._run, self._job, self._jobs, self._before = context, run, job, jobs, before
        self._source = context.source(job)
        self._mirrored = Mirrored(context.targets[job.target].store)
        self._hints = Hints(context, run, job.name, self._source, context.targets[job.target].read_cache)
        self._denied: set[Repo] = set()
        self._why: Mapping[Repo, str] = {}  # by repo, why a select takes it
        self._globs = [revision for revision in job.revisions if _GLOB.search(revision)]

    def of(self, pattern: RepoPattern) -> Iterator[Task | Unlisted]:
        if not pattern.is_glob:
            repo = pattern.repo
            yield from self._revisions(repo, None, self._heads.get(repo))
            return
        try:
            listed, beyond, passed_over = self._search(pattern)
        except Exception as error:  # whatever stops one pattern must not stop the others
            yield self._unlisted(pattern, "*", error)
            return
        yield from (self._passed(one) for one in passed_over if one.repo not in listed)
        denied = [repo for repo in listed if self._job.denied_by(repo) is not None]
        yield from self._denials(denied)
        if len(denied) == len(listed) > 0:
            yield self._idle(pattern, f"all repos that match {pattern} are denied: nothing to do")
        if not listed and self._job.only is None and self._may_be_empty:
            yield self._idle(pattern, self._nothing_wanted())
        listed = {repo: resolved for repo, resolved in listed.items() if self._job.denied_by(repo) is None}
        heads = self._heads_of(beyond if self._job.ranking else ())
        for repo, resolved in listed.items():
            yield from self._revisions(repo, resolved, heads.get(repo))

    def denied(self) -> Iterator[Unlisted]:
        """What the job spells out and denies."""
        if self._job.takes_all:
            return iter(())
        only = self._job.only
        named = [pattern.repo for pattern in self._job.repos if not pattern.is_glob]
        return self._denials([repo for repo in named if not self._job.names(repo) and (only is None or repo in only)])

    def _denials(self, repos: Sequence[Repo]) -> Iterator[Unlisted]:
        """Each once, however many patterns bring it."""
        for repo in [repo for repo in repos if repo not in self._denied]:
            self._denied.add(repo)
            refused = TaskResult(RepoOutcome.REFUSED, None, denials([self._job], repo), DENIED)
            yield Unlisted(self._job, RepoPattern(repo.kind, repo.id), ", ".join(self._job.revisions), refused)

    @cached_property
    def _heads(self) -> Mapping[Repo, Resolved]:
        """What is known of the repos that the job spells out, beside the owners whose repos are listed anyway."""
        asked = self._job.asked
        listed = {(pattern.kind, pattern.owner) for pattern in asked if pattern.is_glob}
        named = [pattern.repo for pattern in asked if not pattern.is_glob]
        return self._heads_of([repo for repo in named if (repo.kind, repo.owner) not in listed])

    def _heads_of(self, repos: Sequence[Repo]) -> Mapping[Repo, Resolved]:
        return heads_of(self._hints, repos, self._job.reads, self._before) if asks_lists(self._job) else {}

    def _passed(self, one: PassedOver) -> Unlisted:
        refused = TaskResult(RepoOutcome.REFUSED, None, one.why, DENIED)
        return Unlisted(self._job, RepoPattern(one.repo.kind, one.repo.id), ", ".join(self._job.revisions), refused)

    def _search(self, pattern: RepoPattern) -> tuple[dict[Repo, Resolved | None], Sequence[Repo], Sequence[PassedOver]]:
        """What the upstream lists, or ranks first, with what is published already; of that what it did not list; and
        what it has and the job does not take.

        Of a ranking that may take any repo there is, only what it took once is looked after.
        """
        self._context.go_on()
        ranking = self._job.ranking
        choice = self._choice(pattern)
        listed, short = dict(choice.listed), choice.short
        if short is not None:
            self._tell_short(short, len(listed))
        mirrored = list(filter(self._job.names, self._mirrored.matching(pattern)))
        if self._job.is_wide:
            mirrored = TakenBefore(self._context.targets[self._job.target].read_cache, self._job).among(
                mirrored, choice
            )
        if not listed and not mirrored and not self._may_be_empty:
            raise NotFoundOrPrivate(_nothing(pattern, short))
        fell = "" if ranking is None else f"fell out of {ranking}, and is kept up to date"
        self._why = dict.fromkeys(mirrored, fell) | dict(choice.why)
        if self._job.only is not None:
            return {repo: None for repo in (*listed, *mirrored) if repo in self._job.only}, [], []
        beyond = [repo for repo in mirrored if repo not in listed]
        return listed | self._doubted(str(pattern), listed, mirrored), beyond, choice.passed_over

    def _choice(self, pattern: RepoPattern) -> Selected:
        ranking = self._job.ranking
        if ranking is None:
            found = self._source.search(pattern)
            return Selected(dict(_entry(item) for item in found if isinstance(item, Resolved | Repo)), {}, None)
        if ranking.demand is None:
            return ranked(self._source.search(ranking), ranking)
        return wanted(self._context, self._job, ranking, self._source, self._jobs) or Selected({}, {}, None)

    @property
    def _may_be_empty(self) -> bool:
        ranking = self._job.ranking
        return isinstance(ranking, Variants) or (ranking is not None and ranking.demand is not None)

    def _idle(self, pattern: RepoPattern, nothing: str) -> Unlisted:
        return Unlisted(self._job, pattern, "*", TaskResult(RepoOutcome.UNCHANGED, None, nothing, ""))

    def _nothing_wanted(self) -> str:
        if isinstance(self._job.ranking, Variants):
            return f"nobody has made {self._job.ranking} yet, or none of it is to be taken: nothing to do"
        if self._context.demand(self._job.target) is None:
            count = f"mirror-sync traffic --target {self._job.target} LOG counts"
            return f"nobody has counted yet what readers of target {self._job.target} ask for: {count} it"
        return f"readers of target {self._job.target} ask for nothing that fits select: nothing to do"

    def _doubted(
        self, what: str, listed: Mapping[Repo, Resolved | None], mirrored: Sequence[Repo]
    ) -> dict[Repo, Resolved | None]:
        """What is known of what is published already: where it has moved, a list that lags says that it has not."""
        known = {repo: resolved for repo in mirrored if (resolved := listed.get(repo)) is not None}
        believed = self._hints.believed(what, known) if asks_lists(self._job) else {}
        return {repo: believed.get(repo) for repo in mirrored}

    def _tell_short(self, short: Shortfall, repos: int) -> None:
        ranking = self._job.ranking
        if short.left and ranking is not None:
            self._context.tell(RankingCutShort(self._run, self._job.name, repos, ranking.limit, short.seen))

    def _revisions(self, repo: Repo, resolved: Resolved | None, head: Resolved | None) -> Iterator[Task | Unlisted]:
        """`resolved` and `head` are what is known of the default branch."""
        for revision in self._job.revisions:
            if revision == DEFAULT_BRANCH:
                yield Task(self._job, repo, revision, resolved, head, chosen=self._why.get(repo, ""))
            elif revision not in self._globs:
                yield Task(self._job, repo, revision, chosen=self._why.get(repo, ""))
        if self._globs:
            yield from self._matching(repo)

    def _matching(self, repo: Repo) -> Iterator[Task | Unlisted]:
        pattern = RepoPattern(repo.kind, repo.id)
        try:
            self._context.go_on()
            names, untold = _names(repo, self._source, self._mirrored)
        except Exception as error:  # as above
            yield self._unlisted(pattern, ", ".join(self._globs), error)
            return
        odd = [name for name in names if name_fault(name)]
        self._tell_left_out(repo, [name for name in odd if any(_stands_for(glob, name) for glob in self._globs)])
        for glob in self._globs:
            found = [name for name in names if name not in odd and _stands_for(glob, name)]
            yield from (Task(self._job, repo, name, chosen=self._why.get(repo, "")) for name in found)
            if untold is not None:
                yield self._unlisted(pattern, glob, untold)
            elif not found:
                nothing = f"no branch or tag of {repo} matches {glob}: nothing to do"
                yield Unlisted(self._job, pattern, glob, TaskResult(RepoOutcome.UNCHANGED, None, nothing, ""))

    def _tell_left_out(self, repo: Repo, names: Sequence[str]) -> None:
        if names:
            shown = tuple(f"{plain(short(name, _SHOWN))}: {name_fault(name)}" for name in names[:_NAMED])
            self._context.tell(RefsLeftOut(self._run, self._job.name, repo, shown, len(names)))

    def _unlisted(self, pattern: RepoPattern, revision: str, error: Exception) -> Unlisted:
        return Unlisted(self._job, pattern, revision, to_outcome(self._context, self._run, self._job, pattern, error))


def _entry(item: Resolved | Repo) -> tuple[Repo, Resolved | None]:
    """A bare repo is listed, too: its own task says why it cannot be read."""
    return (item, None) if isinstance(item, Repo) else (item.queried, item)


def _nothing(pattern: RepoPattern, short: Shortfall | None) -> str:
    of = "all" if "*" in pattern.owner else pattern.owner
    if short is None:
        return f"no repo of {of} matches {pattern}: the upstream has none, or shows none to this token"
    if short.left:
        return f"none of the first {short.seen} of {of} fits select, whose list was read no further"
    return f"none of the {short.seen} of {of} that are listed fits select"


def _stands_for(glob: str, name: str) -> bool:
    return fnmatchcase(name, glob) and _is_full(name) == _is_full(glob)


def _is_full(name: str) -> bool:
    """A conversion, which only goes by its full name, is mirrored for a glob that says so: refs/convert/*."""
    return name.startswith("refs/")


def _names(repo: Repo, source: Catalogue, mirrored: Mirrored) -> tuple[list[str], NoSuchCall | None]:
    """The upstream's branches and tags; those that are published where the upstream no longer gives the repo.

    Also where it tells of none, and then why: what is published is followed, and nobody knows what else there is.
    """
    try:
        return [ref.shortest for ref in source.refs(repo)], None
    except NoSuchCall as error:
        return mirrored.names(repo), NoSuchCall(f"{error}: name the revisions one by one, without a wildcard")
    except (NotFoundOrPrivate, Gated, Disabled):
        names = mirrored.names(repo)
        if not names:
            raise
        return names, None
