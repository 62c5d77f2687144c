"""What a mirror signs: the documents of a snapshot beside its files, and the statement of a repo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror_sync.domain.audit_record import AuditHead
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.refs import STATEMENT, STATEMENT_SIGNATURE, Refs
from mirror_sync.domain.content.snapshot import Attachment, Document, Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import DocumentError, KeyMissing, SigningError, StoreUnavailable
from mirror_sync.ports.store import MAX_REFS, Store, read_all, read_document
from mirror_sync.scratch.spooled import spool
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS, LARGEST, AllowedSigners
from mirror_sync.signing.bom import BOM, cyclonedx
from mirror_sync.signing.hardware_keys import open_elliptic
from mirror_sync.signing.model_bundle import MODEL_SIGNATURE, ModelKey, model_bundle
from mirror_sync.signing.private_keys import read_certificates, read_ed25519
from mirror_sync.signing.spdx3 import SPDX3_BOM, spdx3
from mirror_sync.signing.sshsig import PublicKey, sign, sign_pieces
from mirror_sync.signing.statement import StatedSnapshot, Statement, names_of
from mirror_sync.signing.sums import SUMS, SUMS_SIGNATURE, sum_lines

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


_TRIES = 5  # of one edit, beside other machines
_STALLED = timedelta(minutes=1)  # after which no call lands any more that was sent before


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """A snapshot as its documents tell of it: `files` in the order of their paths, which may be gone over again and
    again, `info` the Hub's words about it.
    """

    root: Root
    files: Iterable[MirroredFile]
    info: Mapping[str, Any]

    @property
    def repo(self) -> Repo:
        """As its root says. DocumentError for what is none."""
        try:
            return Repo.parse(self.root.repo)
        except ValueError as error:
            raise DocumentError(f"a root of no repo: {error}") from None


class SigningKeys:
    """The mirror's keys, read from their files when the first signature is made. Safe for many threads."""

    def __init__(
        self,
        principal: str,
        ssh: Path | None = None,
        model: Path | Pkcs11Uri | None = None,
        certificate: Path | None = None,
        chain: Path | None = None,
    ) -> None:
        """`certificate` and `chain`: what bundles carry beside the signature by `model`."""
        self.principal, self.ssh_path, self.model_path = principal, ssh, model
        self._certificate, self._chain = certificate, chain
        self._lock = threading.Lock()
        self._fault: SigningError | None = None

    def expect(self) -> None:
        """SigningError where a key that is named cannot be used: before anything is done that would need it."""
        if self.ssh_path is not None:
            self.public  # noqa: B018  read now
        if self.model_path is not None:
            self.model  # noqa: B018  read now

    @property
    def ssh(self) -> Ed25519PrivateKey:
        """What signs sums and statements. SigningError."""
        with self._lock:
            return self._ssh

    @property
    def model(self) -> ModelKey:
        """What signs model bundles. SigningError, which stays: a PIN that was wrong is not tried again."""
        with self._lock:
            if self._fault is not None:
                raise self._fault
            try:
                return self._model
            except SigningError as error:
                self._fault = error
                raise

    @property
    def public(self) -> PublicKey:
        """The public half of what signs sums and statements. SigningError."""
        return PublicKey.of(self.ssh)

    @cached_property
    def _ssh(self) -> Ed25519PrivateKey:
        if self.ssh_path is None:
            raise SigningError("no key is named: write trust: {key: FILE}")
        return read_ed25519(self.ssh_path)

    @cached_property
    def _model(self) -> ModelKey:
        if self.model_path is None:
            raise SigningError("no key is named: write trust: {model_signing: {key: FILE}}")
        key = open_elliptic(self.model_path)
        if self._certificate is None:
            return ModelKey(key)
        return ModelKey(key, read_certificates(key.public_key(), self._certificate, self._chain))


class SnapshotSigner:
    """Makes the documents that a root names beside its files. Safe for many threads."""

    def __init__(self, keys: SigningKeys, boms: Sequence[str] = ()) -> None:
        self._keys, self._boms = keys, boms

    def documents(self, facts: SnapshotFacts) -> dict[str, Attachment]:
        """By the name of the attachment: sums, signatures and bill of materials, as far as they are asked for.

        All but the model bundle come out the same, byte for byte, each time. Large ones lie on the disk. Raises
        SigningError, DocumentError, and StoreError where that disk cannot be used.
        """
        found: dict[str, Attachment] = {}
        if self._keys.ssh_path is not None:
            found[SUMS] = spool(sum_lines(facts.files))
            found[SUMS_SIGNATURE] = Document.of(sign_pieces(self._keys.ssh, found[SUMS].pieces()))
        if self._keys.model_path is not None:
            name = facts.repo.id.rpartition("/")[2]
            found[MODEL_SIGNATURE] = spool(model_bundle(self._keys.model, name, facts.files))
        if "cyclonedx" in self._boms:
            found[BOM] = spool(cyclonedx(facts.repo, facts.root, facts.files, facts.info))
        if "spdx3" in self._boms:
            found[SPDX3_BOM] = spool(spdx3(facts.repo, facts.root, facts.files, facts.info))
        return found

    def stale(self, facts: SnapshotFacts, read: Callable[[Sha256], bytes]) -> dict[str, Attachment]:
        """Those documents that the root does not name as they would be made now.

        `read` gives the bytes of an attachment. A model bundle stays where it is of our key.
        """
        named = facts.root.attachments
        found = self.documents(facts)
        if MODEL_SIGNATURE in found and MODEL_SIGNATURE in named:
            with suppress(KeyMissing, DocumentError):
                if self._keys.model.made(read(named[MODEL_SIGNATURE])):
                    del found[MODEL_SIGNATURE]
        return {name: made for name, made in found.items() if named.get(name) != made.digest}


class StatementSeal:
    """States what a target publishes of a repo, before its refs.json is put. Safe for many threads.

    `clock` gives the time, `audit` the head of the audit chain, if there is one; `settle` waits until what another
    machine was about to write is written.
    """

    def __init__(
        self,
        keys: SigningKeys,
        clock: Callable[[], datetime],
        audit: Callable[[], AuditHead | None],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._keys, self._clock, self._audit, self._settle = keys, clock, audit, settle
        self._lock = threading.Lock()
        self._listed = False
        self._added: datetime | None = None

    def __call__(self, store: Store, repo: Repo, refs: Refs) -> tuple[Refs, Sequence[Document]]:
        """The same refs with a statement of them, and the documents that it names, to be put first.

        Raises SigningError, and StoreError where what stands there cannot be read: nobody can tell its serial then.
        """
        self._list_key(store)
        now = self._clock()
        before = _before(store, refs)
        statement = Statement(
            repo=str(repo),
            serial=int(now.timestamp()) if before is None else before.serial + 1,
            issued=iso_utc(now),
            names=names_of(refs),
            channels=refs.channels,
            snapshots=_stated(store, refs, before),
            audit=self._audit(),
        )
        body = statement.encode()
        documents = Document.of(body), Document.of(sign(self._keys.ssh, body))
        named = dict(zip((STATEMENT, STATEMENT_SIGNATURE), (one.digest for one in documents), strict=True))
        return refs.with_attachments(named), documents

    def _list_key(self, store: Store) -> None:
        """Have our key among those of which the target says that they are its mirror's; once a process.

        Where it was not there, also until it is known to stay: who has read before it was there may write yet.
        """
        with self._lock:
            if self._listed:
                return
            now = self._clock()
            if edit_signers(store, lambda known: known.with_key(self._keys.principal, self._keys.public), self._settle):
                self._added = now
            self._listed = self._added is None or now - self._added > _STALLED


def is_stated(keys: SigningKeys, store: Store, refs: Refs) -> bool:
    """Whether what a refs.json names is a statement of it, signed by our key. Raises StoreError, SigningError."""
    before = _before(store, refs)
    if before is None or not before.agrees(refs):
        return False
    return refs.attachments.get(STATEMENT_SIGNATURE) == Sha256.of(sign(keys.ssh, before.encode()))


def read_signers(store: Store) -> AllowedSigners:
    """Whose keys a target says are its mirror's; none where it says nothing. Raises StoreError, SigningError."""
    try:
        return AllowedSigners.decode(read_all(store, ALLOWED_SIGNERS, LARGEST))
    except KeyMissing:
        return AllowedSigners()


def edit_signers(
    store: Store, edit: Callable[[AllowedSigners], AllowedSigners], settle: Callable[[], None] = lambda: None
) -> bool:
    """Change a target's allowed_signers, and say whether it had to be written. `edit` may be called again and again.

    Not every bucket can put an object only where nobody else has: so after `settle` it is looked at again, and edited
    again where another machine has written over it. Raises StoreError, SigningError.
    """
    for count in range(_TRIES):
        known = read_signers(store)
        after = edit(known)
        if after == known:
            return count > 0
        body = after.encode()
        store.put(ALLOWED_SIGNERS, body, Sha256.of(body))
        settle()
    raise StoreUnavailable(f"{ALLOWED_SIGNERS}: other machines write over it again and again; run this again")


def _before(store: Store, refs: Refs) -> Statement | None:
    """The statement that these refs were published with; None where there is none, or other bytes lie there."""
    digest = refs.attachments.get(STATEMENT)
    if digest is None:
        return None
    try:
        return Statement.decode(read_document(store, digest, MAX_REFS))
    except (KeyMissing, DocumentError, SigningError):
        return None


def _stated(store: Store, refs: Refs, before: Statement | None) -> dict[CommitId, StatedSnapshot]:
    """Roots and their sums; a root whose sums were stated before is not read again."""
    stated = () if before is None else before.snapshots.values()
    known = {one.root: one for one in stated if one.sums is not None}
    return {commit: known.get(root) or _read_root(store, root) for commit, root in refs.snapshots.items()}


def _read_root(store: Store, digest: Sha256) -> StatedSnapshot:
    """A root that cannot be read is stated without its sums: `verify` names it, and it stays published."""
    try:
        root = Root.decode(read_document(store, digest))
    except (KeyMissing, DocumentError):
        return StatedSnapshot(digest)
    signed = SUMS_SIGNATURE in root.attachments
    return StatedSnapshot(digest, root.attachments.get(SUMS) if signed else None)
