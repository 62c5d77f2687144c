"""Proves that what a mirror publishes of a repo is what its key has signed: from a statement down to the bytes.

    allowed signers -> statement -> root and its documents -> SHA256SUMS -> the bytes of all files

Whoever proves needs the public keys, and trusts nothing else: not the bucket, not the front, not the network.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import check_path
from mirror_sync.domain.content.refs import STATEMENT, STATEMENT_SIGNATURE, Refs
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, KeyMissing, NewerFormat, SigningError, StoreError, UnsafePath
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.signing.allowed_signers import AllowedSigners, Signer
from mirror_sync.signing.evidence import Evidence
from mirror_sync.signing.sshsig import read_signature
from mirror_sync.signing.statement import StatedSnapshot, Statement
from mirror_sync.signing.sums import SUMS, SUMS_SIGNATURE, read_sums

Read = TypeVar("Read")

_AT_ONCE = 8  # files that are read side by side
_CHUNK = 1024 * 1024
_OWN = ".cache"  # what huggingface_hub leaves in a folder that it downloads into
_NAMED = 20  # problems that are told one by one


class NotProved(SigningError):
    """What was looked at is not what was signed, or was not signed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be proved: `folder` holds a copy; None: the bytes are read from the mirror. `since`: kept earlier."""

    repo: Repo
    revision: str = "main"
    folder: Path | None = None
    since: bytes | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found. `statement`: its bytes, to be kept; `problems`: why it is not proved, a line each."""

    asked: Asked
    commit: CommitId | None = None
    signer: Signer | None = None
    stated: Statement | None = None
    statement: bytes = b""
    age: timedelta | None = None
    files: int = 0
    bytes: int = 0
    documents: int = 0
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is proved."""
        return not self.problems

    def encode(self) -> dict[str, Any]:
        """As JSON; the age in seconds."""
        return {
            "repo": str(self.asked.repo),
            "revision": self.asked.revision,
            "commit": self.commit,
            "proved": self.ok,
            "signer": None if self.signer is None else ",".join(self.signer.principals),
            "key": None if self.signer is None else self.signer.key.fingerprint,
            "serial": None if self.stated is None else self.stated.serial,
            "issued": None if self.stated is None else self.stated.issued,
            "age": None if self.age is None else round(self.age.total_seconds()),
            "documents": self.documents,
            "files": self.files,
            "bytes": self.bytes,
            "remarks": list(self.remarks),
            "problems": list(self.problems),
        }


@dataclass
class Prover:
    """Proves one revision. `now` is the time at which keys must be valid."""

    evidence: Evidence
    signers: AllowedSigners
    now: datetime
    documents: int = field(default=0, init=False)
    remarks: list[str] = field(default_factory=list, init=False)

    def prove(self, asked: Asked) -> Proof:
        """What was found. StoreError where nobody could look; all else that is wrong is in the proof."""
        found = self.stated(asked)
        if found.stated is None or found.commit is None or not found.ok:
            return found
        commit = found.commit
        try:
            sums = self._sums(asked.repo, commit, found.stated.snapshots[commit])
        except (NotProved, DocumentError) as error:
            return replace(found, commit=None, problems=(plain(str(error)),), remarks=tuple(self.remarks))
        found = replace(found, documents=self.documents)
        count, size, problems = self._files(asked, commit, sums)
        if len(problems) > _NAMED:
            problems = [*problems[:_NAMED], f"and {len(problems) - _NAMED} files more"]
        return replace(
            found, files=count, bytes=size, remarks=tuple(self.remarks), problems=tuple(map(plain, problems))
        )

    def stated(self, asked: Asked) -> Proof:
        """The same of the statement alone: who has signed which root. No file is looked at."""
        found = Proof(asked)
        try:
            body, signer, stated = self._statement(asked)
            found = Proof(asked, None, signer, stated, body, self._age(stated))
            return replace(found, commit=self._snapshot(asked, stated)[0])
        except (NotProved, DocumentError) as error:
            return replace(found, problems=(plain(str(error)),), remarks=tuple(self.remarks))

    def _statement(self, asked: Asked) -> tuple[bytes, Signer, Statement]:
        refs = self.evidence.refs(asked.repo)
        self._expect_not_down(asked.repo, refs)
        try:
            body, signature = self.evidence.statement(asked.repo)
        except KeyMissing:
            raise NotProved(f"{asked.repo} is not signed: there is no statement of it") from None
        except DocumentError as error:
            raise NotProved(f"the statement of {asked.repo} was changed: {error}") from None
        signer = self._signed("the statement", body, signature, asked.identity)
        stated = _held(Statement.decode, body)
        if stated.repo != str(asked.repo):
            raise NotProved(f"the statement is of {stated.repo}, not of {asked.repo}")
        if asked.since is not None:
            _expect_newer(body, stated, asked.since)
        if refs is not None and not stated.agrees(refs):
            raise NotProved("refs.json names other commits or snapshots than its statement")
        return body, signer, stated

    def _expect_not_down(self, repo: Repo, refs: Refs | None) -> None:
        """A front says the same by its answer, which is StoreDenied."""
        if refs is None or refs.tombstone is None:
            return
        why = "taken down, for a reason that cannot be read"
        with suppress(NotProved, DocumentError):
            why = Tombstone.decode(self._document("the tombstone", refs.tombstone) or b"").said
        raise NotProved(f"{repo} was {why}")

    def _snapshot(self, asked: Asked, stated: Statement) -> tuple[CommitId, StatedSnapshot]:
        commit = stated.commit_of(asked.revision)
        if commit is None or commit not in stated.snapshots:
            raise NotProved(f"the statement names no {asked.revision} of {asked.repo}")
        return commit, stated.snapshots[commit]

    def _sums(self, repo: Repo, commit: CommitId, snapshot: StatedSnapshot) -> Mapping[str, Sha256]:
        """The digests of all files, by their paths: of the signed list, which the listing must agree with."""
        if snapshot.sums is None:
            raise NotProved(f"{commit} is not signed: it has no {SUMS}; its operator can run mirror-sync sign --all")
        root = self._root(commit, snapshot.root)
        digests = None if root is None else _digests(root, commit)
        try:
            body, signature = self.evidence.sums(repo, commit, digests)
        except KeyMissing as error:
            raise NotProved(f"{SUMS} of {commit} is missing: {error}") from None
        except DocumentError as error:
            raise NotProved(f"{SUMS} of {commit} was changed: {error}") from None
        if Sha256.of(body) != snapshot.sums:
            raise NotProved(f"{SUMS} of {commit} is not the one that the statement names")
        self._signed(SUMS, body, signature, None)
        sums = _held(lambda given: dict(read_sums(given)), body)
        if root is not None and self._listed(commit, root) != sums:
            raise NotProved(f"the listing of {commit} names other files than its {SUMS}")
        return sums

    def _root(self, commit: CommitId, digest: Sha256) -> Root | None:
        body = self._document(f"the root of {commit}", digest)
        if body is None:
            self.remarks.append(f"listing and info were not looked at: the front gives nothing by digest ({SUMS} was)")
            return None
        try:
            return Root.decode(body)
        except NewerFormat as error:  # nothing is wrong with it
            raise StoreError(str(error)) from None

    def _listed(self, commit: CommitId, root: Root) -> Mapping[str, Sha256]:
        """What the listing says; all other documents of the root are read and proved beside it."""
        for leaf in root.leaves:
            self._document(f"a document of {commit}", leaf)
        found: dict[str, Sha256] = {}
        for shard in root.shards:
            body = self._document(f"the listing of {commit}", shard.digest)
            found |= {file.path: file.sha256 for file in read_shard(body or b"")}
        return found

    def _document(self, what: str, digest: Sha256) -> bytes | None:
        try:
            body = self.evidence.document(digest)
        except KeyMissing:
            raise NotProved(f"{what} is missing ({digest})") from None
        except DocumentError as error:
            raise NotProved(f"{what} was changed: {error}") from None
        self.documents += body is not None
        return body

    def _signed(self, what: str, body: bytes, signature: bytes, identity: str | None) -> Signer:
        try:
            return self.signers.expect(read_signature(signature), body, self.now, identity)
        except SigningError as error:
            raise NotProved(f"{what}: {error}") from None

    def _age(self, stated: Statement) -> timedelta | None:
        issued = moment(stated.issued)
        return None if issued is None else self.now - issued

    def _files(self, asked: Asked, commit: CommitId, sums: Mapping[str, Sha256]) -> tuple[int, int, list[str]]:
        """How many files were read, their bytes, and what is wrong with others."""

        stop = Event()

        def look(item: tuple[str, Sha256]) -> int | str:
            return self._file(asked, commit, *item, stop)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                found = list(pool.map(look, sums.items()))
            except BaseException:
                stop.set()  # a mirror may send others without end
                pool.shutdown(cancel_futures=True)
                raise
        if asked.folder is not None:
            self._tell_more(asked.folder, sums)
        sizes = [one for one in found if isinstance(one, int)]
        return len(sizes), sum(sizes), [one for one in found if isinstance(one, str)]

    def _file(self, asked: Asked, commit: CommitId, path: str, digest: Sha256, stop: Event) -> int | str:
        """Its size in bytes, or what is wrong with it."""
        try:
            check_path(path)
            if asked.folder is None:
                with self.evidence.file(asked.repo, commit, path, digest) as stream:
                    actual, size = _hashed(stream, stop)
            else:
                with open(asked.folder / path, "rb", buffering=0, opener=_without_waiting) as file:
                    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        return f"{path}: is no file"
                    actual, size = _hashed(file, stop)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, KeyMissing):
            return f"{path}: is missing"
        except UnsafePath as error:
            return str(error)
        return size if actual == digest else f"{path}: was changed: signed is {digest}, there is {actual}"

    def _tell_more(self, folder: Path, sums: Mapping[str, Sha256]) -> None:
        more = list(_more(folder, sums))
        if more:
            others = f" and {len(more) - 1} others" if len(more) > 1 else ""
            self.remarks.append(f"not signed, and not looked at: {plain(more[0])}{others}")


def _more(folder: Path, sums: Mapping[str, Sha256]) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in sums and not name.startswith(f"{_OWN}/"):
            yield name


def _expect_newer(body: bytes, stated: Statement, seen: bytes) -> None:
    kept = _held(Statement.decode, seen)
    if kept.repo != stated.repo:
        raise NotProved(f"the statement that was kept is of {kept.repo}, not of {stated.repo}")
    if stated.serial < kept.serial:
        raise NotProved(
            f"the statement is old: its serial is {stated.serial}, and {kept.serial} of {kept.issued} was seen before"
        )
    if stated.serial == kept.serial and body != seen:
        raise NotProved(
            f"there are two statements of serial {stated.serial}: the mirror shows different ones, or two machines "
            "wrote at once; look again after its next run"
        )


def _digests(root: Root, commit: CommitId) -> tuple[Sha256, Sha256]:
    lacking = [name for name in (SUMS, SUMS_SIGNATURE) if name not in root.attachments]
    if lacking:
        raise NotProved(f"{commit} is not signed: its root names no {lacking[0]}")
    return root.attachments[SUMS], root.attachments[SUMS_SIGNATURE]


def _held(read: Callable[[bytes], Read], body: bytes) -> Read:
    try:
        return read(body)
    except SigningError as error:
        raise NotProved(str(error)) from None


def _without_waiting(path: str, flags: int) -> int:
    """A pipe is opened at once, and found to be no file."""
    return os.open(path, flags | os.O_NONBLOCK)


def _hashed(stream: ByteStream, stop: Event) -> tuple[str, int]:
    digest, size, chunk = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
    while not stop.is_set() and (count := stream.readinto(chunk)):
        digest.update(chunk[:count])
        size += count
    return digest.hexdigest(), size


def expect_stated(signers: Path, repo: Repo, refs: Refs, read: Callable[[Sha256], bytes]) -> Statement:
    """The statement of a refs.json, signed by a key of this file. SigningError where there is none that holds.

    `read` gives the documents that refs.json names.
    """
    lacking = [name for name in (STATEMENT, STATEMENT_SIGNATURE) if name not in refs.attachments]
    if lacking:
        raise NotProved(f"it is not signed: its refs.json names no {lacking[0]}")
    body, signature = (read(refs.attachments[name]) for name in (STATEMENT, STATEMENT_SIGNATURE))
    try:
        known = AllowedSigners.decode(signers.read_bytes())
    except OSError as error:
        raise SigningError(f"the keys of {signers} cannot be read: {error.strerror}") from error
    known.expect(read_signature(signature), body, datetime.now(UTC))
    stated = Statement.decode(body)
    if stated.repo != str(repo):
        raise NotProved(f"the statement is of {stated.repo}, not of {repo}")
    if not stated.agrees(refs):
        raise NotProved("refs.json names other commits or snapshots than its statement")
    return stated
