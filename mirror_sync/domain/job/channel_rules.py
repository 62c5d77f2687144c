"""What a job moves by itself, when a run ends.

A channel gets what has stood elsewhere for long enough, and was never taken back. A share of the readers of main grows
by steps, and ends where something says that what they are given is bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror_sync.domain.content.refs import DEFAULT_BRANCH, HEAD, MAIN, PINNED, Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.freshness import moment


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
    `every` at least.

    Who says that it is bad: `command`, or the Prometheus at `prometheus` where `promql` finds any series.
    """

    steps: tuple[int, ...]
    every: timedelta
    command: tuple[str, ...] = ()
    promql: str = ""
    prometheus: str = ""

    def grown(self, share: ReaderShare, history: Sequence[NameMove], now: datetime) -> int | None:
        """The step that is due after a share, in hundredths of a percent; None: it stays as it is.

        Since when it stands says the history; of a share that has no line there nobody can tell, and it stays.
        """
        lines = [move for move in history if (move.verb, move.name) == ("share", share.channel)]
        since = moment(lines[-1].at) if lines else None
        if since is None or now - since < self.every:
            return None
        return next((step for step in self.steps if step > share.hundredths), None)


def _since(name: str, commit: CommitId, refs: Refs) -> datetime | None:
    """Since when a name has stood for its commit: at least since the log's first line, where that is forgotten."""
    known = {f"channels/{name}", *(ref.ref for ref in refs.refs if name in (ref.ref, ref.shortest))}
    if name in (DEFAULT_BRANCH, HEAD):
        known.add(MAIN)
    lines = [entry for entry in refs.log if entry.ref in known and entry.after == commit]
    first = 1 if PINNED in refs.attachments else 0  # whose log may begin with a line of long ago
    told = lines[-1:] or refs.log[first : first + 1]
    return moment(told[0].at) if told else None
