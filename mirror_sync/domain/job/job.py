"""An entry of jobs.yaml, as the engine sees it: everything resolved, nothing left to look up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.channel_rules import ChannelRule, Rollout
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.own.transform import Transform
from mirror_sync.domain.policy.decisions import Decisions
from mirror_sync.domain.policy.format_policy import FormatPolicy
from mirror_sync.domain.policy.gone import OnGone, mildest
from mirror_sync.domain.policy.house_rules import HouseRules
from mirror_sync.domain.policy.licences import LicensePolicy
from mirror_sync.domain.policy.rules import Rule
from mirror_sync.domain.policy.scan_policy import ScanPolicy
from mirror_sync.domain.repo import Denial, Kind, PublishedAs, Repo, RepoPattern


@dataclass(frozen=True, slots=True)
class Every:
    """Run again this long after the start of the last run. What is due outside of `only` waits for its next hours."""

    interval: timedelta
    jitter: timedelta = timedelta(0)
    only: Hours | None = None


@dataclass(frozen=True, slots=True)
class Cron:
    """Run at the times of a five-field crontab expression, in an IANA time zone; `only` as above."""

    expression: str
    timezone: str = "UTC"
    jitter: timedelta = timedelta(0)
    only: Hours | None = None


Schedule = Every | Cron


@dataclass(frozen=True, slots=True, repr=False)
class _Named:
    """What the entries of `repos` come to; `alike` in small letters."""

    repos: tuple[RepoPattern, ...]
    spelled_out: frozenset[tuple[Kind, str]]
    alike: frozenset[tuple[Kind, str]]
    globs: tuple[RepoPattern, ...]

    @classmethod
    def of(cls, repos: tuple[RepoPattern, ...]) -> _Named:
        globs = tuple(pattern for pattern in repos if pattern.is_glob)
        spelled_out = frozenset((pattern.kind, pattern.glob) for pattern in repos if not pattern.is_glob)
        alike = frozenset(each if each[1].islower() else (each[0], each[1].lower()) for each in spelled_out)
        return cls(repos, spelled_out, alike, globs)


@dataclass(frozen=True, slots=True)
class Job:
    """What to mirror, from where, to where. `schedule` None: by hand only. `workers` bounds the files in flight,
    `connections` the requests and transfers open at the upstream; None: as many as its threads make,
    `segments` those of one large file; None: as many as the rate gains by.
    `only`: the repos that a run was asked for, of those that the job names; None: all of them. A job with a `ranking`
    names all repos that it ranks, in `repos`, and brings the first of them. What `denied` matches it does not name,
    whatever else does. `policy` judges licences, `house` all else that is known before a file is fetched, `formats` and
    `scan` the files themselves (None: nobody looks at them); `decisions` are those of people, of any job. `opens`: what
    is gated or private upstream is for everybody here who may read what is public. `channels` move by a rule, and a
    grey release grows by its `rollout`, when a run ends. `published_as`: what makes the names here of those at the
    upstream; all that names repos, this job's own `repos` included, has the names here. `roads`: names of other
    upstreams that may have the same bytes. `transform`: what is made of each repo when it was published.
    """

    name: str
    repos: tuple[RepoPattern, ...]
    upstream: str
    target: str
    revisions: tuple[str, ...] = ("main",)
    selection: Selection = Selection()
    policy: LicensePolicy = LicensePolicy()
    schedule: Schedule | None = None
    workers: int = 8
    guard: Guard = Guard()
    on_gone: OnGone = OnGone.KEEP
    retention: Retention = Retention()
    bandwidth: Bandwidth = Bandwidth()
    connections: int | None = None
    segments: int | None = None
    only: frozenset[Repo] | None = None
    ranking: Ranking | None = None
    denied: tuple[RepoPattern, ...] = ()
    house: HouseRules = HouseRules()
    decisions: Decisions = field(default=Decisions(), repr=False)
    formats: FormatPolicy | None = None
    scan: ScanPolicy | None = None
    opens: bool = False
    channels: tuple[ChannelRule, ...] = ()
    rollout: Rollout | None = None
    published_as: PublishedAs | None = None
    roads: tuple[str, ...] = ()
    transform: Transform | None = None
    # Made once, and handed on by `replace`: a job of ten thousand repos is asked as often whether it names one.
    _named: _Named | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._named is None or self._named.repos is not self.repos:
            object.__setattr__(self, "_named", _Named.of(self.repos))

    @property
    def _names(self) -> _Named:
        assert self._named is not None  # noqa: S101  for the type checker: it is made with the job
        return self._named

    @property
    def reads(self) -> str:
        """What its lists of repos are of: its upstream, and the names by which it calls that upstream's repos."""
        return self.upstream if self.published_as is None else f"{self.upstream} as {self.published_as}"

    def published(self, repo: Repo) -> Repo:
        """The name here of a repo of its upstream; the same where it can have no other."""
        try:
            return repo if self.published_as is None else self.published_as.published(repo)
        except ValueError:
            return repo

    def named_upstream(self, pattern: RepoPattern) -> RepoPattern:
        """What the upstream calls a repo, or a glob, of the job."""
        if self.published_as is None:
            return pattern
        return RepoPattern(pattern.kind, self.published_as.upstreams(pattern.glob))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What judges whether a repo of it may be published, by what a check tells."""
        return self.house.around(self.policy)

    @property
    def later_rules(self) -> tuple[Rule, ...]:
        """What judges a commit then, when the upstream was asked for more."""
        return self.house.later(self.policy)

    @property
    def asked(self) -> tuple[RepoPattern, ...]:
        """What a run has to expand."""
        if self.only is None or self.ranking is not None:  # what is ranked is only known when all is
            if self.takes_all:
                return self.repos
            return tuple(pattern for pattern in self.repos if pattern.is_glob or self.names(pattern.repo))
        return tuple(RepoPattern(repo.kind, repo.id) for repo in sorted(self.only) if self.names(repo))

    @property
    def takes_all(self) -> bool:
        """Whether it mirrors whatever it spells out: so that nobody has to ask of each of very many."""
        return not self.denied and self.ranking is None

    def denied_by(self, repo: Repo) -> RepoPattern | None:
        """Which denial takes a repo out of the job."""
        return next((pattern for pattern in self.denied if pattern.matches(repo)), None) if self.denied else None

    def names(self, repo: Repo) -> bool:
        """Whether the job mirrors a repo, by its name, a glob or its ranking, and does not deny it."""
        if self.denied_by(repo) is not None:
            return False
        if self.ranking is not None:
            return self.ranking.takes(repo)
        return self.spells_out(repo) or any(pattern.matches(repo) for pattern in self._names.globs)

    @property
    def names_globs(self) -> bool:
        """Whether it names repos by a glob, too."""
        return bool(self._names.globs)

    def spells_out(self, repo: Repo) -> bool:
        """Whether the job names the repo itself, rather than by a glob."""
        return (repo.kind, repo.id) in self._names.spelled_out

    def shares_no_name_with(self, other: Job) -> bool:
        """Whether both spell out all that they name, and nothing of it twice: sets tell that of thousands at once."""
        mine, theirs = self._names, other._names
        return not (mine.globs or theirs.globs) and mine.spelled_out.isdisjoint(theirs.spelled_out)

    @property
    def is_wide(self) -> bool:
        """Whether it names any repo there is, and has to do with those alone that it took: see `Ranking.is_wide`."""
        return self.ranking is not None and self.ranking.is_wide

    @property
    def inspects(self) -> bool:
        """Whether its snapshots are judged by their files."""
        return self.formats is not None or self.scan is not None

    def means(self, repo: Repo) -> bool:
        """Whether it names the repo, or spells its id in other letters: an upstream takes both for the same."""
        alike = (repo.kind, repo.id.lower()) in self._names.alike
        return self.names(repo) or (alike and self.denied_by(repo) is None)

    def follows(self, revision: str) -> bool:
        """Whether a revision is, or matches, one of the job's."""
        return any(fnmatchcase(revision, pattern) for pattern in self.revisions)


def denials(jobs: Iterable[Job], repo: Repo) -> str:
    """Who denies a repo, in one line; empty for nobody."""
    found = ((job, job.denied_by(repo)) for job in jobs)
    return "; ".join(
        f"{str(Denial(by))!r} under repos of job {job.name} denies it" for job, by in found if by is not None
    )


def owners(jobs: Iterable[Job], target: str, repo: Repo) -> tuple[Job, ...]:
    """The jobs that publish a repo into a target; a job with a ranking, which may never have ranked it, comes last.

    One that may rank any repo has no say where others have one.
    """
    named = [job for job in jobs if job.target == target and job.means(repo)]
    meant = [job for job in named if not job.is_wide] or named
    return tuple(sorted(meant, key=lambda job: job.ranking is not None))


def agreed_on_gone(jobs: Iterable[Job], target: str, repo: Repo) -> OnGone:
    """What all jobs of a repo can live with: a snapshot is one for all of them."""
    return mildest(tuple(job.on_gone for job in owners(jobs, target, repo)))


def cedes(job: Job, repo: Repo, revision: str, jobs: Iterable[Job]) -> bool:
    """Whether a job with a ranking leaves a revision to a job without one, which names it on the same target."""
    if job.ranking is None:
        return False
    return any(
        other.ranking is None and other.target == job.target and other.names(repo) and other.follows(revision)
        for other in jobs
    )


def rival(job: Job, repo: Repo, names: Iterable[str], jobs: Iterable[Job]) -> Job | None:
    """Another job that wants other files of a commit of `repo`, which goes by any of `names`, on the same target.

    A ranking is none to a job without one: it cedes.
    """
    wanted = tuple(names)
    for other in jobs:
        same_place = other.name != job.name and other.target == job.target and other.means(repo)
        ceded = other.ranking is not None and job.ranking is None
        if same_place and not ceded and other.selection != job.selection and any(map(other.follows, wanted)):
            return other
    return None
