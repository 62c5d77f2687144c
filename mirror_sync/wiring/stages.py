"""What is done with every snapshot beside what the engine does: what inspects, signs and seals, as settings say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.config.settings import Settings
from mirror_sync.domain.policy.scan_policy import ScanPolicy
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import Seal, unsealed
from mirror_sync.engine.stages import Change, MoreStages
from mirror_sync.engine.stopping import stop_of_run
from mirror_sync.errors import Interrupted
from mirror_sync.ports.scanner import Scanner

_NEVER = threading.Event()

if TYPE_CHECKING:
    from mirror_sync.domain.audit_record import AuditHead
    from mirror_sync.engine.doors.door_documents import DoorDocuments
    from mirror_sync.engine.inspection.inspection import Inspection
    from mirror_sync.ports.audit import SignatureCheck, Signer
    from mirror_sync.signing.signer import SigningKeys, SnapshotSigner


def keys_of(settings: Settings) -> SigningKeys | None:
    """The mirror's keys; None where jobs.yaml asks for no document beside the files, so that nothing is imported."""
    trust = settings.trust
    if not (trust.keys or trust.boms):
        return None
    from mirror_sync.signing.signer import SigningKeys

    return SigningKeys(trust.principal, trust.key, trust.model_key, trust.certificate, trust.chain)


def fingerprint_of(keys: SigningKeys | None) -> str:
    """Of the key that signs sums and statements, as ssh-keygen shows it; empty for none. SigningError."""
    return "" if keys is None or keys.ssh_path is None else keys.public.fingerprint


def signer_of(settings: Settings, keys: SigningKeys) -> SnapshotSigner:
    """What makes the documents beside the files of a snapshot."""
    from mirror_sync.signing.signer import SnapshotSigner

    return SnapshotSigner(keys, settings.trust.boms)


def stages_of(settings: Settings, keys: SigningKeys | None) -> MoreStages:
    """What is done between the transfer of a snapshot and its publication."""
    signing = () if keys is None else (_attaching(signer_of(settings, keys)),)
    doors = doors_of(settings)
    return MoreStages(attach=(*signing, *(() if doors is None else (doors.attach,))))


def doors_of(settings: Settings) -> DoorDocuments | None:
    """What makes the documents of the doors that are open; None where none needs any."""
    if not settings.front.documented_doors:
        return None
    from mirror_sync.engine.doors.door_documents import DoorDocuments

    return DoorDocuments(settings.front.doors, _go_on)


def _go_on() -> None:
    """Interrupted where the run that this thread works for was asked to stop: files are hashed for long."""
    if stop_of_run(_NEVER).is_set():
        raise Interrupted("stopped before the end")


def seal_of(keys: SigningKeys | None, audit: Callable[[], AuditHead | None], settle: Callable[[], None]) -> Seal:
    """What is done with the refs.json of one target before it is put; `audit` gives the head of the audit chain.

    `settle` waits until what another machine was about to write there is written.
    """
    if keys is None or keys.ssh_path is None:
        return unsealed
    from mirror_sync.signing.signer import StatementSeal

    return StatementSeal(keys, partial(datetime.now, UTC), audit, settle)


def segment_signer_of(keys: SigningKeys | None) -> Signer | None:
    """What signs the segments of the audit: the key that signs statements, too."""
    if keys is None or keys.ssh_path is None:
        return None
    from mirror_sync.signing.sshsig import sign

    return lambda segment: sign(keys.ssh, segment)


def segment_check_of(signers: Path) -> SignatureCheck:
    """Who asks whether a segment is signed by one of these keys, which was valid at its last act.

    UsageError where the file cannot be read or has no keys.
    """
    from mirror_sync.signing.segments import SegmentCheck

    return SegmentCheck.read(signers)


def _attaching(signer: SnapshotSigner) -> Callable[[Change], Change]:
    from mirror_sync.signing.signer import SnapshotFacts

    def attach(change: Change) -> Change:
        root = change.written
        assert root is not None  # noqa: S101  for the type checker: `document` comes before
        made = signer.documents(SnapshotFacts(root, change.files_by_path, change.resolved.described))
        return replace(change, attachments={**change.attachments, **made})

    return attach


def inspecting(context: RunContext, state_dir: Path, stop: threading.Event) -> RunContext:
    """The same context, whose snapshots are inspected where their jobs ask for it: nothing is imported for others."""
    made = cache(lambda: inspection_of(context, state_dir, stop))

    def recall(change: Change) -> Change:
        return made().recall(change) if change.task.job.inspects else change

    def inspect(change: Change) -> Change:
        return made().inspect(change) if change.task.job.inspects else change

    def revisit(change: Change) -> Change:
        return made().revisit(change) if change.task.job.inspects else change

    more = replace(context.stages, recall=(recall,), inspect=(inspect,), revisit=(revisit,))
    return replace(context, stages=more)


def inspection_of(context: RunContext, state_dir: Path, stop: threading.Event) -> Inspection:
    """Who inspects, with the scanners that policies name."""
    from mirror_sync.engine.inspection.inspection import Inspection
    from mirror_sync.engine.inspection.scans import Scans

    scanners = cache(partial(_scanners, state_dir / "scans", stop))
    return Inspection(Scans(scanners, context.source, context.now), stop, context.tell)


def _scanners(folder: Path, stop: threading.Event, policy: ScanPolicy) -> tuple[Scanner, ...]:
    """Those of a policy that look at bytes themselves."""
    found: list[Scanner] = []
    if policy.picklescan:
        from mirror_sync.scanners.pickle_process import BoundedPickleScanner

        found.append(BoundedPickleScanner(policy.limits, lambda: stop_of_run(stop)))
    if policy.command is not None:
        from mirror_sync.scanners.command_scanner import CommandScanner

        found.append(CommandScanner(policy.command, folder, lambda: stop_of_run(stop)))
    return tuple(found)
