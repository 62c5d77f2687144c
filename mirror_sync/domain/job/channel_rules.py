"""What a job moves by itself.

A channel gets what has stood elsewhere for long enough, and was never taken back. A share of the readers of main grows
by steps, up to main itself, and is taken back where something says that what they are given is bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror_sync.domain.content.ref_log import LOGGED_OURS, RECALLED
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, HEAD, MAIN, Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.freshness import moment

_MINUTE, _SECOND = 60.0, 1.0
_LOOKS = 4  # at a step, at the least


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """`channel` gets what `source` has stood for since `after` ago, where `command` ends with 0; empty: at once."""

    channel: str
    source: str
    after: timedelta = timedelta(0)
    command: tuple[str, ...] = ()

    def due(self, refs: Refs, history: Sequence[NameMove], now: datetime) -> CommitId | None:
        """The commit that the channel should get, if the command agrees; None for nothing to do.

        What the channel has left once it never gets back by a rule: a person, or a later version, took it away.
        """
        commit = self.candidate(refs)
        if commit is None or any((one.name, one.before) == (self.channel, commit) for one in history):
            return None
        since = _since(self.source, commit, refs)
        return commit if since is not None and now - since >= self.after else None

    def candidate(self, refs: Refs) -> CommitId | None:
        """What the source stands for, where the channel does not."""
        commit = refs.leads_to(self.source)
        return None if commit == refs.channels.get(self.channel) else commit


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a share grows: by `steps` in hundredths of a percent, each above the one before, of which each stands for
    `every` at least. A step of all is main itself, which is looked at for `every` then.

    Who says that it is bad: `command`, or the Prometheus at `prometheus` where `promql` finds any series.
    """

    steps: tuple[int, ...]
    every: timedelta
    command: tuple[str, ...] = ()
    promql: str = ""
    prometheus: str = ""

    def grown(self, share: ReaderShare, history: Sequence[NameMove], now: datetime) -> int | None:
        """The step that is due after a share, in hundredths of a percent; None: it stays as it is.

        Since when it stands, and gives what it gives, says the history; of a share that has no line there nobody can
        tell, and it stays.
        """
        lines = [move for move in history if move.name == share.channel]
        since = moment(lines[-1].at) if any(move.verb == "share" for move in lines) else None
        if since is None or now - since < self.every:
            return None
        return next((step for step in self.steps if step > share.hundredths), None)

    def watched(self, refs: Refs, history: Sequence[NameMove], now: datetime) -> NameMove | None:
        """The line by which a rollout has let main stand where it does, as long as that is looked at still: `every`."""
        lines = [move for move in history if move.name == DEFAULT_BRANCH]
        if not lines or lines[-1].verb != "promote" or not refs.pins(DEFAULT_BRANCH):
            return None
        since = moment(lines[-1].at)
        stands = since is not None and now - since < self.every and refs.commit_of(DEFAULT_BRANCH) == lines[-1].after
        return lines[-1] if stands else None

    @property
    def interval(self) -> float:
        """Seconds between two looks: a minute, and less where steps are so short that one would be missed."""
        return min(_MINUTE, max(_SECOND, self.every.total_seconds() / _LOOKS))


def _since(name: str, commit: CommitId, refs: Refs) -> datetime | None:
    """Since when a name has stood for its commit: at least since the log's first line, where that is forgotten.

    The first few may be older than what is missing behind them: see `newest`.
    """
    known = {f"{LOGGED_OURS}{name}", *(ref.ref for ref in refs.refs if name in (ref.ref, ref.shortest))}
    if name in (DEFAULT_BRANCH, HEAD):
        known.add(MAIN)
    lines = [entry for entry in refs.log if entry.ref in known and entry.after == commit]
    told = lines[-1:] or (refs.log[RECALLED:] or refs.log)[:1]
    return moment(told[0].at) if told else None
