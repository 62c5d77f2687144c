"""Does acts in the light of the audit: each is recorded before it is done, with who has it done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256

from mirror_sync.domain.access.access_tokens import AccessToken
from mirror_sync.domain.audit_record import Act, AuditRecord, Verb
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.errors import MirrorError, StoreError

_CONFIG = "jobs.yaml"  # the name under which its digest is remembered
_TOKENS = "tokens"
_KEY = "signing key"  # and that of the fingerprint of the key, with the time since when it signs
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
    current = {sha256(repr(replace(one, place="")).encode()).hexdigest()[:16]: one for one in mine}
    known = target.audit.state(name)
    new = [one for digest, one in current.items() if digest not in known.split()]
    if new:
        _record(context, target, [_decision(target, job, run, one) for one in new])
    target.audit.remember(name, " ".join(current))


def tokens_recorded(context: RunContext, target: Target, run: str) -> None:
    """Record which tokens of readers were made, or revoked, since the last run. StoreError.

    As of decisions: the record is for who has the run done, and says by whose word. A file that cannot be read tells
    nothing: who was there before is not taken for gone.
    """
    tokens = context.tokens()
    if tokens is None:
        return
    known = target.audit.state(_TOKENS).split()
    current = [mark for one in tokens for mark in _marks(one)]
    acts = [_token(target, run, one, mark) for one in tokens for mark in _marks(one) if mark not in known]
    if acts:
        _record(context, target, acts)
    target.audit.remember(_TOKENS, " ".join(current))


def _marks(one: AccessToken) -> tuple[str, ...]:
    made = one.digest[:16]
    return (made, f"{made}-revoked") if one.revoked else (made,)


def _token(target: Target, run: str, one: AccessToken, mark: str) -> Act:
    if mark.endswith("-revoked"):
        by = f", by {one.revoked_by}" if one.revoked_by else ""
        return Act(Verb.TOKEN_REVOKE, target.name, run=run, reason=f"{one.name}, on {one.revoked}{by}")
    until = f", until {one.expires}" if one.expires else ""
    within = f", from {' '.join(one.networks)}" if one.networks else ""
    by = f", by {one.by}" if one.by else ""
    return Act(Verb.TOKEN_NEW, target.name, run=run, reason=f"{one.name}: role {one.role}{until}{within}{by}")


def _decision(target: Target, job: Job, run: str, one: Decision) -> Act:
    verb = Verb.APPROVE if one.outcome is DecisionOutcome.APPROVE else Verb.REJECT
    of = str(one.pattern), "", one.commit or "", job.name, run
    until = f", until {one.last_day}" if one.until else ""
    return Act(verb, target.name, *of, f"{one.rule}: {one.said}{until}")


def key_of_state(states: Mapping[str, str]) -> tuple[str, str]:
    """Of what an audit remembers: the fingerprint of the key that signs what this machine does in a target, and since
    when, in ISO 8601; empty for none.
    """
    fingerprint, _, since = states.get(_KEY, "").partition(" ")
    return fingerprint, since


def _key(target: Target) -> str:
    return key_of_state({_KEY: target.audit.state(_KEY)})[0]


def _record(context: RunContext, target: Target, acts: Sequence[Act]) -> list[AuditRecord]:
    """Another jobs.yaml, or another key, than that of the act before is an act by itself: what is done by none is no
    change.
    """
    records = [AuditRecord(context.now(), context.by, act) for act in acts]
    if not (_is_other_config(context, target) or _is_other_key(context, target)):
        target.audit.record(*records)
        return records
    with _CHANGING:  # another thread may have been quicker
        changes = [*_config_change(context, target), *_key_change(context, target)]
        target.audit.record(*(AuditRecord(context.now(), context.by, act) for act in changes), *records)
        if _is_other_config(context, target):
            target.audit.remember(_CONFIG, str(context.config))
        if _is_other_key(context, target):
            target.audit.remember(_KEY, f"{context.signer} {context.now()}" if context.signer else "")
    return records


def _is_other_config(context: RunContext, target: Target) -> bool:
    return context.config is not None and target.audit.state(_CONFIG) != context.config


def _is_other_key(context: RunContext, target: Target) -> bool:
    return _key(target) != context.signer


def _config_change(context: RunContext, target: Target) -> Iterator[Act]:
    if _is_other_config(context, target):
        before = target.audit.state(_CONFIG)
        digests = {"before": before, "after": str(context.config)} if before else {"after": str(context.config)}
        yield Act(Verb.CONFIG_CHANGE, target.name, digests=digests)


def _key_change(context: RunContext, target: Target) -> Iterator[Act]:
    """The key by which this machine signs from this act on."""
    if not _is_other_key(context, target):
        return
    before = _key(target)
    replaced = f", in the place of {before}" if before else ""
    gone = f"nothing is signed from here on; {before} signed before"
    said = f"{context.signer} signs from here on{replaced}" if context.signer else gone
    yield Act(Verb.KEY_CHANGE, target.name, reason=said)
