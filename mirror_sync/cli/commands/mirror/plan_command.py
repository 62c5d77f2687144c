"""`plan`: what a sync would do."""

from __future__ import annotations

from dataclasses import replace

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Jobs, Json, command


@command
def plan(invocation: Invocation, jobs: Jobs = None, as_json: Json = False) -> None:
    """Show what a sync would do, and what policy refuses.

    Counts what would be fetched, reused and removed, in files and bytes. Writes nothing to a target.
    """
    from mirror_sync.cli.output.reports import plan_text

    with invocation.mirror(reading=True) as mirror:
        report = mirror.plan(jobs or ())
        targets = {job.name: job.target for job in mirror.settings.jobs}
    every = invocation.options.verbose
    told = report
    if mirror.settings.decisions is not None:
        from mirror_sync.app.trust.holding import with_commands

        told = replace(report, repos=with_commands(report.repos))
    invocation.answer(report, lambda page: plan_text(told, targets, page, every=every), as_json=as_json)
    end(report.ok)
