"""Does acts in the light of the audit: each is recorded before it is done, with who has it done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256

from mirror_sync.domain.audit_record import Act, Actor, ActorKind, AuditRecord, Verb
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.errors import MirrorError, StoreError

_CONFIG, _DECISIONS = "jobs.yaml", "decisions.yaml"  # the names under which it is remembered what they were
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
    """Another jobs.yaml than that of the act before is an act by itself, and so is each decision of a person that is
    new since then: what nothing is done by is no change.
    """
    records = [AuditRecord(context.now(), context.by, act) for act in acts]
    audit, terms = target.audit, _terms(context)
    if all(audit.state(name) == state for name, state in terms.items()):
        audit.record(*records)
        return records
    with _CHANGING:  # another thread may be quicker: then nothing is new here
        news = [*_config_change(context, target, terms), *_new_decisions(context, target, terms)]
        audit.record(*news, *records)
        for name, state in terms.items():
            audit.remember(name, state)
    return records


def _terms(context: RunContext) -> dict[str, str]:
    """By what acts are done, as it is remembered: the digest of jobs.yaml, and a short one of each decision."""
    config = {} if context.config is None else {_CONFIG: str(context.config)}
    decided = " ".join(sorted(_mark(one) for one in context.decisions.every))
    return {**config, _DECISIONS: decided}


def _mark(decision: Decision) -> str:
    said = decision.pattern, decision.commit, decision.rule, decision.outcome, decision.said, decision.until
    return sha256(repr([str(one) for one in said]).encode()).hexdigest()[:16]


def _config_change(context: RunContext, target: Target, terms: Mapping[str, str]) -> Iterator[AuditRecord]:
    before, after = target.audit.state(_CONFIG), terms.get(_CONFIG, "")
    if after and before != after:
        digests = {"before": before, "after": after} if before else {"after": after}
        yield AuditRecord(context.now(), context.by, Act(Verb.CONFIG_CHANGE, target.name, digests=digests))


def _new_decisions(context: RunContext, target: Target, terms: Mapping[str, str]) -> Iterator[AuditRecord]:
    """Each for whoever has decided it, as decisions.yaml says; what was taken out of it is in its own history."""
    if target.audit.state(_DECISIONS) == terms[_DECISIONS]:
        return
    known = frozenset(target.audit.state(_DECISIONS).split())
    for one in context.decisions.every:
        if _mark(one) not in known:
            verb = Verb.APPROVE if one.outcome is DecisionOutcome.APPROVE else Verb.REJECT
            until = "" if one.until is None else f", until {one.until:%Y-%m-%d %H:%M} UTC"
            act = Act(
                verb,
                target.name,
                str(one.pattern),
                commit=one.commit or "",
                reason=f"rule {one.rule}: {one.said}{until}",
            )
            yield AuditRecord(context.now(), Actor(ActorKind.USER, one.by), act)
