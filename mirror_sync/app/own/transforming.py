"""After a run: what jobs have made of the repos that they publish, pushed as models of one's own."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from mirror_sync.app.own.pushing import PushModels
from mirror_sync.app.versions.promoting import looked_at, published_of, what_failed
from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.manifest import check_path
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import TransformEnded
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.own.pushed import MadeFrom, Pushed
from mirror_sync.domain.own.transform import Transform, licenses_of, said_of
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.inspection.blob_content import BlobContent
from mirror_sync.engine.published import read_description, read_listing, read_root
from mirror_sync.errors import IntegrityError, Interrupted, StoreFull
from mirror_sync.ports.store import Store


class ToolRun(Protocol):
    """What came of one run of a tool: why it failed, empty for well, and the end of its words."""

    @property
    def said(self) -> str: ...

    @property
    def reason(self) -> str: ...


class MakingTool(Protocol):
    """A program that makes files of files: see scanners/tool.py."""

    name: str

    @property
    def version(self) -> str: ...

    def scratch(self) -> AbstractContextManager[tuple[Path, Path]]:
        """Two empty folders, for its input and its output. OSError."""
        ...

    def run(self, given: Path, made: Path) -> ToolRun:
        """Once. OSError; Interrupted after a stop."""
        ...


class TransformPublished:
    """Safe for many threads. `tool` makes the program of a transform, which ends at the event that it is given."""

    def __init__(
        self,
        context: Callable[[], RunContext],
        push: Callable[[], PushModels],
        tool: Callable[[Transform, threading.Event], MakingTool],
    ) -> None:
        self._context, self._push, self._tool = context, push, tool

    def __call__(self, actor: Actor, jobs: Sequence[Job], report: RunReport, stop: threading.Event) -> None:
        """Make what is due of the repos that a run has looked at. What fails is told: nothing published is hurt by it.

        A repo that something was made of already, by the same program of the same root, is left. Ends at `stop`.
        """
        context = replace(self._context(), stop=stop)
        wanted = {job.name: job for job in jobs if job.transform is not None}
        for job, repo in looked_at(wanted, report) if wanted else ():
            if stop.is_set():
                return
            began = time.monotonic()
            try:
                ended = self._made(actor, context, job, repo)
            except Interrupted:
                return
            except Exception as error:  # whatever it is, others are made
                ended = TransformEnded(job.name, repo, "", None, 0.0, "", what_failed(context, repo, error))
            if ended is not None:
                context.tell(replace(ended, seconds=round(time.monotonic() - began, 3)))

    def _made(self, actor: Actor, context: RunContext, job: Job, repo: Repo) -> TransformEnded | None:
        """None where there is nothing to do. Raises what reading, running and pushing does."""
        transform, store = job.transform, context.targets[job.target].store
        assert transform is not None  # noqa: S101  for the type checker: who calls has asked
        repo, refs = published_of(store, repo)
        commit = refs.commit_of(DEFAULT_BRANCH)
        if commit is None:
            return None
        digest = refs.snapshots[commit]
        root = read_root(store, digest)
        described = read_description(store, root.info)
        pushed = Pushed.of(described)
        if pushed is not None and pushed.made_from is not None:
            return None  # of what was made itself nothing is made
        upstream = job.named_upstream(RepoPattern(repo.kind, repo.id)).repo
        tool, into = self._tool(transform, context.stop), transform.output_of(upstream, own=pushed is not None)
        of = MadeFrom(str(repo), commit, digest, licenses_of(described), tool.name, tool.version)
        push = self._push()
        name = push.upstream_of(transform.upstream or None)
        if push.made_from(into, name) == of:
            return None
        ended = TransformEnded(job.name, repo, commit, into, 0.0, "")
        if (CLOSED in refs.attachments or closed_by(described)) and not job.opens:
            return replace(ended, reason="it is gated or private, and what is made of it would be for everybody")
        with tool.scratch() as (given, output):
            _bring(context, store, root, given)
            ran = tool.run(given, output)
            if ran.reason:
                return replace(ended, said=ran.said, reason=ran.reason)
            report = push(actor, output, into, said_of(of, repo.kind, described, actor.name), name)
        held = "" if report.ok else "it was pushed, and the jobs that name it did not publish it"
        return replace(ended, said=ran.said, reason=held)


def _bring(context: RunContext, store: Store, root: Root, folder: Path) -> None:
    """Copy the files of a snapshot, each proved. StoreError, OSError; IntegrityError for a blob that is another one."""
    if shutil.disk_usage(folder).free < 2 * root.size:
        raise StoreFull(f"{folder} has no room for twice {root.size:,} bytes: what is read and what is made")
    for entry in read_listing(store, root):
        place, proved = folder / check_path(entry.path), hashlib.sha256()
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            for chunk in BlobContent(store, Sha256(entry.sha256), entry.size).chunks():
                context.go_on()
                proved.update(chunk)
                file.write(chunk)
        if proved.hexdigest() != entry.sha256:
            raise IntegrityError(entry.path, entry.sha256, proved.hexdigest())
