"""Publishes the catalogue of one target: puts what has changed, and removes the pages of what is there no more.

What is linked is put before what links to it, and removed after: see docs/design/decisions/0011-the-catalogue.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from mirror_sync.catalogue import documents, pages
from mirror_sync.catalogue.gather import Gather, RepoFacts, first_files
from mirror_sync.catalogue.local_knowledge import LocalKnowledge
from mirror_sync.catalogue.object_writer import ObjectWriter, PublishRun
from mirror_sync.catalogue.peer_status import PeerStatus, read_status
from mirror_sync.catalogue.view import View, row_of
from mirror_sync.domain.bounds import short
from mirror_sync.domain.catalogue import published_lists
from mirror_sync.domain.catalogue.rows import REASON, ListPage, RepoPage, RepoRow, cut_list, page_key
from mirror_sync.domain.content.keys import HUB, repo_of, site_key
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import Interrupted, MirrorError, StoreError, StoreUnavailable
from mirror_sync.logger import Logger
from mirror_sync.ports.store import Stat

_AT_ONCE = 8  # small objects, each a request
_BATCHES = 256
_STATUS = site_key("status.json")

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
    """

    row: RepoRow | None
    lines: tuple[RepoStatus, ...]
    put: bool | None
    left: tuple[LeftOut, ...] | None = None


def publish(publish_run: PublishRun, known: LocalKnowledge) -> PublishResult:
    """Bring a catalogue up to date. Raises StoreError, Interrupted."""
    try:
        return _Publication(publish_run, known, others=True).run()
    except (Interrupted, StoreError):
        raise
    except Exception:  # anybody may have written what others are said to say: it must not stop what we know
        _log.debug("site.others-left-out", exc_info=True)
        return _Publication(publish_run, known, others=False).run()


class _Publication:
    def __init__(self, publish_run: PublishRun, known: LocalKnowledge, *, others: bool) -> None:
        self._publish_run, self._assets = publish_run, pages.assets()
        self._writer = ObjectWriter(publish_run, f"{known.version} {_style()} {known.name}")
        self._said = read_status(self._writer.read(_STATUS) or b"") if others else PeerStatus()
        known = known.with_others(self._said.jobs, self._said.lines)
        self._known = replace(known, lines=tuple(map(_shown, known.lines)))
        self._view = View(self._known)
        self._settled: dict[str, bool | None] = {}
        self._left: documents.Left = {}

    def run(self) -> PublishResult:
        for name, body in self._assets.items():
            self._put(f"assets/{name}", partial(bytes, body), name)
        entries = self._repos()
        lines = (*(line for entry in entries for line in entry.lines), *self._view.patterns)
        unread = any(entry.put is None for entry in entries)  # its page may name any asset: the day has not begun
        spared = self._writer.spared(self._settled, {} if unread else self._said.assets, self._known.at)
        self._left = {(row.kind, row.repo, row.commit): entry.left for entry in entries if (row := entry.row)}
        self._lists([entry.row for entry in entries if entry.row is not None], lines, {} if unread else spared)
        removed = self._writer.clear(self._settled.keys(), spared)
        came = list(self._settled.values())
        return PublishResult(came.count(True), came.count(False), removed, sum(entry.put is None for entry in entries))

    def _repos(self) -> list[_Entry]:
        """Puts the pages of all repos that have changed."""
        listed = {repo: stat for stat in self._publish_run.store.list(HUB) if (repo := repo_of(stat.key)) is not None}
        gather = Gather(self._publish_run.store, self._publish_run.looks, anew=self._publish_run.anew)
        repos = sorted(listed.keys() | self._view.asked)
        some = max(1, len(repos) // _BATCHES)  # a thread's turn costs more than a look at what is remembered
        batches = [repos[at : at + some] for at in range(0, len(repos), some)]
        with _pool() as pool:
            turns = pool.map(lambda batch: [self._entry(gather, repo, listed.get(repo)) for repo in batch], batches)
            entries = [entry for turn in turns for entry in turn]
        found = [(repo, entry) for repo, entry in zip(repos, entries, strict=True) if entry is not None]
        self._settled |= {page_key(repo): entry.put for repo, entry in found if entry.row is not None}
        return [entry for _, entry in found]

    def _entry(self, gather: Gather, repo: Repo, listed: Stat | None) -> _Entry | None:
        """None for a repo that is neither published nor asked for."""
        try:
            facts = RepoFacts() if listed is None else gather.facts(repo, listed)
            lines = self._view.lines(repo, facts)
            if not facts.snapshots and not lines:
                return None
            page = self._view.page(repo, facts, lines)
            put = self._writer.write_if_changed(
                page_key(repo), partial(self._written, page), repr((page, self._known.url, self._known.principal))
            )
            return _Entry(page.row, lines, put, page.left)
        except (Interrupted, StoreUnavailable):
            raise
        except Exception as error:  # whatever stands in one repo's documents, the others are published
            ours = not isinstance(error, MirrorError)
            _log.debug("site.unread", repo=str(repo), error=short(repr(error), REASON), exc_info=ours)
            return self._unread(repo)

    def _unread(self, repo: Repo) -> _Entry:
        """It keeps the page that it has; one that has none gets one that says so."""
        lines = self._view.lines(repo, None)
        row = replace(row_of(repo, RepoFacts(), lines), state=RepoState.FAILED)
        key = page_key(repo)
        if self._writer.has(key):
            return _Entry(row, lines, None)
        page = replace(self._view.page(repo, RepoFacts(), lines), row=row, unread=True)
        try:
            self._writer.begin(key, pages.repo_page(page, url=self._known.url, brand=self._known.name))
        except (Interrupted, StoreUnavailable):
            raise
        except MirrorError:
            return _Entry(None, lines, None)
        return _Entry(row, lines, None)

    def _written(self, page: RepoPage) -> bytes:
        files, running = first_files(self._publish_run.store, page.listings, page.classes)
        shown, known = replace(page, files=files, running=running), self._known
        return pages.repo_page(shown, url=known.url, brand=known.name, principal=known.principal)

    def _lists(self, rows: Sequence[RepoRow], lines: Sequence[RepoStatus], unused: Mapping[str, str]) -> None:
        """What tells of all repos; the documents come last."""
        overview = self._view.overview(rows, lines)
        known = replace(self._known, jobs=self._view.jobs(lines))
        cut = tuple(cut_list(tuple(rows)))
        self._list_pages(cut)
        for page in cut:
            self._put(f"list/{page.name}.json", partial(published_lists.encode_page, page.rows), repr(page))
        self._put(
            "lists.json", partial(published_lists.encode_index, cut), repr([(page.name, page.first) for page in cut])
        )
        self._put("missing.html", partial(pages.missing_page, self._known.name), self._known.name)
        self._put("index.html", partial(pages.home, overview, cut))
        self._put("mirror.html", partial(pages.mirror_page, overview))
        self._put("tunasync.json", partial(documents.tunasync, known, lines))
        mirrorz = documents.mirrorz(known, overview, lines)
        if mirrorz is not None:
            self._put("mirrorz.json", partial(bytes, mirrorz))
        self._put("status.json", partial(documents.status, known, overview, lines, unused, self._left))

    def _list_pages(self, cut: Sequence[ListPage]) -> None:
        """Each leads to both its neighbours. So the last is put first, and a new one that a later one leads back to is
        put before all of them, without its links.
        """
        for page in cut[:-1]:
            if not self._writer.has(_list_key(page)):
                self._writer.begin(_list_key(page), pages.list_page(page, None, None, self._known.name))
        beside = list(zip(cut, (None, *cut), (*cut[1:], None), strict=False))
        for page, before, after in reversed(beside):
            write = partial(pages.list_page, page, before, after, self._known.name)
            key, values = _list_key(page), repr((page, _end(before), _end(after)))
            self._settled[key] = self._writer.write_if_changed(key, write, values)

    def _put(self, name: str, write: Callable[[], bytes], values: str | None = None) -> None:
        key = site_key(name)
        self._settled[key] = self._writer.write_if_changed(key, write, values)


@cache
def _style() -> str:
    """Of all that makes bytes of values, templates too: what another program has written is written anew."""
    files = (path for path in sorted(Path(__file__).parent.rglob("*")) if path.suffix != ".pyc" and path.is_file())
    return Sha256.of(b"".join(path.read_bytes() for path in files))


def _shown(line: RepoStatus) -> RepoStatus:
    """A reason has as many words as an upstream likes."""
    return replace(line, reason=short(line.reason, REASON))


def _list_key(page: ListPage) -> str:
    return site_key(f"list/{page.name}.html")


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
