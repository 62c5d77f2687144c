"""Bundles: what a target publishes as files to be carried to where no network leads, and what comes of them there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mirror_sync.app.catalogues import Catalogues
from mirror_sync.app.configured import Configured
from mirror_sync.app.trust.auditing import acting
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.bundle_reports import ExportReport, ImportReport
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.places.bundle_export import BundleKey, WantedBundle, export
from mirror_sync.engine.places.bundle_files import BundleFiles
from mirror_sync.engine.places.bundle_format import BUNDLE_SIGNATURE
from mirror_sync.engine.places.bundle_import import import_bundle
from mirror_sync.engine.places.repo_import import ImportTerms
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.errors import SigningError, StoreError, UsageError
from mirror_sync.signing.allowed_signers import read_signers
from mirror_sync.signing.signer import SigningKeys
from mirror_sync.signing.sshsig import read_signature, sign
from mirror_sync.signing.statement import Statement


@dataclass(frozen=True, slots=True)
class AskedBundle:
    """What an export shall have; `repos` none for all that the target publishes. `part_size` in bytes."""

    folder: Path
    repos: Sequence[str]
    part_size: int
    base: Path | None = None
    inventory: Path | None = None


class Bundles:
    """Safe for many threads, of which one writes into a folder."""

    def __init__(
        self,
        configured: Configured,
        context: Callable[[], RunContext],
        catalogues: Callable[[], Catalogues],
        keys: SigningKeys | None,
    ) -> None:
        self._configured, self._context, self._catalogues, self._keys = configured, context, catalogues, keys

    def export(self, target: str, asked: AskedBundle) -> ExportReport:
        """Write a bundle, signed where the mirror has a key. UsageError for a repo that the target does not publish.

        Raises what `bundle_export.export` does, and SigningError.
        """
        self._configured.target(target)
        context = self._context()
        place = context.targets[target]
        repos = _chosen(asked.repos, list(mirrored_repos(place.store)), target)
        wanted = WantedBundle(asked.folder, repos, asked.repos, asked.part_size, asked.base, asked.inventory)
        keys, key = self._keys, None
        if keys is not None and keys.ssh_path is not None:
            key = BundleKey(partial(sign, keys.ssh), keys.public.fingerprint)
        return export(context, place, wanted, key)

    def take_in(
        self, actor: Actor, target: str, folder: Path, signers: Path | None = None, *, older: bool = False
    ) -> ImportReport:
        """Publish what a bundle brings, for `actor`. `signers`: nothing is taken that none of these keys has signed.

        Raises what `bundle_import.import_bundle` does, UsageError and SigningError.
        """
        self._configured.target(target)
        context = self._context()
        place = context.targets[target]
        files = BundleFiles(folder, None if signers is None else _check_of(signers))
        try:
            with acting(context, actor, [target]) as acting_context:
                report = import_bundle(acting_context, place, files, ImportTerms(_stated, older))
        except StoreError:  # a disk that is full: some of it may be published, or taken down
            self._catalogues().publish(place)
            raise
        self._catalogues().publish(place)
        return report

    def inventory(self, target: str) -> Iterator[tuple[Sha256, int]]:
        """The blobs that a target has, with their bytes. StoreError."""
        store = self._configured.store(target)
        return ((digest, stat.size) for stat in store.list(BLOBS) if (digest := blob_of(stat.key)) is not None)


def _chosen(asked: Sequence[str], known: Sequence[Repo], target: str) -> list[Repo]:
    if not known:
        raise UsageError(f"target {target} publishes nothing that could be exported")
    if not asked:
        return list(known)
    chosen = set[Repo]()
    for text in asked:
        try:
            pattern = RepoPattern.parse(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
        found = [repo for repo in known if pattern.matches(repo)]
        if not found:
            near = did_you_mean(pattern, (RepoPattern(one.kind, one.id) for one in known))
            raise UsageError(f"target {target} has nothing of {text}{near}")
        chosen.update(found)
    return [repo for repo in known if repo in chosen]


def _check_of(signers: Path) -> Callable[[bytes, bytes | None], str]:
    try:
        known = read_signers(signers)
    except UsageError as error:
        raise UsageError(f"--signers: {error}") from error

    def check(sums: bytes, signature: bytes | None) -> str:
        if signature is None:
            raise SigningError(f"the bundle is not signed: it has no {BUNDLE_SIGNATURE}; nothing was imported")
        try:
            signer = known.expect(read_signature(signature), sums, datetime.now(UTC))
        except SigningError as error:
            raise SigningError(f"{BUNDLE_SIGNATURE}: {error}; nothing was imported") from None
        return f"{','.join(signer.principals)} ({signer.key.fingerprint})"

    return check


def _stated(body: bytes, refs: Refs) -> int | None:
    try:
        stated = Statement.decode(body)
    except SigningError:
        return None
    return stated.serial if stated.agrees(refs) else None
