"""Does acts in the light of the audit: each is recorded before it is done, with who has it done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from mirror_sync.domain.audit_record import Act, AuditRecord, Verb
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.errors import MirrorError, StoreError

_CONFIG = "jobs.yaml"  # the name under which its digest is remembered
_CHANGING = threading.Lock()


@contextmanager
def recorded(context: RunContext, target: Target, acts: Sequence[Act]) -> Iterator[None]:
    """The block does these acts, which are sure to be recorded by then; where it raises, that is recorded, too.

    StoreError where they cannot be recorded: the block is not entered then.
    """
    records = _record(context, target, acts)
    try:
        yield
    except BaseException as error:
        code = error.code if isinstance(error, MirrorError) else "internal"
        with suppress(StoreError):  # what ended the act is what has to be told
            target.audit.record(*(replace(record, failed=code) for record in records))
        raise


def hold_recorded(context: RunContext, target: Target, run: str, report: RepoReport) -> None:
    """Record that a repo is held, once for each commit and cause. StoreError."""
    name = f"hold {report.job} {report.spoken}"
    if report.outcome is not RepoOutcome.HELD:
        if report.outcome in (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED, RepoOutcome.REFUSED):
            target.audit.remember(name, "")
        return
    cause = f"{report.code} {report.commit or ''}"
    if target.audit.state(name) == cause:
        return
    act = Act(
        Verb.HOLD,
        target.name,
        str(report.pattern),
        report.revision,
        report.commit or "",
        report.job,
        run,
        f"{report.code}: {report.reason}" if report.code else report.reason,
    )
    _record(context, target, [act])
    target.audit.remember(name, cause)


def _record(context: RunContext, target: Target, acts: Sequence[Act]) -> list[AuditRecord]:
    """Another jobs.yaml than that of the act before is an act by itself: what is done by none is no change."""
    records = [AuditRecord(context.now(), context.by, act) for act in acts]
    audit, config = target.audit, context.config
    if config is None or audit.state(_CONFIG) == config:
        audit.record(*records)
        return records
    with _CHANGING:
        before = audit.state(_CONFIG)
        if before == config:  # another thread was quicker
            audit.record(*records)
            return records
        digests = {"before": before, "after": str(config)} if before else {"after": str(config)}
        change = AuditRecord(context.now(), context.by, Act(Verb.CONFIG_CHANGE, target.name, digests=digests))
        audit.record(change, *records)
        audit.remember(_CONFIG, config)
    return records
