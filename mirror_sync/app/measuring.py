"""`traffic`: who reads a target, by the logs of its nginx."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.app.configured import Configured
from mirror_sync.domain.content.alias import MAX_ALIAS, decode
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.oci_documents import GIVEN, MORE, MoreDocuments
from mirror_sync.domain.outcome.notices import Alarm
from mirror_sync.domain.outcome.traffic import LED, Hit, Traffic, TrafficReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.published import mirrored_repos, published_snapshots, read_refs, read_root
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.front.protocols.access_log import count_hits, lines_of
from mirror_sync.logger import Logger
from mirror_sync.ports.store import Store, read_all, read_document
from mirror_sync.state.traffic_file import keep_traffic, told_before
from mirror_sync.state.wishes import MOST_OF_ONE, Missed, Wishes

_log = Logger()


class MeasureTraffic:
    """What is found is kept in the state folder. `alarm` is told of clients that were not told of before."""

    def __init__(self, configured: Configured, state_dir: Path, alarm: Callable[[Alarm], None]) -> None:
        self._configured, self._state_dir, self._alarm = configured, state_dir, alarm

    def __call__(self, target: str, logs: Sequence[str]) -> TrafficReport:
        """DocumentError where no line of the logs can be read; OSError."""
        store = self._configured.store(target)
        mirrored = frozenset(mirrored_repos(store))
        traffic, registry = Traffic(mirrored), RegistryReads(store, mirrored)
        lines, unread = count_hits(lines_of(logs), lambda hit: traffic.add(registry.plain(hit)))
        if unread and unread == lines:
            raise DocumentError(f"{', '.join(logs)}: no line is of a front's JSON log; what was counted before stays")
        report = traffic.report(published_snapshots(store), datetime.now(UTC), unread)
        self._tell_of_unusual(target, report)
        keep_traffic(self._state_dir, target, report)
        self._wish(target, report)
        return report

    def _wish(self, target: str, report: TrafficReport) -> None:
        """What was asked for in vain is what readers want."""
        missed = [Missed(repo, one.requests, iso_utc(one.last)) for repo, one in report.misses.items() if one.last]
        if missed:
            wishes = Wishes(self._state_dir)
            try:
                wishes.count(target, missed[:MOST_OF_ONE])
            finally:
                wishes.close()

    def _tell_of_unusual(self, target: str, report: TrafficReport) -> None:
        """Once: a log may be read again and again."""
        known = told_before(self._state_dir, target)
        new = tuple(one for one in report.unusual if (one.kind, one.client, one.day.isoformat()) not in known)
        for one in new:
            _log.warning("traffic.unusual", target=target, **one.encode())
        if new:
            self._alarm(Alarm(target, iso_utc(datetime.now(UTC)), new))


class RegistryReads:
    """What is read at a registry, as other doors would have it: the repo that was meant, and which blobs are files.

    And the repo to whose name a redirect led. Raises StoreError. It reads an alias for each former name under which
    something was given, or that led elsewhere, and the documents of each commit of which a blob was given; where these
    are damaged, or gone, each blob counts as a file.
    """

    def __init__(self, store: Store, mirrored: Collection[Repo]) -> None:
        self._store, self._mirrored = store, mirrored
        self._by_letters = {_lower(repo): repo for repo in mirrored}
        self._documents: dict[tuple[Repo, CommitId], frozenset[str]] = {}

    def plain(self, hit: Hit) -> Hit:
        """The same hit, under the id of its repo; a document of a registry is no file."""
        if not hit.any_letters and hit.status != LED:
            return hit
        repo = hit.repo if hit.repo in self._mirrored else self._meant(hit)
        hit = replace(hit, repo=repo)
        if hit.is_file and hit.given and hit.commit is not None and repo in self._mirrored:
            return replace(hit, is_file=hit.digest not in self._documents_of(repo, hit.commit))
        return hit

    def _meant(self, hit: Hit) -> Repo:
        """A name under which nothing was given stays as it was typed: anybody can type many."""
        known = self._by_letters.get(_lower(hit.repo))
        if known is None and (hit.given or hit.status == LED):
            known = self._by_letters[_lower(hit.repo)] = self._by_alias(hit.repo)
        return known or hit.repo

    def _by_alias(self, repo: Repo) -> Repo:
        try:
            return decode(repo.kind, read_all(self._store, alias_key(_lower(repo)), MAX_ALIAS))
        except (KeyMissing, DocumentError):
            return repo

    def _documents_of(self, repo: Repo, commit: CommitId) -> frozenset[str]:
        """Digests of what a registry gives of a commit beside its files."""
        if (repo, commit) not in self._documents:
            self._documents[repo, commit] = frozenset()
            with suppress(KeyMissing, DocumentError):
                root = read_refs(self._store, repo).root_of(commit)
                self._documents[repo, commit] = frozenset() if root is None else _documents(self._store, root)
        return self._documents[repo, commit]


def _documents(store: Store, digest: Sha256) -> frozenset[str]:
    attached = read_root(store, digest).attachments
    more = attached.get(MORE)
    texts = {} if more is None else MoreDocuments.decode(read_document(store, more)).texts
    return frozenset([*(attached[name] for name in GIVEN if name in attached), *texts])


def _lower(repo: Repo) -> Repo:
    return Repo(repo.kind, repo.id.lower())
