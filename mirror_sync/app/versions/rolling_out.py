"""Grey releases that grow by themselves, and are taken back where something says that they are bad.

They are looked at by the daemon's own clock (`watching_names`), and when a run ends.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mirror_sync.app.versions.promoting import looked_at, published_of, run_command, what_failed
from mirror_sync.app.versions.releasing import ReleaseNames, Wanted
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.share import WHOLE, ReaderShare
from mirror_sync.domain.content.versions import NameMove, earlier_mains
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.channel_rules import Rollout
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import ChannelLeft, RolloutState, RolloutStopped
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.errors import Interrupted, UsageError
from mirror_sync.logger import Logger
from mirror_sync.observe.notify.posting import FORM, Undelivered, posted

_SECONDS = 30.0  # that a Prometheus may take
_AGAIN = 3600.0  # seconds after which what stays as it is, for the same reason, is told again
_WELL, _BAD = 0, 1
_OK = 200
_SHOWN = 200  # characters of labels that a reason repeats

_log = Logger()


class SaidOnce:
    """What was said of things that are looked at again and again: what stays as it is, is no news for an hour."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._said: dict[Hashable, tuple[str, float]] = {}

    def is_news(self, of: Hashable, words: str) -> bool:
        """Whether it is to be said now; it is known from then on."""
        known, at = self._said.get(of, ("", 0.0))
        if known == words and self._monotonic() - at <= _AGAIN:
            return False
        self._said[of] = words, self._monotonic()
        return True

    def forget(self, of: Hashable) -> None:
        """It is well: whatever is wrong next is news."""
        self._said.pop(of, None)


Ask = Callable[[str, str], str]
"""What an expression finds at a Prometheus, as `found_by`."""


class RollOut:
    """Safe for many threads: one looks at a time. `releases` moves the names."""

    def __init__(self, context: Callable[[], RunContext], releases: Callable[[], ReleaseNames]) -> None:
        self._context, self._releases = context, releases
        self._turn = threading.Lock()
        self._told = SaidOnce(lambda: context().monotonic())

    def __call__(self, actor: Actor, jobs: Sequence[Job], report: RunReport) -> None:
        """Look at each grey release of the repos that a run has looked at. Ends at a stop."""
        rolling = {job.name: job for job in jobs if job.rollout is not None}
        ask = asked_once()
        for job, repo in looked_at(rolling, report) if rolling else ():
            if self._context().stop.is_set():
                return
            self.look(actor, job, repo, ask)

    def look(self, actor: Actor, job: Job, repo: Repo, ask: Ask) -> RolloutState | None:
        """Let a share that is on grow, or take it back, for `actor`; None where there is none, or at a stop.

        Where nobody can tell whether it is bad, that is told, and all stays as it is.
        """
        with self._turn:
            try:
                state = None if job.rollout is None else self._apply(actor, job, repo, job.rollout, ask)
            except Interrupted:
                return None
            except UsageError as error:  # another machine, or a person, was quicker: the next look decides anew
                _log.debug("rollout.left", repo=str(repo), job=job.name, reason=str(error))
                return None
            except Exception as error:  # whatever it is, others are looked at
                reason = what_failed(self._context(), repo, error)
                if self._told.is_news((job.name, repo), reason):
                    self._context().tell(ChannelLeft(job.target, repo, DEFAULT_BRANCH, job.name, reason))
                return RolloutState.UNANSWERED
            self._told.forget((job.name, repo))
            return state

    def _apply(self, actor: Actor, job: Job, repo: Repo, rollout: Rollout, ask: Ask) -> RolloutState | None:
        context = self._context()
        store = context.targets[job.target].store
        repo, refs = published_of(store, repo)
        share, history = ReaderShare.of(refs.attachments), history_of(store, refs)
        tried = _tried(refs, share, rollout.watched(refs, history, context.clock()))
        if tried is None:
            return None
        trial = _Trial(actor, job, repo, refs, history, share, tried)
        bad = self._why_bad(trial, rollout, ask)
        if bad:
            self._take_back(trial, bad)
            return RolloutState.STOPPED
        if share is None:
            return RolloutState.WATCHED
        step = rollout.grown(share, history, context.clock())
        return RolloutState.GROWING if step is None else self._grow(trial, share, step)

    def _grow(self, trial: _Trial, share: ReaderShare, step: int) -> RolloutState:
        wanted = trial.wanted("nothing says that it is bad")
        if step < WHOLE:
            self._releases().share(wanted, share.channel, step, (share, trial.tried))
            return RolloutState.GROWING
        if trial.is_main:  # by a sync, or a person
            self._releases().share(wanted, share.channel, 0, (share, trial.tried))
        else:
            self._releases().end_rollout(wanted, share, trial.tried)
        return RolloutState.WATCHED

    def _take_back(self, trial: _Trial, bad: str) -> None:
        """Those who were given it get main again; where main itself is there, what that stood for before."""
        wanted, to = trial.wanted(bad), trial.before
        if to is not None:
            done = self._releases().take_back(wanted, trial.tried, to)
        elif trial.share is not None:
            done = self._releases().share(wanted, trial.share.channel, 0)
        else:
            raise OSError(f"{bad}; and nothing is published that main stood for before: move it by hand")
        main = to or trial.refs.commit_of(DEFAULT_BRANCH) or ""
        if done.changed:
            self._context().tell(RolloutStopped(trial.job.target, trial.repo, trial.job.name, main, bad))

    def _why_bad(self, trial: _Trial, rollout: Rollout, ask: Ask) -> str:
        """Empty where it is well. OSError where nobody can tell."""
        if rollout.promql:
            return ask(rollout.prometheus, rollout.promql)
        status, said = run_command(rollout.command, json.dumps(trial.encode()).encode(), self._context())
        if status not in (_WELL, _BAD):
            how = "took too long" if status is None else f"ended with {status}"
            raise OSError(f"{rollout.command[0]} {how}{f': {said}' if said else ''}")
        return f"{rollout.command[0]} says that it is bad{f': {said}' if said else ''}" if status == _BAD else ""


@dataclass(frozen=True, slots=True)
class _Trial:
    """The commit of a repo that is `tried`: by a share of the readers of main, or by all of them, `share` None."""

    actor: Actor
    job: Job
    repo: Repo
    refs: Refs
    history: Sequence[NameMove]
    share: ReaderShare | None
    tried: CommitId

    def wanted(self, why: str) -> Wanted:
        """What moves by it, with why."""
        return Wanted(self.actor, self.job.target, self.repo, f"rollout of job {self.job.name}: {why}", wait=False)

    @property
    def is_main(self) -> bool:
        """Whether main stands for it, too: then nobody gets anything else when a share ends."""
        return self.refs.commit_of(DEFAULT_BRANCH) == self.tried

    @property
    def before(self) -> CommitId | None:
        """What main stood for before what is tried; None where it does not stand for that, or for nothing before."""
        if not self.is_main:
            return None
        left = [one.before for one in self.history if (one.name, one.after) == (DEFAULT_BRANCH, self.tried)]
        wishes = [one for one in (*reversed(left), *earlier_mains(self.refs)) if one in self.refs.snapshots]
        return next((one for one in wishes if one != self.tried), None)

    def encode(self) -> dict[str, Any]:
        """What a program is told that is asked whether it is bad."""
        of = {"job": self.job.name, "target": self.job.target, "kind": self.repo.kind, "repo": self.repo.id}
        given = {"channel": DEFAULT_BRANCH, "percent": 100} if self.share is None else self.share.encode()
        return {**of, **given, "commit": self.tried}


def _tried(refs: Refs, share: ReaderShare | None, watched: NameMove | None) -> CommitId | None:
    """What some readers of main are given on trial, or all of them are still; None for nothing."""
    if share is not None:
        return refs.channels.get(share.channel)
    return None if watched is None else watched.after


def asked_once() -> Ask:
    """As `found_by`, but for a question that was asked already: all repos of a job have the same."""
    known: dict[tuple[str, str], str | OSError] = {}

    def ask(prometheus: str, promql: str) -> str:
        if (prometheus, promql) not in known:
            try:
                known[prometheus, promql] = found_by(prometheus, promql)
            except OSError as error:
                known[prometheus, promql] = error
        found = known[prometheus, promql]
        if isinstance(found, OSError):
            raise found
        return found

    return ask


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
