"""Publishes the catalogue of one target: puts what has changed, and removes the pages of what is there no more.

What is linked is put before what links to it, and removed after: see docs/design/decisions/0011-the-catalogue.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from itertools import product
from pathlib import Path

from mirror_sync.catalogue import documents, pages
from mirror_sync.catalogue.changes_feed import Latest, atom, changes, changes_of
from mirror_sync.catalogue.contents.repo_contents import RecentDocuments, card_of, first_files, licence_of, weights_of
from mirror_sync.catalogue.gather import Gather, RepoFacts, facts_name
from mirror_sync.catalogue.local_knowledge import LocalKnowledge
from mirror_sync.catalogue.object_writer import ObjectWriter, PublishRun
from mirror_sync.catalogue.peer_status import PeerStatus, read_status
from mirror_sync.catalogue.read_ahead import ReadAhead
from mirror_sync.catalogue.view import View, row_of
from mirror_sync.domain.access.rights import OPEN_TO_PUBLIC, AccessRules
from mirror_sync.domain.bounds import short
from mirror_sync.domain.catalogue import feed, page_data, published_lists
from mirror_sync.domain.catalogue.relations import RELATIONS_JSON, encode_relations
from mirror_sync.domain.catalogue.rows import (
    REASON,
    WHOLE,
    ListPage,
    Overview,
    RepoRow,
    ShownText,
    cut_list,
    page_key,
    whole_key,
)
from mirror_sync.domain.catalogue.torrent_list import TORRENT_LIST, ListedTorrent, decode_torrents, encode_torrents
from mirror_sync.domain.content.keys import HUB, SITE, repo_of, site_key
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.torrent_metainfo import DOOR
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, Interrupted, MirrorError, StoreError, StoreUnavailable
from mirror_sync.logger import Logger
from mirror_sync.ports.store import Stat

MOST_WANTED = 500  # repos that the page of wishes shows
_AT_ONCE = 8  # small objects, each a request
_TOGETHER = 256  # repos at the most that a thread looks at in a row: its turn costs more than a look
_STATUS, _WHOLE_STATUS = site_key("status.json"), whole_key("status.json")

_WORDS = json.JSONEncoder()  # dumps would make one a call

_log = Logger()


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What a publication came to: objects that were put, that were there already, that were removed.

    `unread` repos cannot be read, or shown, and keep the page that they had.
    """

    put: int = 0
    same: int = 0
    removed: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """A repo's row, what jobs ask of it, and whether its page was put; None for one that cannot be written.

    No row: it has no page, and must not be listed. `left` is what patterns leave out of the commit that is shown.
    `word` is another one where the row is. `torrents` are those of its snapshots.
    """

    row: RepoRow | None
    lines: tuple[RepoStatus, ...]
    put: bool | None
    left: tuple[LeftOut, ...] | None = None
    key: str = ""
    public: bool = True
    word: str = ""
    refs: str | None = None  # the SHA-256 of refs.json, empty where it could not be read; None: nothing is published
    torrents: tuple[ListedTorrent, ...] = ()


@dataclass(frozen=True, slots=True)
class _Volume:
    """What tells of many repos: those that everybody may see, or, below `folder`, all of them."""

    folder: str
    rows: tuple[RepoRow, ...]
    lines: tuple[RepoStatus, ...]
    overview: Overview

    def key(self, name: str) -> str:
        return site_key(f"{self.folder}{name}")


def publish(publish_run: PublishRun, known: LocalKnowledge, access: AccessRules = OPEN_TO_PUBLIC) -> PublishResult:
    """Bring a catalogue up to date: what everybody may see, and beside it all there is.

    Raises StoreError, Interrupted.
    """
    try:
        return _Publication(publish_run, known, access, others=True).run()
    except (Interrupted, StoreError):
        raise
    except Exception:  # anybody may have written what others are said to say: it must not stop what we know
        _log.debug("site.others-left-out", exc_info=True)
        return _Publication(publish_run, known, access, others=False).run()


class _Publication:
    def __init__(self, publish_run: PublishRun, known: LocalKnowledge, access: AccessRules, *, others: bool) -> None:
        self._read_cache = ReadAhead(publish_run.read_cache)
        publish_run = replace(publish_run, read_cache=self._read_cache)
        self._publish_run, self._assets, self._access = publish_run, pages.assets(), access
        self._writer = ObjectWriter(publish_run, f"{known.version} {_style()} {known.name}")
        said = (
            read_status(self._writer.read(_WHOLE_STATUS) or self._writer.read(_STATUS) or b"")
            if others
            else PeerStatus()
        )
        known = known.with_others(said.jobs, said.lines_of)
        self._unused = said.assets
        self._known = replace(known, lines=tuple(map(_shown, known.lines)))
        self._view = View(self._known)
        self._settled: dict[str, bool | None] = {}
        self._told: documents.Shown = {}
        self._words: dict[tuple[str, str], str] = {}
        self._refs: dict[Repo, str] = {}
        self._lineage = self._read_lineage()
        self._latest = {"": Latest(), WHOLE: Latest()}

    def run(self) -> PublishResult:
        for name, body in self._assets.items():
            self._put(f"assets/{name}", partial(bytes, body), name)
        entries = self._repos()
        lines = (*(line for entry in entries for line in entry.lines), *self._view.patterns)
        unread = any(entry.put is None for entry in entries)  # its page may name any asset: the day has not begun
        spared = self._writer.spared(self._settled, {} if unread else self._unused, self._known.at)
        rows = [(row, entry) for entry in entries if (row := entry.row) is not None]
        self._told = {(row.kind, row.repo): documents.ShownRepo(row, entry.left) for row, entry in rows}
        self._words = {(row.kind, row.repo): entry.word for row, entry in rows}
        self._refs = {Repo(row.kind, row.repo): entry.refs for row, entry in rows if entry.refs is not None}
        for volume in self._volumes(entries, lines):
            self._lists(volume, {} if unread else spared)
        if DOOR in self._known.doors:
            self._torrent_list(entries)
        removed = self._writer.clear(self._settled.keys(), spared)
        with suppress(StoreError):
            self._read_cache.flush()
        came = list(self._settled.values())
        return PublishResult(came.count(True), came.count(False), removed, sum(entry.put is None for entry in entries))

    def _volumes(self, entries: Sequence[_Entry], lines: tuple[RepoStatus, ...]) -> list[_Volume]:
        """That of all repos is there only where some are hidden: without it the other one is whole."""
        rows = tuple(entry.row for entry in entries if entry.row is not None)
        overview = self._view.overview(rows, lines)
        hidden = {line for entry in entries if not entry.public for line in entry.lines}
        shown = tuple(entry.row for entry in entries if entry.row is not None and entry.public)
        if len(shown) == len(rows) and not hidden:
            return [_Volume("", rows, lines, overview)]
        told = tuple(line for line in lines if line not in hidden)
        everybody = self._view.overview(shown, told, overview.growth)
        return [_Volume(WHOLE, rows, lines, overview), _Volume("", shown, told, everybody)]

    def _repos(self) -> list[_Entry]:
        """Puts the pages of all repos that have changed."""
        listed = {repo: stat for stat in self._publish_run.store.list(HUB) if (repo := repo_of(stat.key)) is not None}
        gather = Gather(
            self._publish_run.store, self._read_cache, self._known.at.timestamp(), anew=self._publish_run.anew
        )
        repos = sorted(listed.keys() | self._view.asked, key=lambda repo: (repo.kind, repo.id))
        some = max(1, min(_TOGETHER, len(repos) // (4 * _AT_ONCE)))
        batches = [repos[at : at + some] for at in range(0, len(repos), some)]

        def look(batch: Sequence[Repo]) -> list[_Entry | None]:
            with self._read_cache.fetched([name for repo in batch for name in (facts_name(repo), page_key(repo))]):
                return [self._entry(gather, repo, listed.pop(repo, None)) for repo in batch]  # held no longer

        with _pool() as pool:
            entries = [entry for turn in pool.map(look, batches) for entry in turn if entry is not None]
        self._settled |= {entry.key: entry.put for entry in entries if entry.row is not None}
        return entries

    def _entry(self, gather: Gather, repo: Repo, listed: Stat | None) -> _Entry | None:
        """None for a repo that is neither published nor asked for."""
        try:
            facts, word = (RepoFacts(), "") if listed is None else gather.facts(repo, listed)
            lines = self._view.lines(repo, facts)
            public = self._is_public(repo, facts, lines)
            self._note(repo, facts, public=public)
            if not facts.snapshots and not lines:
                return None
            key, word = _key_of(repo, public=public), self._word(repo, word, lines)
            put = self._writer.write_if_changed(key, partial(self._written, gather.documents, repo, facts, lines), word)
            refs = facts.refs if facts.snapshots else None
            downloads = self._known.downloads.get(repo, 0)
            row = replace(row_of(repo, facts, lines), downloads=downloads)
            torrents = tuple(_torrents(repo, facts)) if public else ()
            return _Entry(row, lines, put, facts.left, key, public, f"{word} {downloads}", refs, torrents)
        except (Interrupted, StoreUnavailable):
            raise
        except Exception as error:  # whatever stands in one repo's documents, the others are published
            ours = not isinstance(error, MirrorError)
            _log.debug("site.unread", repo=str(repo), error=short(repr(error), REASON), exc_info=ours)
            return self._unread(repo)

    def _note(self, repo: Repo, facts: RepoFacts, *, public: bool) -> None:
        """What became of it lately. What was taken down is hidden from whom it was hidden from before."""
        made = list(changes_of(repo, facts))
        self._latest[WHOLE].add(made)
        if public and (facts.snapshots or self._access.is_public(repo, closed=facts.closed)):
            self._latest[""].add(made)

    def _word(self, repo: Repo, facts: str, lines: Sequence[RepoStatus]) -> str:
        """Another one where a repo's page, or its row in the list, is: of all that makes them."""
        asked = [[line.job, line.revision, line.state, line.reason, line.code] for line in lines]
        known = self._known
        site = [known.url, known.principal, *sorted(known.doors)]
        made = _WORDS.encode([facts, asked, self._view.address(repo), *site])
        return sha256(made.encode(errors="replace")).hexdigest()[:32]

    def _is_public(self, repo: Repo, facts: RepoFacts, lines: Sequence[RepoStatus]) -> bool:
        """What was never published, and is closed upstream, is told to some where readers are told apart by roles.

        Where they are not, its reason is for all who ask: nobody else could be told.
        """
        closed = facts.closed or (not facts.snapshots and any(line.state is RepoState.GATED for line in lines))
        return self._access.is_public(repo, closed=closed and bool(facts.snapshots or self._access.roles))

    def _unread(self, repo: Repo) -> _Entry:
        """It keeps the page that it has; one that has none gets one that says so, as if its upstream had closed it."""
        lines = self._view.lines(repo, None)
        row = replace(row_of(repo, RepoFacts(), lines), state=RepoState.FAILED)
        public = self._writer.has(page_key(repo)) and self._access.is_public(repo, closed=False)
        public = public or self._access.is_public(repo, closed=True)
        key = _key_of(repo, public=public)
        word = repr(row)
        if self._writer.has(key):
            return _Entry(row, lines, None, None, key, public, word, "")
        page = replace(self._view.page(repo, RepoFacts(), lines), row=row, unread=True)
        try:
            self._writer.begin(key, pages.repo_page(page, url=self._known.url, brand=self._known.name))
        except (Interrupted, StoreUnavailable):
            raise
        except MirrorError:
            return _Entry(None, lines, None, None, key, public)
        return _Entry(row, lines, None, None, key, public, word, "")

    def _written(self, documents: RecentDocuments, repo: Repo, facts: RepoFacts, lines: Sequence[RepoStatus]) -> bytes:
        page = self._view.page(repo, facts, lines)
        files, running = first_files(documents, page.listings, page.classes)
        store, known = self._publish_run.store, self._known
        shown = replace(
            page,
            files=files,
            running=running,
            card=ShownText(facts.card.path, *card_of(store, facts.card)),
            licence=ShownText(facts.licence.path, *licence_of(store, facts.licence)),
            weights=weights_of(store, self._read_cache, files, of=page.row.files),
        )
        return pages.repo_page(shown, url=known.url, brand=known.name, principal=known.principal, doors=known.doors)

    def _lists(self, volume: _Volume, unused: Mapping[str, str]) -> None:
        """What tells of many repos; the documents come last."""
        overview, lines, below = volume.overview, volume.lines, volume.folder
        known = replace(self._known, jobs=self._view.jobs(lines))
        cut = tuple(cut_list(volume.rows))
        self._list_pages(volume, cut)
        self._put(
            f"{below}{published_lists.INDEX}",
            partial(published_lists.encode_index, cut),
            repr([(page.name, page.first) for page in cut]),
        )
        self._put(f"{below}{RELATIONS_JSON}", partial(encode_relations, volume.rows))
        if not below:
            said = repr((self._known.name, self._known.ask))
            self._put("missing.html", partial(pages.missing_page, self._known.name, self._known.ask), said)
            if self._known.ask.form:
                self._put("asked.html", partial(pages.asked_page, self._known.name, self._known.ask), said)
        self._wanted(volume)
        self._home(volume, cut)
        found = {page_data.TUNASYNC: documents.tunasync(known, lines)}
        mirrorz = documents.mirrorz(known, overview, lines)
        if mirrorz is not None:
            found[page_data.MIRRORZ] = mirrorz
        self._apart(volume, found)
        self._put(f"{below}mirror.html", partial(pages.mirror_page, overview, found))
        self._put(f"{below}status.json", partial(documents.status, known, overview, lines, unused, self._told))

    def _wanted(self, volume: _Volume) -> None:
        """What is asked for and not here, as far as readers of this volume may know: by names alone.

        The page stays as it is where nobody can tell.
        """
        name = f"{volume.folder}wanted.html"
        if not self._known.ask.listed:
            return
        if self._known.wishes is None:
            self._settled[site_key(name)] = None
            return
        here = {(row.kind, row.repo) for row in volume.rows if row.state == RepoState.PUBLISHED}
        told = [one for one in self._known.wishes if (one.repo.kind, one.repo.id) not in here]
        shown = [one for one in told if volume.folder or self._access.may_be_public(one.repo)]
        write = partial(pages.wanted_page, self._known.name, shown[:MOST_WANTED], len(shown), self._known.ask)
        self._put(name, write)

    def _home(self, volume: _Volume, cut: Sequence[ListPage]) -> None:
        """The page that leads to all others, with what tells mirrors, and readers of feeds, of what has changed."""
        latest, known, overview = self._latest[volume.folder], self._known, volume.overview
        root, mirror = self._feed(volume, cut), next(iter(self._lineage.mirrors), "")

        def found() -> dict[str, bytes]:
            return {
                page_data.FEED: root.encode(),
                page_data.CHANGES: changes(latest.every),
                page_data.ATOM: atom(latest.snapshots, name=known.name, url=known.url, mirror=mirror),
            }

        told = (known.name, known.url, known.ask, overview.version, overview.repos, overview.files, overview.bytes)
        rest = overview.gaps, bool(overview.lacking), [self._words[row.kind, row.repo] for row in overview.recent]
        values = repr((told, rest, root, latest.every, latest.snapshots, mirror, list(map(self._rows, cut))))

        def write() -> bytes:
            return pages.home(overview, cut, known.ask, found())

        if known.apart:
            self._apart(volume, found())
        self._put(f"{volume.folder}index.html", write, values)

    def _apart(self, volume: _Volume, found: Mapping[str, bytes]) -> None:
        """What fronts find in pages, as objects too, where another server than ours gives them."""
        for name, body in found.items() if self._known.apart else ():
            if name != page_data.FEED:  # a mirror of this one finds it in the page itself
                self._put(f"{volume.folder}{name}", partial(bytes, body), str(Sha256.of(body)))

    def _feed(self, volume: _Volume, cut: Sequence[ListPage]) -> feed.Feed:
        """For mirrors of this one."""
        parts = tuple(feed.part_of(page.name, page.first, Sha256.of(self._listed(page))) for page in cut)
        return replace(self._lineage, whole=len(volume.rows) >= len(self._words), parts=parts)

    def _listed(self, page: ListPage) -> bytes:
        return published_lists.encode_page(page.rows, self._refs)

    def _read_lineage(self) -> feed.Feed:
        """Who publishes this target, and from whom it comes: also as others have said it who publish it, too."""
        known, before = self._known, feed.Feed()
        for key, name in product((whole_key, site_key), (page_data.FEED, feed.FIRST_FEED)):
            with suppress(DocumentError):
                before = feed.Feed.decode(self._said(key, name))
                break
        mirrors = frozenset((*before.mirrors, *filter(None, [known.id])))
        alone = set(before.mirrors) <= {known.id}  # else an upstream that is not ours is another machine's
        others = {word: ids for word, ids in before.through.items() if word in known.through or not alone}
        seen = {word: tuple(sorted(ids)) for word, ids in known.through.items() if ids is not None}
        return feed.Feed(tuple(sorted(mirrors)), {**others, **seen})

    def _said(self, key: Callable[[str], str], name: str) -> bytes:
        """A document as it was published, empty for none."""
        place = page_data.place_of(name)
        if place is None:
            return self._writer.read(key(name)) or b""
        return page_data.data_of(self._writer.read(key(place[0])) or b"", name) or b""

    def _torrent_list(self, entries: Sequence[_Entry]) -> None:
        """Of what cannot be read now, what was listed before stays."""
        unread = {Repo(row.kind, row.repo) for entry in entries if entry.put is None and (row := entry.row) is not None}
        before = decode_torrents(self._writer.read(TORRENT_LIST) or b"") if unread else ()
        listed = {*(one for entry in entries for one in entry.torrents), *(one for one in before if one.repo in unread)}
        write = partial(encode_torrents, listed)
        values = repr(sorted(one[:2] for one in listed))
        self._settled[TORRENT_LIST] = self._writer.write_if_changed(TORRENT_LIST, write, values)

    def _list_pages(self, volume: _Volume, cut: Sequence[ListPage]) -> None:
        """Each leads to both its neighbours. So the last is put first, and a new one that a later one leads back to is
        put before all of them, without its links: its lines are asked for as soon as it is there.
        """
        for page in cut[:-1]:
            if not self._writer.has(_list_key(volume, page)):
                self._writer.begin(_list_key(volume, page), self._list_page(page, None, None))
        beside = list(zip(cut, (None, *cut), (*cut[1:], None), strict=False))
        for page, before, after in reversed(beside):
            write = partial(self._list_page, page, before, after)
            key, values = _list_key(volume, page), repr((self._rows(page), _end(before), _end(after)))
            self._settled[key] = self._writer.write_if_changed(key, write, values)

    def _list_page(self, page: ListPage, before: ListPage | None, after: ListPage | None) -> bytes:
        found = {published_lists.page_name(page.name): self._listed(page)}
        return pages.list_page(page, before, after, self._known.name, found)

    def _rows(self, page: ListPage) -> str:
        """Another one where a page of the list has other rows."""
        return "\n".join((page.name, page.first, page.last, *(self._words[row.kind, row.repo] for row in page.rows)))

    def _put(self, name: str, write: Callable[[], bytes], values: str | None = None) -> None:
        key = site_key(name)
        self._settled[key] = self._writer.write_if_changed(key, write, values)


def _torrents(repo: Repo, facts: RepoFacts) -> Iterator[ListedTorrent]:
    for one in facts.snapshots:
        open_hash, _, private = one.torrent.partition(" ")
        if private and not one.torrent.startswith("!"):
            yield ListedTorrent(open_hash, private, repo)


@cache
def _style() -> str:
    """Of all that makes bytes of values, templates too: what another program has written is written anew."""
    files = (path for path in sorted(Path(__file__).parent.rglob("*")) if path.suffix != ".pyc" and path.is_file())
    return Sha256.of(b"".join(path.read_bytes() for path in files))


def _shown(line: RepoStatus) -> RepoStatus:
    """A reason has as many words as an upstream likes."""
    reason = short(line.reason, REASON)
    return line if reason == line.reason else replace(line, reason=reason)


def _key_of(repo: Repo, *, public: bool) -> str:
    """Where its page lies: beside those for everybody only where everybody may see it."""
    return page_key(repo) if public else whole_key(page_key(repo).removeprefix(SITE))


def _list_key(volume: _Volume, page: ListPage) -> str:
    return volume.key(f"list/{page.name}.html")


def _end(page: ListPage | None) -> tuple[str, str, str] | None:
    """What a page tells of its neighbour."""
    return None if page is None else (page.name, page.first, page.last)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Ends at once when something was raised: what has not begun does not."""
    pool = ThreadPoolExecutor(_AT_ONCE, "catalogue")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
