"""Does acts in the light of the audit: each is recorded before it is done, with who has it done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256

from mirror_sync.domain.audit_record import Act, AuditRecord, Verb
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome
from mirror_sync.domain.times import iso_utc
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


def decisions_recorded(context: RunContext, target: Target, run: str, job: Job) -> None:
    """Record what people have decided about repos of a job since the last run that went by it. StoreError.

    Whoever wrote it into decisions.yaml need not have been at this machine: the record is for who has the run done, and
    says by whose word.
    """
    name = f"decisions {job.name}"
    mine = [one for one in job.decisions.every if one.pattern.is_glob or job.means(one.pattern.repo)]
    now = {sha256(repr(replace(one, place="")).encode()).hexdigest()[:16]: one for one in mine}
    known = target.audit.state(name)
    new = [one for digest, one in now.items() if digest not in known.split()]
    if new:
        _record(context, target, [_decision(target, job, run, one) for one in new])
    target.audit.remember(name, " ".join(now))


def _decision(target: Target, job: Job, run: str, one: Decision) -> Act:
    verb = Verb.APPROVE if one.outcome is DecisionOutcome.APPROVE else Verb.REJECT
    of = str(one.pattern), "", one.commit or "", job.name, run
    until = f", until {iso_utc(one.until)}" if one.until else ""
    return Act(verb, target.name, *of, f"{one.rule}: {one.said}{until}")


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
