"""What is asked of the daemon, or done in its place."""

from __future__ import annotations

from mirror_sync.bootstrap import Mirror
from mirror_sync.cli.invocation import Invocation
from mirror_sync.daemon.asked import words
from mirror_sync.daemon.control import ask_daemon
from mirror_sync.domain.report import RunReport
from mirror_sync.errors import UsageError


def sync_scheduled(mirror: Mirror) -> RunReport:
    """Every job that has a schedule, once. UsageError where none has."""
    names = [job.name for job in mirror.settings.jobs if job.schedule is not None]
    if not names:
        raise UsageError(f"{mirror.settings.path.name}: no job has a schedule; run mirror-sync sync")
    return mirror.sync(names)


def trigger_now(invocation: Invocation, name: str) -> None:
    """ConnectionError where no daemon runs; UsageError for what no job is or names."""
    invocation.print(words(ask_daemon(invocation.settings().state_dir, {"trigger": name})))
