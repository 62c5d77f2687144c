"""At the end of a run: grey releases of its jobs that grow by themselves, and those that end because they are bad."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from mirror_sync.app.promoting import looked_at, published_of, run_command
from mirror_sync.app.releasing import ReleaseNames, Wanted
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.job.channel_rules import Rollout
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import ChannelLeft
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.errors import Interrupted, MirrorError
from mirror_sync.observe.notify.posting import FORM, Undelivered, posted

_SECONDS = 30.0  # that a Prometheus may take
_WELL, _BAD = 0, 1
_OK = 200
_SHOWN = 200  # characters of labels that a reason repeats


class RollOut:
    """Safe for many threads. `releases` moves the names."""

    def __init__(self, context: Callable[[], RunContext], releases: Callable[[], ReleaseNames]) -> None:
        self._context, self._releases = context, releases

    def __call__(self, actor: Actor, jobs: Sequence[Job], report: RunReport) -> None:
        """Let each share that is on grow, or end it, for `actor`; where nobody can tell, that is told, and it stays."""
        rolling = {job.name: job for job in jobs if job.rollout is not None}
        for job, repo in looked_at(rolling, report) if rolling else ():
            context = self._context()
            if job.rollout is None or context.stop.is_set():
                return
            try:
                self._apply(actor, job, repo, job.rollout)
            except Interrupted:
                return
            except (MirrorError, OSError) as error:
                context.tell(ChannelLeft(job.target, repo, "main", job.name, str(error)))

    def _apply(self, actor: Actor, job: Job, repo: Repo, rollout: Rollout) -> None:
        context = self._context()
        store = context.targets[job.target].store
        repo, refs = published_of(store, repo)
        share = ReaderShare.of(refs.attachments)
        if share is None:
            return
        bad = self._why_bad(job, repo, rollout, refs, share)
        step = 0 if bad else rollout.grown(share, history_of(store, refs), context.clock())
        if step is not None:
            why = f"rollout of job {job.name}: {bad or 'nothing says that it is bad'}"
            self._releases().share(Wanted(actor, job.target, repo, why, wait=False), share.channel, step)

    def _why_bad(self, job: Job, repo: Repo, rollout: Rollout, refs: Refs, share: ReaderShare) -> str:
        """Empty where it is well. OSError where nobody can tell."""
        if rollout.promql:
            return found_by(rollout.prometheus, rollout.promql)
        asked = {"job": job.name, "target": job.target, "kind": repo.kind, "repo": repo.id, **share.encode()}
        told = json.dumps({**asked, "commit": refs.channels.get(share.channel)}).encode()
        status, said = run_command(rollout.command, told, self._context())
        if status not in (_WELL, _BAD):
            how = "took too long" if status is None else f"ended with {status}"
            raise OSError(f"{rollout.command[0]} {how}{f': {said}' if said else ''}")
        return f"{rollout.command[0]} says that it is bad{f': {said}' if said else ''}" if status == _BAD else ""


def found_by(prometheus: str, promql: str) -> str:
    """What an expression finds, in a line; empty where it finds no series. OSError where nobody can tell.

    Prometheus counts them: as many as are found may be more than one reads.
    """
    url = f"{prometheus.rstrip('/')}/api/v1/query"
    try:
        status, body = posted(url, urlencode({"query": f"count({promql})"}).encode(), _SECONDS, FORM)
        said = json.loads(body)
        if status != _OK or said["status"] != "success":
            raise OSError(f"Prometheus answered {status} to {promql}: {str(said.get('error', ''))[:_SHOWN]}")
        found = said["data"]
        series = found["result"] if found["resultType"] == "vector" else None
        if not isinstance(series, list):
            raise OSError(f"{promql} gives a {str(found['resultType'])[:_SHOWN]}, and no vector")
    except (Undelivered, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OSError(f"Prometheus could not be asked for {promql}: {error or type(error).__name__}") from error
    count = _count(series)
    return f"{promql} finds {count} series" if count else ""


def _count(series: list[Any]) -> str:
    """Of a vector that `count` gives, which is empty for none. OSError for another."""
    try:
        return str(series[0]["value"][1])[:20] if series else ""
    except (KeyError, IndexError, TypeError) as error:
        raise OSError("Prometheus answered with what is no vector") from error
