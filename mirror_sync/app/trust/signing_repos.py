"""`sign`: signs anew what was published before a key was named, or with another one. `doors`: the same with the
documents of doors, of what was published before one was opened.

The documents of a snapshot are attachments of its root, so a snapshot that is signed anew has another root; its files,
its names and its time of publication stay. All snapshots of a repo move with one PUT of its refs.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mirror_sync.app.trust.auditing import acting
from mirror_sync.domain.audit_record import Act, Actor, Verb
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.rewritten import PUBLISHED, Rewritten, encode_rewritten, time_of
from mirror_sync.domain.content.snapshot import Attachment, Document, Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors import oci_images
from mirror_sync.domain.doors.oci_images import IMAGE, image_fault
from mirror_sync.domain.doors.torrent_metainfo import DOOR, FACTS, TorrentFacts
from mirror_sync.domain.doors.ways import DOORS, open_doors
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.events import RepoSigned
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import PruneGuard
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.doors.door_documents import DoorDocuments
from mirror_sync.engine.known_contents import expect_kept
from mirror_sync.engine.published import (
    change_refs,
    mirrored_repos,
    published_at,
    read_listing,
    read_refs,
    read_root,
    rewritten_roots,
)
from mirror_sync.engine.stopping import running
from mirror_sync.engine.sync.publish import put_all
from mirror_sync.errors import DocumentError, Interrupted, MirrorError, StoreUnavailable, UsageError
from mirror_sync.ports.store import MAX_DOCUMENT, MAX_TREE, Store, read_document
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS, Signer
from mirror_sync.signing.signer import SigningKeys, SnapshotFacts, SnapshotSigner, edit_signers, is_stated, read_signers

_WRITTEN = 1.0  # seconds from a look at a small object to the end of its PUT, mostly


@dataclass(frozen=True, slots=True)
class SignedRepo:
    """What became of a repo: how many of its snapshots were signed anew, whether it has a new statement, or why not.

    `without`, `imageless`: which of them have no torrent, and no image, and why, where these doors are open.
    """

    target: str
    repo: Repo
    snapshots: int = 0
    stated: bool = False
    problem: str = ""
    without: tuple[str, ...] = ()
    imageless: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What became of it, in one line."""
        if self.problem:
            return f"failed: {self.problem}"
        if not self.snapshots and not self.stated:
            return "signed already"
        many = "" if self.snapshots == 1 else "s"
        return f"signed: {self.snapshots} snapshot{many}" + (", and a new statement" if self.stated else "")


@dataclass(frozen=True, slots=True)
class SignReport:
    """What became of all repos that were to be signed, or made ready for `doors`: the names of those that are open."""

    repos: tuple[SignedRepo, ...]
    doors: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all of them are signed now."""
        return not any(one.problem for one in self.repos)

    def encode(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **({"doors": list(self.doors)} if self.doors else {}),
            "repos": [
                {
                    "target": one.target,
                    "repo": str(one.repo),
                    "snapshots": one.snapshots,
                    "statement": one.stated,
                    "problem": one.problem or None,
                    "without_torrent": list(one.without),
                    "without_image": list(one.imageless),
                }
                for one in self.repos
            ],
        }


class SignRepos:
    """Safe for many threads; `keys` None where jobs.yaml names none."""

    def __init__(
        self,
        context: Callable[[], RunContext],
        keys: SigningKeys | None,
        signer: SnapshotSigner | None,
        doors: DoorDocuments | None = None,
    ) -> None:
        self._context, self._keys, self._signer, self._doors = context, keys, signer, doors

    def __call__(
        self, actor: Actor, *, repo: Repo | None = None, target: str | None = None, retire: str | None = None
    ) -> SignReport:
        """For `actor`, sign all repos of all targets, or of one, or one repo; then retire a key, if all went well.

        UsageError where jobs.yaml names no key, and for a repo that is nowhere; Interrupted after a stop.
        """
        keys, signer = self._keys, self._signer
        if keys is None or signer is None:
            raise UsageError("jobs.yaml signs nothing; write trust: {key: FILE}")
        if retire and (keys.ssh_path is None or keys.public.fingerprint == retire):
            raise UsageError(f"{retire} is the key that signs; name a new one in jobs.yaml first")
        context = self._context()
        targets = [one for name, one in context.targets.items() if target in (None, name)]
        listed = {one.name: one for one in targets if retire and _lines(one.store, retire)}
        if retire and not listed:
            raise UsageError(f"no target has a key {retire} in its {ALLOWED_SIGNERS}")
        retired = [one for one in listed.values() if any(line.before is None for line in _lines(one.store, retire))]
        with acting(context, actor, [one.name for one in targets]) as acting_context, running(context.stop):
            found = tuple(
                Signing(acting_context, one, keys, signer, self._doors).sign(wanted)
                for one in targets
                for wanted in _wanted(one.store, repo)
            )
            report = SignReport(found)
            for one in retired if report.ok else ():
                act = Act(Verb.KEY_CHANGE, one.name, reason=f"{retire} signs no longer")
                with recorded(acting_context, one, [act]):
                    settle = partial(context.pause, _WRITTEN)
                    edit_signers(one.store, lambda known: known.retired(str(retire), context.clock()), settle)
        if repo is not None and not found:
            raise UsageError(f"nothing of {repo} is mirrored{_meant(targets, repo)}")
        return report


def _lines(store: Store, fingerprint: str | None) -> list[Signer]:
    """By which a target says that a key is, or was, its mirror's."""
    return [one for one in read_signers(store).signers if one.key.fingerprint == fingerprint]


def _meant(targets: Iterable[Target], repo: Repo) -> str:
    known = (RepoPattern(one.kind, one.id) for target in targets for one in mirrored_repos(target.store))
    return did_you_mean(RepoPattern(repo.kind, repo.id), known)


def _wanted(store: Store, repo: Repo | None) -> Iterator[Repo]:
    for one in mirrored_repos(store):
        if repo is None or one == repo:
            yield one


class RemakeDoors:
    """Makes what doors need of what is published already. Safe for many threads; `doors` None where none is open."""

    def __init__(self, context: Callable[[], RunContext], doors: DoorDocuments | None) -> None:
        self._context, self._doors = context, doors

    def __call__(self, actor: Actor, *, repo: Repo | None = None, target: str | None = None) -> SignReport:
        """For `actor`, of all repos of all targets, or of one, or of one repo. UsageError where no door is open, and
        for a repo that is nowhere; Interrupted after a stop.
        """
        if self._doors is None:
            words = " or ".join(door.opened_by for door in DOORS if door.documents)
            raise UsageError(f"jobs.yaml opens no door that needs anything; write {words}")
        context = self._context()
        targets = [one for name, one in context.targets.items() if target in (None, name)]
        with acting(context, actor, [one.name for one in targets]) as acting_context, running(context.stop):
            found = tuple(
                Signing(acting_context, one, None, None, self._doors).sign(wanted)
                for one in targets
                for wanted in _wanted(one.store, repo)
            )
        if repo is not None and not found:
            raise UsageError(f"nothing of {repo} is mirrored{_meant(targets, repo)}")
        return SignReport(found, tuple(door.name for door in open_doors(self._doors.open)))


class Signing:
    """Gives the snapshots of one target the attachments that they lack: signs them where there is a `signer`."""

    def __init__(
        self,
        context: RunContext,
        target: Target,
        keys: SigningKeys | None,
        signer: SnapshotSigner | None,
        doors: DoorDocuments | None = None,
    ) -> None:
        self._context, self._target, self._keys, self._signer = context, target, keys, signer
        self._store, self._doors = target.store, doors
        self._verb = Verb.PUBLISH if signer is None else Verb.SIGN
        self._without, self._imageless = list[str](), list[str]()  # of the repo that is at hand

    def sign(self, repo: Repo) -> SignedRepo:
        """One repo, under its lock. What goes wrong is said of it; Interrupted after a stop."""
        self._context.go_on()
        try:
            with self._target.lock(repo):
                return self._sign(repo)
        except Interrupted:
            raise
        except MirrorError as error:
            return SignedRepo(self._target.name, repo, problem=str(error))

    def _sign(self, repo: Repo) -> SignedRepo:
        guard = PruneGuard(self._context, self._target, repo)
        refs = read_refs(self._store, repo)
        anew: dict[CommitId, Sha256] = {}
        self._without, self._imageless = [], []
        for commit, digest in refs.snapshots.items():
            self._context.go_on()
            made = self._anew(digest)
            if made != digest:
                anew[commit] = made
        stated = self._keys is not None and self._keys.ssh_path is not None
        done = bool(anew) or (self._keys is not None and stated and not is_stated(self._keys, self._store, refs))
        if done:
            self._publish(guard, repo, refs, self._with_times(refs, anew), anew)
        if stated:
            self._context.tell(RepoSigned(self._target.name, repo, len(anew)))
        lacks = tuple(self._without), tuple(self._imageless)
        return SignedRepo(self._target.name, repo, len(anew), stated and done, "", *lacks)

    def _anew(self, digest: Sha256) -> Sha256:
        """The root with the documents that it lacks, or with newer ones; its own digest where it lacks none."""
        root = read_root(self._store, digest)
        files = sorted((entry.file for entry in read_listing(self._store, root)), key=lambda file: file.path)
        facts = SnapshotFacts(root, files, self._info(root))
        lacking = dict[str, Attachment]()
        if self._signer is not None:
            lacking = self._signer.stale(facts, partial(read_document, self._store, limit=MAX_DOCUMENT))
        if self._doors is not None:
            made = self._doors.stale(self._store, root, files, lacking)
            lacking |= {name: Document.of(body) for name, body in made.items()}
            self._tell_torrent(root, made.get(FACTS))
            if oci_images.DOOR in self._doors.open and not {IMAGE} & {*root.attachments, *lacking}:
                why = image_fault(files) or f"no client takes one of {len(files):,} files"
                self._imageless.append(f"{root.commit}: {why}")
        if not lacking:
            return digest
        named = {name: document.digest for name, document in lacking.items()}
        top = replace(root, attachments={**root.attachments, **named}).encode()
        if len(top.body) > MAX_TREE:
            raise DocumentError(f"{facts.repo} at {root.commit}: its root would be too large with it")
        for document in (*lacking.values(), top):  # the root last: it never names what is not there
            self._put(document)
        return top.digest

    def _tell_torrent(self, root: Root, made: bytes | None) -> None:
        """Note why a snapshot has no torrent, where it should have one."""
        if self._doors is None or DOOR not in self._doors.open:
            return
        known = made or read_document(self._store, root.attachments[FACTS], MAX_DOCUMENT)
        why = TorrentFacts.decode(known).why
        if why:
            self._without.append(f"{root.commit}: {why}")

    def _info(self, root: Root) -> Mapping[str, Any]:
        try:
            info = json.loads(read_document(self._store, root.info, MAX_DOCUMENT))
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"{root.repo} at {root.commit}: its info cannot be read") from error
        return info if isinstance(info, dict) else {}

    def _with_times(self, refs: Refs, anew: Mapping[CommitId, Sha256]) -> Refs:
        """The same refs with the new roots, and a document that says when these snapshots were published."""
        after = replace(refs, snapshots={**refs.snapshots, **anew})
        known = rewritten_roots(self._store, refs)
        kept = {root: one for root, one in known.items() if root in after.snapshots.values()}
        for commit, root in anew.items():
            before = refs.snapshots[commit]
            first, written = published_at(self._store, before), published_at(self._store, root)
            if first is None or written is None:
                raise StoreUnavailable(f"the root of {commit} is not there, a moment after it was")
            kept[root] = Rewritten(time_of(first, known.get(before)), written)
        if not kept:
            return after
        document = Document.of(encode_rewritten(kept))
        self._put(document)
        return after.with_attachments({PUBLISHED: document.digest})

    def _publish(
        self, guard: PruneGuard, repo: Repo, before: Refs, after: Refs, anew: Mapping[CommitId, Sha256]
    ) -> None:
        commits = list[str](anew) or [""]  # the statement alone
        why = "what the doors of fronts need" if self._signer is None else ""
        acts = [Act(self._verb, self._target.name, str(repo), commit=commit, reason=why) for commit in commits]

        def rooted(now: Refs) -> Refs:
            """What a name was moved to meanwhile stays: only what is signed must be as it was."""
            if _rooted(now) != _rooted(before):
                raise StoreUnavailable(f"{repo} was changed by somebody else meanwhile; do it again")
            timed = {name: digest for name, digest in after.attachments.items() if name == PUBLISHED}
            verb = "doors" if self._signer is None else "sign"
            mended = replace(now, snapshots=after.snapshots).with_attachments(timed)
            return mended.logged(now, self._context.now(), verb)

        def put() -> None:
            with recorded(self._context, self._target, acts):  # which may take long
                change_refs(self._target, repo, rooted)

        commit = next((one for one in anew if one in after.named), next(iter(anew), None))
        if commit is None:
            put()
        else:  # beside prunes: all but the new documents is named by the snapshots that `put` finds published still
            guard.publish((commit, anew[commit]), None, put)

    def _put(self, document: Attachment) -> None:
        expect_kept(self._store, put_all(self._store, [document]).items())


def _rooted(refs: Refs) -> tuple[dict[CommitId, Sha256], Sha256 | None]:
    """What of a refs.json is signed anew: its snapshots, and since when they are published."""
    return refs.snapshots, refs.attachments.get(PUBLISHED)
