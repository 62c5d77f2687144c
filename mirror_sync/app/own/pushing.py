"""`push`: a folder becomes a commit of an own model in an upstream, and jobs that name it publish it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mirror_sync.app.configured import Configured
from mirror_sync.app.trust.auditing import acting
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.refs import DEFAULT_BRANCH
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.job.guard import ANY, Guard
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.domain.own.pushed import PUSHED, MadeFrom, Pushed
from mirror_sync.domain.policy.licences import LICENCE, LicensePolicy
from mirror_sync.domain.policy.rules import Candidate, Outcome, Verdict
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.run import sync_jobs
from mirror_sync.errors import (
    Interrupted,
    NotFoundOrPrivate,
    StoreError,
    StoreUnavailable,
    UnsafePath,
    UpstreamError,
    UsageError,
)
from mirror_sync.ports.source import Source
from mirror_sync.state.locks import acquired, locks_of

if TYPE_CHECKING:
    from mirror_sync.app.syncing import SyncJobs

FOLDER = "folder"  # what the folder is called, as an upstream of the run that stores it
_TRIES = 5  # of a push, when others of other machines are quicker
_SETTLED = {DirectoryTarget: 0.1, S3Target: 2.0}  # seconds until what another machine was about to put is there
_LEFT = 7 * 24 * 3600.0  # seconds after which nobody goes on with an upload


class WholeFolder(Source, Protocol):
    """A folder that is about to be pushed, as one repo."""

    def expect_whole(self, repo: Repo) -> Resolved:
        """What would be pushed. UpstreamError, or UnsafePath, for a folder that should not be."""
        ...


class MakePushed(Protocol):
    """Makes the folder that is pushed: what is said of it, the commits before it, and its time."""

    def __call__(self, folder: Path, pushed: Pushed, before: tuple[Commit, ...], at: str) -> WholeFolder: ...


@dataclass(frozen=True, slots=True)
class OwnPlaces:
    """`upstream` gives what reads one by its name; `storing` a context whose one target is where a push is stored, of
    that name, and that has no upstream yet.
    """

    upstream: Callable[[str], Source]
    folder: MakePushed
    storing: Callable[[str, Target], RunContext]


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did. `jobs` publish the repo, as `run` tells; none where no job names it: then `line` would."""

    repo: str
    upstream: str
    commit: str
    new: bool
    files: int = 0
    bytes: int = 0
    jobs: tuple[str, ...] = ()
    run: RunReport | None = None
    line: str = ""

    @property
    def ok(self) -> bool:
        """Whether all jobs that name it have published it: a push that policy holds is not done."""
        if self.run is None:
            return True
        done = (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
        return self.run.ok and all(one.outcome in done for one in self.run.repos)

    def encode(self) -> dict[str, Any]:
        """The document of `push --json`."""
        names = ("repo", "upstream", "commit", "new", "files", "bytes", "line", "ok")
        run = None if self.run is None else self.run.encode()
        return {**{name: getattr(self, name) for name in names}, "jobs": list(self.jobs), "run": run}


@dataclass(frozen=True)
class Anything(LicensePolicy):
    """What is pushed is stored, whatever its licence: jobs that publish it judge it."""

    by: str = field(default="", compare=False)

    def judge(self, candidate: Candidate) -> Verdict:
        return Verdict(LICENCE, Outcome.ALLOWED, f"pushed by {self.by}: the job that publishes it judges its licence")


class PushModels:
    """Safe for many threads and processes."""

    def __init__(
        self, settings: Settings, configured: Configured, places: OwnPlaces, sync: Callable[[], SyncJobs]
    ) -> None:
        self._settings, self._configured, self._places, self._sync = settings, configured, places, sync

    def __call__(
        self, actor: Actor, folder: Path, repo: Repo, pushed: Pushed, upstream: str | None = None
    ) -> PushReport:
        """Push a folder, and let the jobs that name it publish it. UsageError for what cannot be pushed, or not there.

        StoreError, UpstreamError and others of the engine where it could not be stored: nothing has changed then.
        """
        name = self.upstream_of(upstream)
        report = self.store(actor, folder, repo, pushed, name)
        jobs = [job for job in self._configured.jobs() if job.upstream == name and _publishes(job, repo)]
        if not jobs:
            return replace(report, line=f"- {{name: {_job_name(repo)}, upstream: {name}, repos: ['{repo}']}}")
        names = [job.name for job in jobs]
        run = self._sync()(actor, names, {job.published(repo) for job in jobs})
        return replace(report, jobs=tuple(names), run=run)

    def store(self, actor: Actor, folder: Path, repo: Repo, pushed: Pushed, name: str) -> PushReport:
        """The first half alone: the commit is in the upstream. UsageError for what cannot be pushed.

        StoreUnavailable where others push the same repo all the time; what else the engine raises where it fails.
        """
        target = self._settings.upstreams[name].pushed_into
        if target is None:
            raise UsageError(f"upstream {name} takes no push: only those of kind: directory and kind: own do")
        if not repo.owner:
            raise UsageError(f"{repo} has no owner, and clients ask for owner/name; write acme/{repo.id}")
        if not folder.is_dir():
            raise UsageError(f"{plain(str(folder))} is no folder")
        context = self._places.storing(name, target)
        with self._alone(context, target, repo):
            for _ in range(_TRIES):
                report = self._stored(context, actor, (folder, repo, pushed), name, _SETTLED[type(target)])
                if report is not None:
                    return report
        raise StoreUnavailable(f"others push {repo} into {name} again and again; push it again in a while")

    def made_from(self, repo: Repo, name: str) -> MadeFrom | None:
        """What the newest commit of a repo was made of; None where nothing was made, or is not there. UpstreamError."""
        try:
            found = self._places.upstream(name).resolve(repo, DEFAULT_BRANCH)
        except NotFoundOrPrivate:
            return None
        pushed = Pushed.of(found.described)
        return None if pushed is None else pushed.made_from

    def upstream_of(self, name: str | None) -> str:
        """The upstream that is meant. UsageError for none that takes a push."""
        known, file = self._settings.upstreams, self._settings.path.name
        able = [one for one, upstream in known.items() if upstream.pushed_into is not None]
        if not able:
            raise UsageError(
                f"{file} has no upstream that takes a push; add own: {{kind: own, url: s3://bucket/prefix}}"
            )
        if name is None and len(able) > 1:
            raise UsageError(f"{file} has several upstreams that take a push: choose one by --upstream ({_all(able)})")
        if name is None:
            return able[0]
        if name not in known:
            raise UsageError(f"{file} has no upstream {name!r}; a push can go to: {_all(able)}")
        return name

    @contextmanager
    def _alone(self, context: RunContext, target: Target, repo: Repo) -> Iterator[None]:
        """One push of a repo at a time, on this machine: the second one comes on top of the first."""
        name = f"push-{repo.kind.plural}-{repo.id.replace('/', '--')}.lock"
        path = locks_of(self._settings.state_dir, place_of(target)) / name
        try:
            lock = acquired(path, context.go_on)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
        with lock:
            yield

    def _stored(
        self, context: RunContext, actor: Actor, what: tuple[Path, Repo, Pushed], name: str, settled: float
    ) -> PushReport | None:
        """None where what was stored is there no more after `settled` seconds: another machine has put an older state
        over it.
        """
        folder, repo, pushed = what
        before = _before(self._places.upstream(name), repo, name)
        pushing = self._places.folder(folder, pushed, before, context.now().replace("Z", ".000Z"))
        try:
            found = pushing.expect_whole(repo)
        except (UpstreamError, UnsafePath) as error:
            raise UsageError(str(error)) from error
        if before and before[0].id == found.commit:
            return PushReport(str(repo), name, found.commit, new=False)
        job = Job(
            name="push",
            repos=(RepoPattern(repo.kind, repo.id),),
            upstream=FOLDER,
            target=name,
            policy=Anything(by=pushed.by),
            guard=Guard(1.0, frozenset({ANY})),
        )
        with acting(replace(context, sources={FOLDER: pushing}), actor, {name}) as acting_context:
            run = sync_jobs(acting_context, [job], [job])
        if run.interrupted:
            raise Interrupted("stopped before the push was done: nothing has changed")
        (one,) = run.repos
        if one.outcome is not RepoOutcome.PUBLISHED:
            raise UpstreamError(f"{repo} was not stored in {name}: {one.reason}")
        target = context.targets[name]
        context.pause(settled)
        with suppress(StoreError):
            target.store.sweep(_LEFT)
        if found.commit not in read_refs(target.store, repo).snapshots:
            return None
        return PushReport(str(repo), name, found.commit, new=True, files=one.files, bytes=one.bytes)


def _before(source: Source, repo: Repo, name: str) -> tuple[Commit, ...]:
    """What was pushed before, newest first. UsageError where a folder has the name that nobody has pushed."""
    try:
        found = source.resolve(repo, DEFAULT_BRANCH)
    except NotFoundOrPrivate:
        return ()
    if PUSHED not in found.described:
        raise UsageError(
            f"{repo} is a folder of upstream {name}, which nobody has pushed: move it away, or push another name"
        )
    return source.history(repo, found.commit)


def _publishes(job: Job, repo: Repo) -> bool:
    """Whether a job brings main of a repo of its upstream."""
    return job.names(job.published(repo)) and job.follows(DEFAULT_BRANCH)


def _job_name(repo: Repo) -> str:
    return re.sub(r"[^a-z0-9]+", "-", repo.id.lower()).strip("-")


def _all(names: Sequence[str]) -> str:
    return ", ".join(names)
