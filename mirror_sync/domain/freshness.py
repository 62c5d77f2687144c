"""How long readers of the mirror waited for a commit that the upstream had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last run that knew a revision to be as upstream has it: `at` (ISO 8601) it began, `commit` it found."""

    at: str
    commit: str


def lag(commit: str, committed: str | None, published: str, last: LastCheck | None) -> float | None:
    """Seconds from when the upstream had a commit until it was published here.

    It had it from the commit's date on; from the last check on where that is later, which did not see it yet: whoever
    makes a commit dates it, and a push may bring old ones. So a commit that was dated rightly gives the truth, and any
    other one at most the time since that check.

    None where nobody can say: a first mirroring waits for an operator, not for us, and so does a commit that was
    published before, of which other files are wanted now; or the upstream gave no date.
    """
    made = moment(committed)
    if last is None or last.commit == commit or made is None:
        return None
    since = max(made, datetime.fromisoformat(last.at))
    return max(0.0, (datetime.fromisoformat(published) - since).total_seconds())


def moment(text: str | None) -> datetime | None:
    """A time as upstreams write it, in UTC; None for anything else, without a zone, or before or beyond all years."""
    try:
        found = datetime.fromisoformat(text or "")
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
