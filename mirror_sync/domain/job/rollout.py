"""A share of the readers of main that grows by steps, and ends where something says that what they are given is bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.freshness import moment


@dataclass(frozen=True, slots=True)
class Rollout:
    """`steps` are shares in hundredths of a percent, each above the one before; a step stands for `every` at least.

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
