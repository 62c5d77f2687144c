"""What there is to do: a revision of a repo, what could not be expanded, and what whoever brings one must be told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.subject import Subject
from mirror_sync.engine.decision import NoChange, Seen

DENIED = "denied"  # the code of what the job itself denies


@dataclass(frozen=True, slots=True)
class Task:
    """One revision of one repo to bring up to date; `resolved` where a listing has answered already.

    `head` is what a listing told in passing: enough where nothing has moved. `asked` is what the job calls the repo,
    where it is published under another id.
    """

    job: Job
    repo: Repo
    revision: str
    resolved: Resolved | None = None
    head: Resolved | None = None
    asked: Repo | None = None

    @property
    def ordered(self) -> Repo:
        """The repo as the job calls it, which is what reports and policies go by."""
        return self.asked or self.repo

    @property
    def is_unled(self) -> bool:
        """Whether the upstream told by which id it is published, and no alias of the target did."""
        return self.asked is not None and self.resolved is not None

    @property
    def subject(self) -> Subject:
        """What reports call it: the repo as the job does."""
        return Subject.of(self.job.name, self.ordered, self.revision)

    def under(self, repo: Repo, resolved: Resolved | None = None) -> Task:
        """The same under the id that the repo is published by."""
        known = None if resolved is None else replace(resolved, asked=repo)
        return replace(self, repo=repo, asked=self.ordered, resolved=known, head=None)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Something that a job names and that could not be expanded, or stands for nothing; `found` says why."""

    job: Job
    pattern: RepoPattern
    revision: str
    found: NoChange

    @property
    def subject(self) -> Subject:
        """What reports call it."""
        return Subject.of(self.job.name, self.pattern, self.revision)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One changed revision of a repo, with all that whoever brings it up to date must be told; can be pickled.

    `jobs` are those of all configured ones that publish the repo into the same target, `actor` has it done. `looked` is
    the last look at it of the machine that runs the job.
    """

    run: str
    task: Task
    seen: Seen
    jobs: tuple[Job, ...]
    actor: Actor
    looked: LastCheck | None = None
