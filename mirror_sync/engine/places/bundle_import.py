"""Brings a bundle into a target: take-downs, then blobs, each proved by its name, then repo by repo what names them.

A part that is missing or damaged is named, and hinders only the repos that need it; the same call goes on later with
what was brought then, in any order. What becomes of a repo says `repo_import`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby, islice, zip_longest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.bundle_reports import Imported, ImportedRepo, ImportReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.beside_prune import PruneGuard
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.known_contents import holds
from mirror_sync.engine.places.bundle_files import BundledRefs, BundleFiles, PartMissing
from mirror_sync.engine.places.bundle_format import INDEX, BundlePart, members_of, part_name
from mirror_sync.engine.places.repo_import import ImportTerms, RepoImport
from mirror_sync.engine.stopping import work_for
from mirror_sync.engine.transfer.file_read import FileOrigin
from mirror_sync.engine.transfer.file_transfer import Transfer
from mirror_sync.engine.transfer.segment_pool import SegmentPool
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.errors import (
    DocumentError,
    IntegrityError,
    Interrupted,
    MirrorError,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from mirror_sync.logger import Logger

_COPIERS = 8
_AT_ONCE = 64  # blobs that are on their way, or wait for a thread
_SAMPLE = 1000  # of what must be here already, looked for before anything is copied
_SILENT = 3  # repos in a row of which the target answered nothing: it does not answer
_NO_COMMIT = CommitId("0" * 40)
_PARTS = Repo(Kind.MODEL, "bundle/parts")  # what the log calls the place where blobs come from

_log = Logger()


def import_bundle(context: RunContext, target: Target, files: BundleFiles, terms: ImportTerms) -> ImportReport:
    """Import a bundle, or go on with one. What is wrong with a part or a repo is in the report.

    Raises StoreError where the target cannot be written, with the name of the part; DocumentError for a bundle that
    contradicts itself, or builds on what is not here; Interrupted.
    """
    begin = partial(work_for, context.stop)
    with (
        SegmentPool(None, begin, context.monotonic) as segments,
        ThreadPoolExecutor(_COPIERS, "import", begin) as copiers,
        target.single_flight.at_work(),
    ):
        return _Import(context, target, files, terms, Transfer(context, target, segments), copiers).run()


class _Import:
    def __init__(
        self,
        context: RunContext,
        target: Target,
        files: BundleFiles,
        terms: ImportTerms,
        transfer: Transfer,
        copiers: ThreadPoolExecutor,
    ) -> None:
        self._context, self._target, self._files, self._copiers = context, target, files, copiers
        guard = PruneGuard(context, target, _PARTS, copiers.map)  # before anything is looked for
        self._repos = RepoImport(context, target, files, terms, guard, copiers.map)
        self._transfer, self._origin = transfer, FileOrigin("import", files, _PARTS, _NO_COMMIT)
        self._blobs = self._bytes = self._there = self._silent = 0
        self._problems: list[str] = []
        self._damaged = Counter[str]()  # blobs by their part, of which the first is a problem that is told
        self._counting = threading.Lock()

    def run(self) -> ImportReport:
        done = {one.repo: self._became(self._repos.take_down, one) for one in self._documents() if one.is_tombstone}
        self._problems.clear()  # of refs parts, which are told once more
        self._expect_base()
        self._bring_parts()
        for cut in self._files.index.cut:
            if holds(self._target, cut.digest, cut.bytes):
                self._there += 1
            else:
                last = part_name("blobs", cut.last)
                self._bring_one(
                    f"{part_name('blobs', cut.first)} to {last}", cut.digest, cut.bytes, f"pieces/{cut.digest}"
                )
        came = {
            one.repo: done[one.repo] if one.repo in done else self._became(self._repos.publish, one)
            for one in self._documents()
        }
        down = {repo for repo, one in came.items() if one.outcome is Imported.KEPT_DOWN}
        if down:
            known, self._problems = self._problems, []
            for one in self._documents():
                if one.repo in down:
                    came[one.repo] = self._became(self._send_away, one)
            self._problems = known
        repos = [came.get(one.repo, _without(one.repo, one.part)) for one in self._files.index.repos]
        told = str(self._files.folder), self._target.name, self._files.signer or None, tuple(self._placed(repos))
        more = (f"{part}: {count - 1:,} more of its blobs, too" for part, count in self._damaged.items() if count > 1)
        return ImportReport(*told, self._blobs, self._bytes, self._there, (*self._problems, *more))

    def _documents(self) -> Iterator[BundledRefs]:
        """All refs.json objects that are here, and sound."""
        for part in self._files.index.parts:
            if part.is_blobs:
                continue
            try:
                if why := self._files.lack(part):
                    self._problems.append(why)
                else:
                    yield from self._files.documents(part)
            except DocumentError as error:
                self._problems.append(str(error))
            except OSError as error:
                self._problems.append(_unread(part.name, error))

    def _became(self, do: Callable[[BundledRefs], ImportedRepo], one: BundledRefs) -> ImportedRepo:
        self._context.go_on()
        try:
            became = do(one)
        except (Interrupted, StoreFull, StoreDenied):
            raise
        except MirrorError as error:
            self._silent += isinstance(error, StoreUnavailable)
            if self._silent >= _SILENT:
                raise StoreUnavailable(f"after {_SILENT} repos that could not be published: {error}") from error
            return ImportedRepo(str(one.repo), Imported.FAILED, why=str(error))
        self._silent = 0
        return became

    def _send_away(self, one: BundledRefs) -> ImportedRepo:
        problems = self._repos.send_away(one)
        outcome = Imported.FAILED if problems else Imported.KEPT_DOWN
        said = f"taken down here, by a person: mirror-sync restore {one.repo} lets it come"
        return ImportedRepo(str(one.repo), outcome, why="; ".join((said, *problems)))

    def _expect_base(self) -> None:
        """DocumentError where nothing is here of what the bundle builds on: hours before a repo would be found torn."""
        needs = [*islice(self._files.index.needs(), _SAMPLE)]
        keys = [blob_key(one) for one in needs]
        if needs and not any(self._copiers.map(self._target.store.stat, keys)):
            raise DocumentError(
                f"{self._files.folder} builds on what target {self._target.name} does not have: import the bundle that "
                f"it was made --since before it, or have it made with --inventory of this target"
            )

    def _bring_parts(self) -> None:
        known = {part.name: part for part in self._files.index.parts}
        for number, blobs in groupby(self._files.index.blobs(), key=lambda blob: blob[2]):
            part = known.get(part_name("blobs", number))
            if part is None:
                raise DocumentError(f"{INDEX} has blobs in part {number}, which is none")
            whole = ((digest, size) for digest, size, _ in blobs if digest not in self._files.cut)
            try:
                if why := self._files.lack(part):
                    self._expect_here(why, whole)
                else:
                    self._bring_part(part, whole)
            except DocumentError as error:
                self._problems.append(str(error))
            except OSError as error:
                self._problems.append(_unread(part.name, error))

    def _expect_here(self, why: str, blobs: Iterable[tuple[Sha256, int]]) -> None:
        """A part that is missing is a problem where one of its blobs is not here."""
        for batch in batches(blobs, _AT_ONCE):
            if not all(self._held(batch)):
                self._problems.append(why)
                return
            self._there += len(batch)

    def _held(self, blobs: Sequence[tuple[Sha256, int]]) -> Iterator[bool]:
        self._context.go_on()
        return self._copiers.map(lambda blob: holds(self._target, *blob), blobs)

    def _bring_part(self, part: BundlePart, blobs: Iterable[tuple[Sha256, int]]) -> None:
        """Those of its blobs that are not here. OSError; DocumentError where it has others than the index says."""
        found = (one for one in members_of(self._files.folder / part.name) if not one.key.startswith("pieces/"))
        for batch in batches(zip_longest(found, blobs), _AT_ONCE):
            for member, blob in batch:
                if member is None or blob is None or (member.key, member.size) != (blob_key(blob[0]), blob[1]):
                    raise DocumentError(f"{part.name} has other blobs than {INDEX} says: copy it again")
            held = self._held([blob for _, blob in batch])
            missing = [(member, blob) for (member, blob), there in zip(batch, held, strict=True) if not there]
            self._there += len(batch) - len(missing)
            coming = [
                self._copiers.submit(self._bring_one, part.name, digest, size, f"{part.name}@{member.offset}")
                for member, (digest, size) in missing
            ]
            try:
                for one in coming:
                    one.result()
            except BaseException:
                wait(coming)
                self._settle([blob for _, blob in missing])
                raise

    def _settle(self, blobs: Sequence[tuple[Sha256, int]]) -> None:
        """Blobs of a folder get their names many at a time: those that wait for that get them before we leave."""
        with suppress(StoreError):
            for digest, _ in blobs:
                self._target.store.stat(blob_key(digest))

    def _bring_one(self, part: str, digest: Sha256, size: int, path: str) -> None:
        """StoreError where the target cannot take it; what is wrong with the bundle is a problem."""
        try:
            self._transfer.bring(self._origin, RemoteFile.of_digest(path, size, digest))
        except PartMissing as error:
            self._spoilt(part, str(error))
        except IntegrityError as error:
            self._spoilt(part, f"{part}: blob {digest} holds other bytes (SHA-256 {error.actual}): copy it again")
        except DocumentError as error:
            self._spoilt(part, f"{part}: {error}")
        except StoreFull as error:
            raise StoreFull(
                f"{error}; {part} was being brought: what came is kept, make room and run the same command again"
            ) from error
        except OSError as error:
            self._spoilt(part, _unread(part, error))
        else:
            with self._counting:
                self._blobs += 1
                self._bytes += size

    def _spoilt(self, part: str, why: str) -> None:
        """A blob of a part could not be had: of each part the first is told, and of the others how many."""
        with self._counting:
            self._damaged[part] += 1
            if self._damaged[part] == 1:
                self._problems.append(why)

    def _placed(self, repos: Iterable[ImportedRepo]) -> Iterator[ImportedRepo]:
        """The same, with the part in which the first missing blob of each is."""
        lost = {one: self._repos.lost[one] for one in self._repos.lost}
        wanted = set(lost.values())
        parts: dict[Sha256, int] = {}
        if wanted:
            parts = {digest: part for digest, _, part in self._files.index.blobs() if digest in wanted}
        for repo in repos:
            digest = lost.get(repo.repo)
            if digest is None:
                yield repo
            elif digest in parts:
                yield replace(repo, why=f"{repo.why}: it is in {part_name('blobs', parts[digest])}")
            else:
                yield replace(
                    repo,
                    why=f"{repo.why}: it is in no part, and should be here already; import the bundle before first",
                )


def _unread(part: str, error: OSError) -> str:
    return f"{part} cannot be read: {error.strerror or error}; copy it again"


def _without(repo: Repo, part: str) -> ImportedRepo:
    return ImportedRepo(str(repo), Imported.INCOMPLETE, why=f"its refs.json is in {part}")
