"""`holds`: what waits for a person, and by which command it goes on."""

from __future__ import annotations

from datetime import datetime

from mirror_sync.app.holding import Hold, Holds
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.observe.figures import age, counted


def holds_text(found: Holds, page: TextLayout, now: datetime) -> str:
    """A row for each with its reason, and what lets it go."""
    if not found.holds:
        return "Nothing is held, as far as runs on this machine know."
    rows = [Row(_cells(one, now), _note(one)) for one in found.holds]
    table = page.table(("RULE", "COMMIT", "SINCE", "JOB", "REPO"), rows, dispensable=("JOB",), words=("JOB",))
    repos = len({(one.kind, one.repo) for one in found.holds})
    return f"{table}\n{counted(repos, 'repo')} held. What was published before stays."


def _cells(one: Hold, now: datetime) -> tuple[str, ...]:
    return one.rule, one.commit[:SHORT], age(one.since or None, now), one.job, one.spoken


def _note(one: Hold) -> str:
    return f"{one.reason}; {one.command}" if one.command else one.reason
