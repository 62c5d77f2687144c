"""What a bundle says of one repo, in a target: taken down, published, or refused, and why.

A repo is published when all that it names is here: the tree is walked from its refs.json, which the sums of the bundle
prove, and whoever signed these. It is merged into what stands here (`merged_refs`); the refs.json as it came stays as
an attachment, by which the next bundle is merged, and by which an older one is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import (
    DEFAULT_BRANCH,
    LEFT_BEHIND,
    STATEMENT,
    STATEMENT_SIGNATURE,
    VERSIONS,
    Refs,
)
from mirror_sync.domain.content.snapshot import Document
from mirror_sync.domain.content.tombstone import Tombstone, encode_withdrawn
from mirror_sync.domain.content.versions import NameMove, encode_history
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.bundle_reports import Imported, ImportedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import PruneGuard
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.known_contents import holds
from mirror_sync.engine.places.bundle_files import BundledRefs, BundleFiles
from mirror_sync.engine.places.merged_refs import (
    IMPORTED,
    IMPORTED_SIGNATURE,
    IMPORTED_STATEMENT,
    MergedRefs,
    is_let_go_of,
    merge,
)
from mirror_sync.engine.published import Mapper, change_refs, left_behind, only_from, put_document, read_refs, unsealed
from mirror_sync.engine.published_names import write_alias
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.engine.upkeep.take_down import let_come_back, take_down
from mirror_sync.engine.walk import Node, Place, Walk, pass_over
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError, NewerFormat, StoreUnavailable
from mirror_sync.ports.store import MAX_REFS, Store, read_document

_TRIES = 5  # to have the last word in a refs.json that moves meanwhile
_AT_ONCE = 64  # blobs that are looked for together

Stated = Callable[[bytes, Refs], int | None]
"""The serial of a statement, where it is one, and says of names and snapshots what a refs.json says."""


@dataclass(frozen=True, slots=True)
class ImportTerms:
    """How a bundle is taken: `stated` reads statements, `older` lets one come that is older than what is here."""

    stated: Stated
    older: bool = False


@dataclass(frozen=True, slots=True)
class _ImportBase:
    """What was imported last, empty where nothing was; `serial` of its statement, None where it had none."""

    refs: Refs
    digest: Sha256 | None = None
    serial: int | None = None
    at: datetime | None = None


class RepoImport:
    """Of one bundle. `lost` has, by repos that were incomplete, the first blob that is not here."""

    def __init__(
        self,
        context: RunContext,
        target: Target,
        files: BundleFiles,
        terms: ImportTerms,
        guard: PruneGuard,
        mapper: Mapper,
    ) -> None:
        self._context, self._files, self._terms, self._guard, self._mapper = context, files, terms, guard, mapper
        self._plain, self._store = target, target.store
        self._target = target if target.seal is not unsealed else replace(target, seal=self._as_stated)
        self.lost: dict[str, Sha256] = {}

    def take_down(self, bundled: BundledRefs) -> ImportedRepo:
        """Take a repo down as it was where the bundle comes from; what of it could not be removed is told.

        MirrorError, before it was taken down.
        """
        repo, name = bundled.repo, str(bundled.repo)
        ours = read_refs(self._store, repo)
        if why := self._older(bundled, self._base(ours)):
            return ImportedRepo(name, Imported.OLDER, why=why)
        digest = bundled.refs.tombstone
        assert digest is not None  # noqa: S101  for the type checker: it is a tombstone's
        tombstone = Tombstone.decode(bundled.beside.get(digest) or b"")
        if ours.tombstone is not None and ours.attachments.get(IMPORTED) == Sha256.of(bundled.body):
            return ImportedRepo(name, Imported.UNCHANGED, why=tombstone.said)
        report = take_down(self._context, self._plain, repo, tombstone)
        documents = self._documents(bundled)
        self._put(documents.values())
        named = {name: one.digest for name, one in documents.items()}
        change_refs(self._plain, repo, lambda now: now.with_attachments(named) if now.tombstone is not None else None)
        outcome = Imported.WITHDRAWN if report.ok else Imported.FAILED
        return ImportedRepo(name, outcome, why="; ".join((tombstone.said, *report.problems)))

    def publish(self, bundled: BundledRefs) -> ImportedRepo:
        """Publish what the bundle says of a repo. MirrorError; then what stood there stays."""
        repo, theirs, name = bundled.repo, bundled.refs, str(bundled.repo)
        if is_let_go_of(theirs):  # for want of room there, and unread there: here others read, and have other room
            return ImportedRepo(name, Imported.UNCHANGED, why="let go of where it comes from; what is here stays")
        for _ in range(_TRIES):
            ours = read_refs(self._store, repo)
            base = self._base(ours)
            if why := self._older(bundled, base):
                return ImportedRepo(name, Imported.OLDER, why=why)
            if ours.tombstone is not None:
                if base.refs.tombstone is None:
                    return ImportedRepo(name, Imported.KEPT_DOWN)
                let_come_back(self._context, self._plain, repo, "it came back where the bundle comes from")
                continue
            with self._plain.lock(repo):
                if read_refs(self._store, repo) != ours:
                    continue
                merged = merge(base.refs, theirs, ours)
                if lost := self._first_lost(repo, merged.refs, ours):
                    return lost
                if self._stand(bundled, ours, merged):
                    return _report(name, ours, merged)
        raise StoreUnavailable(f"{repo} was changed by somebody else again and again; run this once more")

    def send_away(self, bundled: BundledRefs) -> tuple[str, ...]:
        """What the parts have brought of a repo that is taken down here is removed; why not, where it is not.

        To be called when all other repos are published: what they name stays. MirrorError.
        """
        ours = read_refs(self._store, bundled.repo)
        if ours.tombstone is None:
            return ()
        walk = Walk(partial(read_document, self._store), pass_over, self._mapper)
        came = set[Sha256]()
        for some in batches((node.digest for node in walk.repo(bundled.repo, bundled.refs)), _AT_ONCE):
            self._context.go_on()
            there = self._mapper(self._store.stat, [blob_key(one) for one in some])
            came.update(one for one, stat in zip(some, there, strict=True) if stat is not None)
        if not came:
            return ()
        left = Document.of(encode_withdrawn({*came, *left_behind(self._store, ours)}))
        put_document(self._store, left)
        after = ours.with_attachments({LEFT_BEHIND: left.digest})
        if change_refs(self._plain, bundled.repo, only_from(ours, after)) is None:
            return ("it was changed by somebody else meanwhile; run this once more",)
        with suppress(KeyMissing, DocumentError):
            tombstone = Tombstone.decode(read_document(self._store, ours.tombstone))
            return take_down(self._context, self._plain, bundled.repo, tombstone).problems
        return ("its tombstone cannot be read: run mirror-sync withdraw again",)

    def _stand(self, bundled: BundledRefs, ours: Refs, merged: MergedRefs) -> bool:
        """Whether the merged refs.json stands now; not where another one came in between."""
        documents = self._documents(bundled)
        if history := self._history(bundled.refs, ours):
            documents[VERSIONS] = history
        self._put(documents.values())
        after = merged.refs
        for name in (IMPORTED_STATEMENT, IMPORTED_SIGNATURE):
            after = after.without_attachment(name)
        after = after.with_attachments({name: one.digest for name, one in documents.items()})
        after = after.logged(ours, self._context.now(), "import")
        if replace(after, log=ours.log) == ours.unstated():
            return True
        put: Refs | None = None
        digests = {"bundle": self._files.digest, "refs": Sha256.of(bundled.body)}
        why = f"signed by {self._files.signer}" if self._files.signer else "nobody's signature was looked at"
        of = self._plain.name, str(bundled.repo)
        act = Act(Verb.IMPORT, *of, commit=after.commit_of(DEFAULT_BRANCH) or "", reason=why, digests=digests)

        def stand() -> None:
            nonlocal put
            with recorded(self._context, self._plain, [act]):
                put = change_refs(self._target, bundled.repo, only_from(ours, after))

        new = _new(after, ours)
        if new:
            self._guard.of(bundled.repo).publish(new[0], lambda: self._loose(bundled.repo, new), stand)
        else:
            stand()
        if put is not None and after.snapshots:
            write_alias(self._store, bundled.repo)
        return put is not None

    def _loose(self, repo: Repo, new: Iterable[tuple[CommitId, Sha256]]) -> Iterator[Sha256]:
        walk = Walk(partial(read_document, self._store), _raise, self._mapper)
        return (node.digest for commit, root in new for node in walk.snapshot(Place(repo, commit), root))

    def _first_lost(self, repo: Repo, after: Refs, ours: Refs) -> ImportedRepo | None:
        """What is not here of that which would be published anew; None where all is."""
        torn: list[tuple[Place, Sha256]] = []

        def fault(place: Place, digest: Sha256, error: MirrorError) -> None:
            if isinstance(error, NewerFormat) or not isinstance(error, KeyMissing | DocumentError):
                raise error
            torn.append((place, digest))

        for batch in batches(self._nodes(repo, after, ours, fault), _AT_ONCE):
            self._context.go_on()
            there = self._mapper(self._is_here, batch)
            torn += [(node.place, node.digest) for node, found in zip(batch, there, strict=True) if not found]
            if len(torn) > _AT_ONCE:
                break
        if not torn:
            return None
        place, digest = torn[0]
        self.lost[str(repo)] = digest
        more = f"at least {len(torn)} blobs are" if len(torn) > 1 else "a blob is"
        why = f"{more} not here, first {place.path or 'a document'} ({digest})"
        return ImportedRepo(str(repo), Imported.INCOMPLETE, why=why)

    def _nodes(
        self, repo: Repo, after: Refs, ours: Refs, fault: Callable[[Place, Sha256, MirrorError], None]
    ) -> Iterator[Node]:
        known = frozenset(ours.attachments.values())
        yield from (Node(Place(repo, None), one) for one in after.attachments.values() if one not in known)
        walk = Walk(partial(read_document, self._store), fault, self._mapper)
        for commit, root in _new(after, ours):
            yield from walk.snapshot(Place(repo, commit), root)

    def _is_here(self, node: Node) -> bool:
        if node.read is not None:
            return True  # proved, or told as a fault
        if node.file is not None:
            return holds(self._plain, node.digest, node.file.size)
        return self._store.stat(blob_key(node.digest)) is not None

    def _base(self, ours: Refs) -> _ImportBase:
        """What was imported last. DocumentError where that cannot be read: an older bundle might come."""
        digest = ours.attachments.get(IMPORTED)
        if digest is None:
            return _ImportBase(Refs())
        try:
            refs = Refs.decode(read_document(self._store, digest, MAX_REFS))
            return _ImportBase(
                refs, digest, self._serial(ours.attachments.get(IMPORTED_STATEMENT), refs), self._moment(refs)
            )
        except KeyMissing as error:
            raise DocumentError(f"what was imported before is not known any more: {error}") from error

    def _older(self, bundled: BundledRefs, base: _ImportBase) -> str:
        """Why a bundle is older than what was imported before; empty where it is not, or may be."""
        if self._terms.older or base.digest in (None, Sha256.of(bundled.body)):
            return ""
        refs = bundled.refs
        serial = self._serial(refs.attachments.get(STATEMENT), refs, bundled)
        if serial is not None and base.serial is not None:
            older, than = serial < base.serial, f"its serial is {serial}, and {base.serial} was imported before"
        else:
            at = self._moment(refs, bundled)
            older = at is not None and base.at is not None and at < base.at
            than = f"it is of {_told(at)}, and one of {_told(base.at)} was imported before"
        return f"the bundle is older than what is here: {than}; --older takes it all the same" if older else ""

    def _serial(self, digest: Sha256 | None, refs: Refs, bundled: BundledRefs | None = None) -> int | None:
        body = None if digest is None else self._body(digest, bundled)
        return None if body is None else self._terms.stated(body, refs)

    def _moment(self, refs: Refs, bundled: BundledRefs | None = None) -> datetime | None:
        """The newest time that a refs.json tells of."""
        told = [moment(entry.at) for entry in refs.log]
        if refs.gone is not None:
            told.append(refs.gone.since)
        if refs.tombstone is not None and (body := self._body(refs.tombstone, bundled)) is not None:
            with suppress(DocumentError):
                told.append(moment(Tombstone.decode(body).at))
        return max((at for at in told if at is not None), default=None)

    def _body(self, digest: Sha256, bundled: BundledRefs | None) -> bytes | None:
        if bundled is not None and digest in bundled.beside:
            return bundled.beside[digest]
        with suppress(KeyMissing, DocumentError):
            return read_document(self._store, digest)
        return None

    def _documents(self, bundled: BundledRefs) -> dict[str, Document]:
        """Those that say what was imported, by the names of attachments."""
        found = {IMPORTED: Document.of(bundled.body)}
        refs = bundled.refs
        for name, ours in ((STATEMENT, IMPORTED_STATEMENT), (STATEMENT_SIGNATURE, IMPORTED_SIGNATURE)):
            digest = refs.attachments.get(name)
            body = None if digest is None else self._body(digest, bundled)
            if body is not None:
                found[ours] = Document.of(body)
        return found

    def _history(self, theirs: Refs, ours: Refs) -> Document | None:
        """Who moved names, there and here; None where nobody did, or neither tells what the other does not."""
        if VERSIONS not in theirs.attachments:
            return None
        moves = list[NameMove]()
        for refs in (theirs, ours):
            with suppress(DocumentError):
                moves += [move for move in history_of(self._store, refs) if move not in moves]
        return Document.of(encode_history(sorted(moves, key=lambda move: move.at)))

    def _put(self, documents: Iterable[Document]) -> None:
        for one in documents:  # first: a refs.json never names what is not there
            put_document(self._store, one)

    def _as_stated(self, store: Store, _repo: Repo, refs: Refs) -> tuple[Refs, Sequence[Document]]:
        """Where nobody signs here, the statement of the exporter stays where it says just what stands here now."""
        names = {STATEMENT: IMPORTED_STATEMENT, STATEMENT_SIGNATURE: IMPORTED_SIGNATURE}
        named = {name: refs.attachments[kept] for name, kept in names.items() if kept in refs.attachments}
        plain = refs.unstated()
        if len(named) < len(names) or self._serial(named[STATEMENT], plain) is None:
            return plain, ()
        return plain.with_attachments(named), ()


def _new(after: Refs, ours: Refs) -> list[tuple[CommitId, Sha256]]:
    return [(commit, root) for commit, root in after.snapshots.items() if ours.snapshots.get(commit) != root]


def _report(name: str, ours: Refs, merged: MergedRefs) -> ImportedRepo:
    after, new = merged.refs, len(_new(merged.refs, ours))
    same = (after.snapshots, after.refs, after.channels) == (ours.snapshots, ours.refs, ours.channels)
    outcome = Imported.UNCHANGED if same else Imported.PUBLISHED
    why = f"stays as it is here: {', '.join(merged.kept)}" if merged.kept else ""
    return ImportedRepo(name, outcome, new, merged.kept, why)


def _told(at: datetime | None) -> str:
    return "no known time" if at is None else iso_utc(at)


def _raise(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    raise error
