"""The hours at which a job may run by its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from mirror_sync.domain.job.bandwidth import Bandwidth, Window


@dataclass(frozen=True, slots=True)
class Hours:
    """Open in any of `windows`, whose limits mean nothing here, by the clock of `zone`."""

    windows: tuple[Window, ...]
    zone: tzinfo = UTC

    def opens(self, instant: datetime) -> datetime:
        """The instant itself where it is open then, else the next at which it is."""
        spell = self._as_limits.spell(instant)
        return instant if spell.limit is None or spell.until is None else spell.until

    def closes(self, instant: datetime) -> datetime | None:
        """The first instant from this one on at which it is closed; None where it never is."""
        spell = self._as_limits.spell(instant)
        return instant if spell.limit == 0 else spell.until

    @property
    def _as_limits(self) -> Bandwidth:
        return Bandwidth(0, tuple(Window(one.start, one.stop, None, one.days) for one in self.windows), self.zone)
