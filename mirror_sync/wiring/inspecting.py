"""The stages that inspect snapshots, with their scanners: for all runs, since each job says itself what it asks for."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from mirror_sync.domain.policy.scan_policy import ScanPolicy
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.inspection.inspection import Inspection
from mirror_sync.engine.inspection.scans import Scans
from mirror_sync.engine.stopping import stop_of_run
from mirror_sync.ports.scanner import Scanner


def inspecting(context: RunContext, state_dir: Path, stop: threading.Event) -> RunContext:
    """The same context, whose snapshots are inspected where their jobs ask for it."""
    inspection = inspection_of(context, state_dir, stop)
    stages = replace(context.stages, recall=(inspection.recall,), inspect=(inspection.inspect,))
    return replace(context, stages=stages)


def inspection_of(context: RunContext, state_dir: Path, stop: threading.Event) -> Inspection:
    """Who inspects, with the scanners that policies name."""
    scanners = cache(partial(_scanners, state_dir / "scans", stop))
    return Inspection(Scans(scanners, context.source, context.now), stop)


def _scanners(folder: Path, stop: threading.Event, policy: ScanPolicy) -> tuple[Scanner, ...]:
    """Those of a policy that look at bytes themselves."""
    found: list[Scanner] = []
    if policy.picklescan:
        from mirror_sync.scanners.pickle_scanner import pickle_scanner

        found.append(pickle_scanner())
    if policy.command is not None:
        from mirror_sync.scanners.command_scanner import CommandScanner

        found.append(CommandScanner(policy.command, folder, lambda: stop_of_run(stop)))
    return tuple(found)
