"""One pass over a replica: what a target publishes and the replica has not is copied, in an order that no reader and no
death can turn into a mix.

Take-downs first, each as in the target itself: the refusal, then the bytes. Then, repo by repo, blobs and documents,
and refs.json last. Then what all repos share: the audit, keys, the catalogue; and last the word that the replica is
whole, with the time. A pass that dies anywhere has left each repo as it was or as it is now. See decision 73.

What is there is known from the last pass, by the versions of objects that a listing tells: so a replica of which
nothing has changed costs some calls, however many repos there are.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from mirror_sync.domain.catalogue.feed import FIRST_FEED
from mirror_sync.domain.catalogue.page_data import FEED, HOME, data_of
from mirror_sync.domain.catalogue.rows import LARGEST, whole_key
from mirror_sync.domain.content.keys import AUDIT, HUB, SITE, TRUST, WITHDRAWN, is_refs, refs_key, repo_of, site_key
from mirror_sync.domain.content.refs import LEFT_BEHIND, Refs
from mirror_sync.domain.content.snapshot import Document
from mirror_sync.domain.content.tombstone import Tombstone, encode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.replicas import LARGEST_MARK, MARK, STATUS, ReplicaMark, ReplicaStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.places.held_records import HeldRecords
from mirror_sync.engine.places.tree_copy import COPIERS, TreeCopy
from mirror_sync.engine.published import change_refs, only_from, put_document, read_refs
from mirror_sync.engine.transfer.file_transfer import Transfer
from mirror_sync.engine.transfer.segment_pool import SegmentPool
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.engine.upkeep.take_down import take_down
from mirror_sync.engine.walk import Walk, pass_over
from mirror_sync.errors import (
    BlobFrozen,
    DocumentError,
    Interrupted,
    KeyMissing,
    MirrorError,
    StoreError,
    StoreUnavailable,
    Vanished,
)
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import Stat, read_all, read_document, read_refs_json
from mirror_sync.scratch.spilled_map import SpilledMap

_LOOK_ANYWAY = timedelta(days=1)  # at all repos, whatever the feed says: it is a hint
_AT_ONCE = 256  # small objects that are compared, and then copied, together
_LARGEST = 64 * 1024 * 1024  # bytes of a part of the catalogue or of the audit
_KEPT = 8 * 1024 * 1024  # bytes of refs.json objects that are in memory from the look at them to their turn
_TRIES = 5  # to copy a repo that moves under the copy
_ENOUGH = 3  # repos in a row of which a place answered nothing: it does not answer
_LEDGER, _COPY, _LOOKED, _SITE = "ledger:", "copy", "looked", "site"  # names in the memory
_FILLING = "filling"  # and that by which blobs are there that somebody else has put, and nobody has proved


@dataclass(frozen=True, slots=True)
class Replicated:
    """A target with one of its replicas. `memory`: what this machine remembers to have copied there. `fronted`: readers
    of the target are led to a front over the replica, too.
    """

    main: Target
    replica: Target
    memory: ReadCache
    name: str
    fronted: bool = False

    @property
    def status(self) -> ReplicaStatus:
        """What was found last. Raises StoreError."""
        return ReplicaStatus(self.main.name, self.name).recalled(self.memory.recall(STATUS, ""))

    def fill(self) -> None:
        """From now on, until a pass has proved them, blobs may lie there that were not proved. StoreError."""
        self.memory.remember(_FILLING, "", b"1")

    def remember(self, status: ReplicaStatus) -> None:
        """It may be lost: then the next pass finds it out again."""
        with suppress(StoreError):
            self.memory.remember(STATUS, "", status.encode())


class ReplicaPass:
    """Made for one pass. `sure`: nothing is taken from the feed, all repos are looked at.
    `anew`: nothing is believed of what the replica has, all is read there and proved. `pruned`: when the target was
    last pruned, which the replica follows.
    """

    def __init__(
        self,
        context: RunContext,
        places: Replicated,
        *,
        sure: bool = False,
        anew: bool = False,
        pruned: str = "",
    ) -> None:
        self._context, self._places, self._sure, self._anew, self._pruned = context, places, sure or anew, anew, pruned
        self._main, self._replica, self._memory = places.main.store, places.replica, places.memory
        self._store = places.replica.store
        self._held = HeldRecords(self._main, self._memory, places.name, told=places.fronted)
        self._began = context.now()
        self._status = places.status
        self._problems: list[str] = []
        self._bodies: dict[str, bytes] = {}
        self._kept = 0  # bytes of all that were ever in it
        self._more_bodies = SpilledMap(most=0)  # those beyond, on disk: who remembers nothing has all of a target
        self._silent = 0

    def look(self) -> None:
        """Take-downs alone, as far as readers see them, and what else is to be copied, counted: for whoever may not
        copy now, or cannot wait for a pass that goes on elsewhere. MirrorError.
        """
        changed = self._changed_refs(trusting=True)
        for repo, refs in self._tombstones(changed):
            self._bury(repo, refs)
        self._count(changed)

    def run(self) -> ReplicaStatus:
        """What came of it, which is remembered, too. What goes wrong is in `reason`; Interrupted is not raised."""
        self._tell(replace(self._status, tried=self._began, reason="", copied_blobs=0, copied_bytes=0))
        try:
            self._pass()
        except Interrupted:
            self._problems.append("stopped before the end; the next pass goes on")
        except MirrorError as error:
            self._problems.append(str(error))
        if self._problems:
            more = f" (and {len(self._problems) - 1:,} more)" if self._problems[1:] else ""
            since = self._status.behind_since or self._began
            self._tell(replace(self._status, reason=f"{self._problems[0]}{more}", behind_since=since))
        return self._status

    def _pass(self) -> None:
        copy = self._copy_word()
        trusting = not self._anew and not self._memory.recall(_FILLING, "") and self._mark_is(copy)
        if not trusting or (self._held.is_due and not self._places.fronted):
            self._held.clear()
        elif self._held.is_due:
            self._held.begin()
        site = {stat.key: stat for stat in self._main.list(SITE)}
        looked = _version_of_feed(site)
        if self._sure or not trusting or self._held.is_due or not looked or not self._looked_lately(looked):
            self._repos(trusting=trusting)
            if self._problems:
                return
            if looked and self._has_feed():
                self._memory.remember(_LOOKED, looked, self._began.encode())
        self._shared(site, trusting=trusting)
        self._follow_prune()
        mark = ReplicaMark(self._began, copy).encode()
        self._store.put(MARK, mark, Sha256.of(mark))
        self._memory.remember_all({_COPY: ("", copy.encode()), _FILLING: ("", b"")})
        done = replace(self._status, published=self._began, behind_since="", repos=0, snapshots=0)
        self._tell(done)

    # what is known of the replica

    def _copy_word(self) -> str:
        kept = self._memory.recall(_COPY, "")
        return secrets.token_hex(8) if kept is None else kept.decode()

    def _mark_is(self, copy: str) -> bool:
        """The first call to the replica: whether what we remember is of it."""
        with suppress(KeyMissing, DocumentError):
            return ReplicaMark.decode(read_all(self._store, MARK, LARGEST_MARK)).copy == copy
        return False

    def _has_feed(self) -> bool:
        """A home page may also be a file of the operator's, which tells of no repo."""
        with suppress(KeyMissing):
            return data_of(read_all(self._main, site_key(HOME), LARGEST), FEED) is not None
        return False

    def _looked_lately(self, version: str) -> bool:
        at = moment((self._memory.recall(_LOOKED, version) or b"").decode())
        return at is not None and at <= self._context.clock() < at + _LOOK_ANYWAY

    # repos

    def _repos(self, *, trusting: bool) -> None:
        changed = self._changed_refs(trusting=trusting)
        with SegmentPool(None, lambda: None, self._context.monotonic) as segments:
            transfer = Transfer(self._context, self._replica, segments)
            for repo, refs in self._tombstones(changed):
                self._each(repo, partial(self._take_down, repo, refs))
            self._count(changed)
            tree = TreeCopy(self._context, self._main, self._replica, transfer, trusting=trusting)
            for key, stat in changed.items():
                found = repo_of(key)
                if found is None:
                    if is_refs(key):
                        self._problems.append(f"{key} is of no repo that this program knows; a newer one wrote it")
                    continue
                self._each(found, partial(self._repo, tree, found, stat))
                self._tell(replace(self._status, copied_blobs=tree.blobs, copied_bytes=tree.bytes))
        self._small({key: stat for key, stat in changed.items() if not is_refs(key)}, trusting=trusting)
        if self._held.is_due and not self._problems:
            if trusting:  # else each of them was gone through just now
                self._tell_held()
            self._held.completed()

    def _tell_held(self) -> None:
        """Of each repo, as those have no record that were copied before anybody was led to the replica."""
        listed = [stat.key for stat in self._main.list(HUB) if is_refs(stat.key)]
        for some in batches(listed, _AT_ONCE):
            self._context.go_on()
            for name, (_, body) in self._memory.recall_all([f"{_LEDGER}{key}" for key in some]).items():
                repo = repo_of(name.removeprefix(_LEDGER))
                if repo is not None and body:
                    self._held.hold(repo, Refs.decode(body))

    def _changed_refs(self, *, trusting: bool) -> dict[str, Stat]:
        """What lies below hub/ in the target in another version than was copied; all of it where nothing is trusted.

        Vanished where the target lists nothing, and the replica publishes something.
        """
        listed = {stat.key: stat for stat in self._main.list(HUB)}
        if not listed and any(is_refs(stat.key) for stat in self._store.list(HUB)):
            raise Vanished(
                f"target {self._places.main.name} lists no repo at all: is it mounted, and is its url right? "
                "Its replica stays as it is"
            )
        return self._unlike(listed, trusting=trusting)

    def _unlike(self, listed: Mapping[str, Stat], *, trusting: bool) -> dict[str, Stat]:
        if not trusting:
            return dict(listed)
        found: dict[str, Stat] = {}
        for some in batches(listed, _AT_ONCE):
            known = self._memory.recall_all([f"{_LEDGER}{key}" for key in some])
            for key in some:
                version, _ = known.get(f"{_LEDGER}{key}", ("", b""))
                if version != _version(listed[key]):
                    found[key] = listed[key]
        return found

    def _tombstones(self, changed: Mapping[str, Stat]) -> Iterator[tuple[Repo, Refs]]:
        """Of what has changed the repos that were taken down."""
        for key in changed:
            repo = repo_of(key)
            if repo is None:
                continue
            self._context.go_on()
            with suppress(KeyMissing, DocumentError):  # told when its turn comes
                body = read_refs_json(self._main, repo)
                refs = Refs.decode(body)
                self._keep_body(key, body)
                if refs.tombstone is not None:
                    yield repo, refs

    def _keep_body(self, key: str, body: bytes) -> None:
        if self._kept + len(body) <= _KEPT:
            self._bodies[key] = body
            self._kept += len(body)
        else:
            try:
                self._more_bodies.put(key.encode(), body)
            except StoreError:  # without room all of them are read once more: none of them waits in memory
                self._more_bodies.clear()

    def _count(self, changed: Mapping[str, Stat]) -> None:
        """How much is to be copied, as far as it is known before it is read."""
        known = self._memory.recall_all([f"{_LEDGER}{key}" for key in self._bodies])
        repos = snapshots = 0
        for key, body in self._bodies.items():
            before = _snapshots_in(known.get(f"{_LEDGER}{key}", ("", b""))[1])
            more = _snapshots_in(body) - before
            repos, snapshots = repos + (body != known.get(f"{_LEDGER}{key}", ("", b""))[1]), snapshots + len(more)
        repos += sum(is_refs(key) and key not in self._bodies for key in changed)
        since = self._status.behind_since or (self._began if repos else "")
        self._tell(replace(self._status, repos=repos, snapshots=snapshots, behind_since=since))

    def _each(self, repo: Repo, copy: Callable[[], None]) -> None:
        """One repo that fails stops no other; a place that does not answer is not asked for each of them."""
        self._context.go_on()
        try:
            copy()
            self._silent = 0
        except Interrupted:
            raise
        except (StoreError, DocumentError) as error:
            self._problems.append(f"{repo}: {error}")
            self._silent += isinstance(error, StoreError) and not isinstance(error, KeyMissing | BlobFrozen)
            if self._silent >= _ENOUGH:
                raise StoreUnavailable(f"after {_ENOUGH} repos that could not be copied: {error}") from error

    def _repo(self, tree: TreeCopy, repo: Repo, stat: Stat) -> None:
        key = refs_key(repo)
        body = self._bodies.pop(key, None) or self._spilled_body(key) or read_refs_json(self._main, repo)
        for _ in range(_TRIES):
            there = self._refs_there(repo)
            if there != body:
                refs, old = Refs.decode(body), Refs() if there is None else Refs.decode(there)
                if refs.tombstone is not None:
                    self._take_down(repo, refs)
                    old = read_refs(self._store, repo)
                tree.bring(repo, Refs() if self._anew else old, refs)
                body, before = read_refs_json(self._main, repo), body
                if body != before:  # somebody published, or took it down, while it was copied
                    continue
                self._held.keep_only(repo, old, Refs.decode(body))
                self._put_refs(repo, body)
            elif self._anew:
                tree.bring(repo, Refs(), Refs.decode(body))
            self._held.hold(repo, Refs.decode(body))
            again = read_refs_json(self._main, repo) if there != body else body
            if again == body:
                self._memory.remember(f"{_LEDGER}{key}", _version(stat), body)
                self._count_off(body, there)
                return
            body = again
        raise StoreUnavailable("it was published again and again while it was copied; the next pass tries again")

    def _spilled_body(self, key: str) -> bytes | None:
        with suppress(StoreError):
            return self._more_bodies.pop(key.encode())
        return None

    def _refs_there(self, repo: Repo) -> bytes | None:
        """What the replica publishes: read, not remembered, since all that it names is taken for there."""
        try:
            return read_refs_json(self._store, repo)
        except KeyMissing:
            return None

    def _put_refs(self, repo: Repo, body: bytes) -> None:
        key = refs_key(repo)
        with self._replica.refs_lock(repo):
            self._store.put(key, body, Sha256.of(body))
        if self._store.confirm and ((stat := self._store.stat(key)) is None or stat.size != len(body)):
            raise StoreUnavailable(f"the replica confirmed what it did not keep: {key}")

    def _count_off(self, body: bytes, before: bytes | None) -> None:
        if self._status.repos:
            left = max(0, self._status.snapshots - len(_snapshots_in(body) - _snapshots_in(before or b"")))
            self._status = replace(self._status, repos=self._status.repos - (body != before), snapshots=left)

    # take-downs

    def _bury(self, repo: Repo, refs: Refs) -> None:
        """From this PUT on no reader of the replica is given the repo; what it named is noted, to be removed."""
        if refs.tombstone is None:
            return
        word = read_document(self._main, refs.tombstone)
        put_document(self._store, Document(word, refs.tombstone))
        for _ in range(_TRIES):
            now = read_refs(self._store, repo)
            if not now.is_known or now.tombstone is not None:
                return
            walk = Walk(partial(read_document, self._store), pass_over)
            named = frozenset(node.digest for node in walk.repo(repo, now))
            left = Document.of(encode_withdrawn(named)) if named else None
            if left is not None:
                put_document(self._store, left)
            self._held.forget(repo)
            buried = now.with_tombstone(refs.tombstone, None if left is None else left.digest)
            change_refs(self._replica, repo, only_from(now, buried))
        raise StoreUnavailable("the replica does not show that it is taken down, though it was put again and again")

    def _take_down(self, repo: Repo, refs: Refs) -> None:
        self._bury(repo, refs)
        there = read_refs(self._store, repo)
        if refs.tombstone is None or LEFT_BEHIND not in there.attachments or LEFT_BEHIND in refs.attachments:
            return
        word = Tombstone.decode(read_document(self._main, refs.tombstone))
        report = take_down(self._context, self._replica, repo, word)
        if report.problems:
            raise StoreUnavailable(f"it is taken down, but not all bytes are removed: {report.problems[0]}")

    # what is no repo's

    def _shared(self, site: Mapping[str, Stat], *, trusting: bool) -> None:
        """The audit and keys, the catalogue after what it tells of, and what leads to a page after the page."""
        for prefix in (AUDIT, TRUST):
            listed = {one.key: one for one in self._main.list(prefix) if not one.key.startswith(WITHDRAWN)}
            self._small(listed, trusting=trusting)
        mine = {key: stat for key, stat in site.items() if key != MARK}
        self._small(dict(sorted(mine.items(), key=_before_what_leads_there)), trusting=trusting)
        if not mine:
            return
        there: Iterable[str] = (self._memory.recall(_SITE, "") or b"").decode().splitlines()
        if not trusting:
            there = [stat.key for stat in self._store.list(SITE)]
        if gone := [key for key in there if key not in mine and key != MARK]:
            self._store.delete(gone)
        self._memory.remember(_SITE, "", "\n".join(mine).encode())

    def _small(self, listed: Mapping[str, Stat], *, trusting: bool) -> None:
        changed = self._unlike(listed, trusting=trusting)
        with ThreadPoolExecutor(COPIERS, "replica") as pool:
            for keys in batches(changed, _AT_ONCE):
                self._context.go_on()
                copied = list(pool.map(self._copy_small, keys))
                names = {key for key, done in zip(keys, copied, strict=True) if done}
                self._memory.remember_all({f"{_LEDGER}{key}": (_version(changed[key]), b"") for key in names})

    def _copy_small(self, key: str) -> bool:
        """False where it went from the target meanwhile."""
        try:
            body = read_all(self._main, key, _LARGEST)
        except KeyMissing:
            return False
        self._store.put(key, body, Sha256.of(body))
        return True

    # prunes

    def _follow_prune(self) -> None:
        """What the target has let go is let go here: nothing names it any more by now."""
        if not self._pruned or self._status.pruned >= self._pruned:
            return
        report = Prune(self._context, ()).run()
        if report.interrupted:
            raise Interrupted("stopped before the end")
        if report.problems:
            raise StoreUnavailable(report.problems[0])
        self._status = replace(self._status, pruned=self._pruned)

    def _tell(self, status: ReplicaStatus) -> None:
        self._status = status
        self._places.remember(status)


def _version(stat: Stat) -> str:
    """Of an object in the target: another one where it was put again."""
    return json.dumps([stat.size, stat.md5, stat.modified])


def _version_of_feed(site: Mapping[str, Stat]) -> str:
    """Of the pages that both feeds are a part of, which tell of each repo which refs.json it has; empty where the
    catalogue is switched off. Where there is a feed by itself, a program of before publishes.
    """
    found = (site.get(site_key(HOME)), site.get(whole_key(HOME)))
    if found[0] is None or site_key(FIRST_FEED) in site:
        return ""
    return " ".join("" if one is None else _version(one) for one in found)


def _snapshots_in(body: bytes) -> frozenset[tuple[str, str]]:
    with suppress(DocumentError):
        return frozenset(Refs.decode(body).snapshots.items()) if body else frozenset()
    return frozenset()


def _before_what_leads_there(item: tuple[str, Stat]) -> tuple[bool, int, str]:
    """Assets, pages of repos, lists, what is at the top."""
    name = item[0].removeprefix(SITE)
    return not name.startswith("assets/"), -name.count("/"), name
