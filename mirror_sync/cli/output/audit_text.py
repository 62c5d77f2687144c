"""An audit as a person reads it: a line for each act, the newest last."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_sync.app.trust.auditing import AuditedActs, AuditProof
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.audit_record import Act, AuditRecord
from mirror_sync.domain.bounds import plain
from mirror_sync.observe.figures import counted

_HEADER = ("AT", "BY", "DONE", "COMMIT", "REPO")


def acts_text(found: AuditedActs, page: TextLayout) -> str:
    """The table, what cannot be read of it, and a sum."""
    parts = [page.table(_HEADER, map(_row, found.records), words=("BY", "DONE"))] if found.records else []
    parts += [plain(fault) for fault in found.faults]
    machines = f"by {counted(found.machines, 'machine')}" if found.records else "as far as its audit tells"
    parts.append(f"{counted(len(found.records), 'act')} in target {found.target}, {machines}.")
    if found.unsigned:
        parts.append(_unsigned(found.unsigned))
    return "\n".join(parts)


def proof_text(proof: AuditProof, page: TextLayout) -> str:
    """A line for each fault, and a sum."""
    return "\n".join([*map(plain, proof.faults), *(page.sentence(line) for line in _sum(proof))])


def _sum(proof: AuditProof) -> Iterator[str]:
    chains = f"{counted(proof.segments, 'segment')} by {counted(proof.machines, 'machine')} in target {proof.target}"
    if proof.faults:
        yield f"{chains}: {counted(len(proof.faults), 'fault')}."
    elif proof.segments:
        yield f"{chains}: nothing is missing, and nothing was changed."
    else:
        yield f"Target {proof.target} has no audit yet."
    if proof.waiting:
        yield (
            f"{counted(proof.waiting, 'act')} of this machine "
            f"{'is' if proof.waiting == 1 else 'are'} not there yet: the next run brings them."
        )
    if proof.unsigned:
        yield _unsigned(proof.unsigned)
    elif proof.segments and not proof.checked:
        yield "Signatures were not looked at: name whose count with --signers FILE."


def _unsigned(count: int) -> str:
    them = "it" if count == 1 else "them"
    return f"{counted(count, 'segment')} not signed: whoever may write to the target could write {them} anew."


def _row(record: AuditRecord) -> Row:
    act = record.act
    done = f"{act.verb} (failed)" if record.failed else act.verb
    name = f"{act.repo}@{act.revision}" if act.revision else act.repo or "-"
    return Row((record.at, str(record.actor), done, act.commit[:SHORT] or "-", name), _note(act, record.failed))


def _note(act: Act, failed: str) -> str:
    """Why, where that is told; of jobs.yaml the digests."""
    said = [f"ended by {failed}"] if failed else []
    said += [act.reason] if act.reason else []
    if not act.repo:
        said += [f"{name} {digest[:12]}" for name, digest in act.digests.items()]
    return "; ".join(said)
