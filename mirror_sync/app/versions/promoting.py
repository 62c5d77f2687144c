"""At the end of a run: the channels of its jobs that move by a rule, each asked of a command of the operator's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from mirror_sync.app.versions.releasing import ReleaseNames, Wanted
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.channel_rules import ChannelRule
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import ChannelLeft
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import spoken_duration
from mirror_sync.domain.work import internal_failure
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.faults import tell_crash
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.published_names import alias_target
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.errors import Interrupted, MirrorError
from mirror_sync.ports.store import Store

_SECONDS = 300.0  # that a command may take
_STEP = 0.1  # seconds between two looks at what runs
_SAID = 300  # bytes of what it says that a message repeats
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_YES, _NO = 0, 1


class PromoteByRules:
    """Safe for many threads. `releases` moves the names."""

    def __init__(self, context: Callable[[], RunContext], releases: Callable[[], ReleaseNames]) -> None:
        self._context, self._releases = context, releases

    def __call__(self, actor: Actor, jobs: Sequence[Job], report: RunReport) -> None:
        """Move what is due of the repos that a run has looked at, for `actor`; what fails is told, and left as it is.

        Nobody waits whether another machine writes over it: then the next run does it again. Ends at a stop.
        """
        rules = {job.name: job for job in jobs if job.channels}
        for job, repo in looked_at(rules, report) if rules else ():
            for rule in job.channels:
                if self._context().stop.is_set():
                    return
                try:
                    self._apply(actor, job, repo, rule)
                except Interrupted:
                    return
                except Exception as error:  # whatever it is, others are moved
                    reason = what_failed(self._context(), repo, error)
                    self._context().tell(ChannelLeft(job.target, repo, rule.channel, job.name, reason))

    def _apply(self, actor: Actor, job: Job, repo: Repo, rule: ChannelRule) -> None:
        context = self._context()
        store = context.targets[job.target].store
        repo, refs = published_of(store, repo)
        if rule.candidate(refs) is None:
            return
        commit = rule.due(refs, history_of(store, refs), context.clock())
        if commit is None or not self._agrees(job, repo, rule, refs, commit):
            return
        long = f" for {spoken_duration(rule.after)}" if rule.after else ""
        asked = f", and {rule.command[0]} agrees" if rule.command else ""
        why = f"channels of job {job.name}: it was {rule.source}{long}{asked}"
        self._releases().promote(Wanted(actor, job.target, repo, why, wait=False), commit, rule.channel)

    def _agrees(self, job: Job, repo: Repo, rule: ChannelRule, refs: Refs, commit: CommitId) -> bool:
        """OSError where the command says neither yes nor no."""
        if not rule.command:
            return True
        asked = {"job": job.name, "target": job.target, "kind": repo.kind, "repo": repo.id, "channel": rule.channel}
        told = json.dumps({**asked, "from": refs.channels.get(rule.channel), "to": commit}).encode()
        status, said = run_command(rule.command, told, self._context())
        if status not in (_YES, _NO):
            how = f"took longer than {_SECONDS:g} s" if status is None else f"ended with {status}"
            raise OSError(f"{rule.command[0]} {how}{f': {said}' if said else ''}")
        return status == _YES


def what_failed(context: RunContext, repo: Repo, error: Exception) -> str:
    """In one line, why a look at one repo came to nothing; of a fault of this program itself the traceback is told."""
    if isinstance(error, MirrorError | OSError):
        return str(error)
    tell_crash(context, "names", repo, error)
    return internal_failure(error).reason


def looked_at(jobs: dict[str, Job], report: RunReport) -> Iterator[tuple[Job, Repo]]:
    """Each repo once for each job that has rules."""
    well = (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
    found = ((one.job, one.one_repo) for one in report.repos if one.job in jobs and one.outcome in well)
    for name, repo in dict.fromkeys(found):
        if repo is not None:
            yield jobs[name], repo


def published_of(store: Store, repo: Repo) -> tuple[Repo, Refs]:
    """What is published of a repo that a job names, and the id by which it is: a job may call it otherwise."""
    refs = read_refs(store, repo)
    aliased = None if refs.snapshots else alias_target(store, repo)
    return (repo, refs) if aliased is None else (aliased, read_refs(store, aliased))


def run_command(command: Sequence[str], told: bytes, context: RunContext) -> tuple[int | None, str]:
    """Its exit status, None where it was ended for its time, and how its words begin. OSError; Interrupted."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(told)
        given.seek(0)
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with subprocess.Popen(  # noqa: S603  what jobs.yaml names, without a shell
            command, stdin=given, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environ
        ) as child:
            try:
                status = _waited(child, context)
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        output.seek(0)
        return status, " ".join(output.read(_SAID).decode(errors="replace").split())


def _waited(child: subprocess.Popen[bytes], context: RunContext) -> int | None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        context.go_on()
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_STEP)
    return None
