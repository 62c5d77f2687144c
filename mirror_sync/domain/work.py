"""What there is to do: a revision of a repo, what could not be expanded, and what whoever brings one must be told.

And what becomes of it: a result that says how it ended, or, while it has not, what was seen and is planned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Document, Root
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import UNCONFIRMED, RepoOutcome
from mirror_sync.domain.policy.rules import Judgement, Outcome, Verdict
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.subject import Subject
from mirror_sync.errors import MirrorError

DENIED = "denied"  # the code of what the job itself denies


@dataclass(frozen=True, slots=True)
class Task:
    """One revision of one repo to bring up to date; `resolved` where a listing has answered already.

    `repo` is the id that it is published by. `head` is what a listing told in passing: enough where nothing has moved.
    `requested_as` is what the job calls the repo, where it is published under another id. `chosen`: why a `select`
    takes it; empty where the job names it.
    """

    job: Job
    repo: Repo
    revision: str
    resolved: Resolved | None = None
    head: Resolved | None = None
    requested_as: Repo | None = None
    chosen: str = ""

    @property
    def requested(self) -> Repo:
        """The repo as the job calls it, which is what reports and policies go by."""
        return self.requested_as or self.repo

    @property
    def lacks_alias(self) -> bool:
        """Whether the upstream told by which id it is published, and no alias of the target did."""
        return self.requested_as is not None and self.resolved is not None

    @property
    def subject(self) -> Subject:
        """What reports call it: the repo as the job does."""
        return Subject.of(self.job.name, self.requested, self.revision)

    def under(self, repo: Repo, resolved: Resolved | None = None) -> Task:
        """The same under the id that the repo is published by."""
        known = None if resolved is None else replace(resolved, queried=repo)
        return replace(self, repo=repo, requested_as=self.requested, resolved=known, head=None)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Something that a job names and that could not be expanded, or stands for nothing; `result` says why."""

    job: Job
    pattern: RepoPattern
    revision: str
    result: TaskResult

    @property
    def subject(self) -> Subject:
        """What reports call it."""
        return Subject.of(self.job.name, self.pattern, self.revision)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One changed revision of a repo, with all that whoever brings it up to date must be told; can be pickled.

    `jobs` are those of all configured ones that publish the repo into the same target, `actor` has it done.
    `last_check` is that of the machine that runs the job.
    """

    run: str
    task: Task
    seen: Seen
    jobs: tuple[Job, ...]
    actor: Actor
    last_check: LastCheck | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of refs.json that publishes nothing: it is made only where `before` still stands there.

    `documents` are put before: `after` names them.
    """

    before: Refs
    after: Refs
    documents: tuple[Document, ...] = ()

    @classmethod
    def between(cls, before: Refs, after: Refs) -> Edit | None:
        return None if before == after else cls(before, after)

    @property
    def withdraws(self) -> bool:
        """Whether something is published before, and nothing after."""
        return bool(self.before.snapshots) and not self.after.snapshots

    def is_made_in(self, refs: Refs) -> bool:
        """Whether a refs.json says what is wanted, whoever wrote it; its log and its seal tell of who did."""
        return replace(refs.unstated(), log=()) == replace(self.after.unstated(), log=())


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task ended, or part of a job that makes none: its outcome, why in one line, and the `code` of that.

    `commit` is the one that it is about, None for none; `files` and `size` are those of its snapshot, and `assurance`
    is what is known of that. `edit` is what refs.json has to say of it, where that is to be written yet. `verdicts`
    are those of all rules that were asked. `unconfirmed`: see `RepoReport`. `closed`: the upstream gives the repo to
    some people only. `answer` is the upstream's, on which it rests; None for none.
    """

    outcome: RepoOutcome
    commit: str | None
    reason: str
    code: str
    files: int = 0
    size: int = 0  # bytes of all files
    edit: Edit | None = None
    verdicts: tuple[Verdict, ...] = ()
    assurance: Assurance = Assurance()
    unconfirmed: bool = False
    closed: bool = False
    answer: Resolved | None = field(default=None, repr=False, compare=False)

    def with_source(self, resolved: Resolved) -> TaskResult:
        """The same, with what it rests on where it says nothing of it: perhaps another endpoint's, the first silent."""
        unconfirmed = self.unconfirmed or bool(unconfirmed_code(resolved))
        return replace(self, answer=self.answer or resolved, unconfirmed=unconfirmed)


@dataclass(frozen=True, slots=True)
class Seen:
    """A revision of which a check found that it has changed: what the upstream said of it, and refs.json, then."""

    resolved: Resolved
    refs: Refs


@dataclass(frozen=True, slots=True)
class Base:
    """The published snapshot that a commit is compared with; `digest` is that of its root."""

    digest: Sha256
    root: Root


@dataclass(frozen=True, slots=True)
class Plan:
    """How much it takes to turn what is published into what is wanted: sizes in bytes.

    `fetch` counts one file for each content that must come over the wire, `delete` the files that leave the snapshot
    (their blobs stay until a prune).
    """

    fetch_files: int = 0
    fetch_bytes: int = 0
    delete_files: int = 0
    delete_bytes: int = 0


def held(commit: str | None, why: str, code: str, verdicts: tuple[Verdict, ...] = ()) -> TaskResult:
    """What is held, and stays as it was published before."""
    return TaskResult(RepoOutcome.HELD, commit, f"{why}; the snapshot published before stays", code, verdicts=verdicts)


def stopped(resolved: Resolved, judgement: Judgement, objection: Verdict, *, published: bool) -> TaskResult:
    """What a rule's objection makes of a repo: what is published stays."""
    if published:
        return held(resolved.commit, objection.reason, objection.code, judgement.verdicts)
    outcome = RepoOutcome.HELD if objection.outcome is Outcome.HELD else RepoOutcome.REFUSED
    return TaskResult(outcome, resolved.commit, objection.reason, objection.code, verdicts=judgement.verdicts)


def failure(error: MirrorError) -> TaskResult:
    """What an error of ours makes of a repo."""
    return TaskResult(RepoOutcome.FAILED, None, str(error), error.code)


def internal_failure(error: Exception) -> TaskResult:
    """What a fault of the program makes of a repo."""
    reason = f"internal error, a fault of this program ({type(error).__name__}: {error}); --debug logs its traceback"
    return TaskResult(RepoOutcome.FAILED, None, reason, "internal")


def remarks(resolved: Resolved) -> str:
    """What a report adds of a repo that is well."""
    renamed = f"renamed upstream to {resolved.canonical}" if resolved.renamed else ""
    fallback = resolved.fallback
    source = (
        f"as {fallback.endpoint} has it, while the first of endpoints did not answer"
        if fallback and fallback.silent
        else ""
    )
    return "; ".join(filter(None, (renamed, resolved.remark, source)))


def unconfirmed_code(resolved: Resolved) -> str:
    """The code of a report of what the first endpoint, which alone knows, could not be asked for."""
    return UNCONFIRMED if resolved.fallback is not None and resolved.fallback.silent else ""
