"""`holds`: what waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import JobsOption, Json, command
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.observe.figures import age, counted

if TYPE_CHECKING:
    from mirror_sync.app.trust.holding import Hold, Holds


@command
def holds(
    invocation: Invocation,
    job: JobsOption = None,
    as_json: Json = False,
) -> None:
    """Show what is held, why, and the command that lets it go.

    As the last run on this machine found it. approve and reject decide.
    """
    from mirror_sync.app.trust.holding import held_now

    now = datetime.now(UTC)
    with invocation.mirror(None, reading=True) as mirror:
        found = held_now(mirror.status(), mirror.jobs(job or ()), mirror.history.changes, now)
    invocation.answer(found, lambda page: _text(found, page, now), as_json=as_json)


def _text(found: Holds, page: TextLayout, now: datetime) -> str:
    """A row for each with its reason, and what lets it go."""
    if not found.holds:
        return "Nothing is held, as far as runs on this machine know."
    rows = [Row(_cells(one, now), _note(one)) for one in found.holds]
    table = page.table(("RULE", "COMMIT", "SINCE", "JOB", "REPO"), rows, dispensable=("JOB",), words=("JOB",))
    repos = len({(one.kind, one.repo) for one in found.holds})
    decided = sum(bool(one.decided) for one in found.holds)
    rest = f" {counted(decided, 'commit is', 'commits are')} decided, for the next sync." if decided else ""
    return f"{table}\n{counted(repos, 'repo')} held. What was published before stays.{rest}"


def _cells(one: Hold, now: datetime) -> tuple[str, ...]:
    return one.rule, one.commit[:SHORT], age(one.since or None, now), one.job, one.spoken


def _note(one: Hold) -> str:
    return "; ".join(filter(None, (one.reason, one.command, one.decided)))
