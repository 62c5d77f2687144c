"""`report`: what a target holds, gathered repo by repo out of the target itself and what this machine remembers.

Nothing is held of a repo that has been given, so that as much memory does for ten thousand as for some. Of each repo
its refs.json is read and what that names: a root, an info and, where files were inspected, their classes for each
snapshot; shards only where no inspection has been.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.held_note import HeldNote, held_commits
from mirror_sync.domain.content.keys import HUB, is_refs, repo_of
from mirror_sync.domain.content.refs import STATEMENT, Refs, held_name
from mirror_sync.domain.content.rewritten import Rewritten, time_of
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.domain.formats.file_class import RUNNING, may_run
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.compliance import (
    NAMED,
    FilesReport,
    RepoCompliance,
    RepoReaders,
    ReportHead,
    SnapshotCompliance,
    StatedFacts,
)
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.policy.decisions import Decision, matches_in_any_case
from mirror_sync.domain.policy.terms import terms_from_card
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import published_at, read_description, read_refs, read_root, rewritten_roots
from mirror_sync.engine.published_names import case_folded, published_as
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.vanished import Expected
from mirror_sync.errors import MirrorError
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_document
from mirror_sync.signing.bom import BOM
from mirror_sync.signing.model_bundle import MODEL_SIGNATURE
from mirror_sync.signing.spdx3 import SPDX3_BOM
from mirror_sync.signing.statement import Statement
from mirror_sync.signing.sums import SUMS_SIGNATURE
from mirror_sync.state.traffic_file import kept_repos

_READERS = 16  # repos that are read at once
_LICENCES = 10  # of a snapshot

Got = TypeVar("Got")
_Names = tuple[int, tuple[str, ...]]
"""How many files of a shard may run code by their names, and which are the first of them."""


class DecisionsByRepo:
    """Finds what is decided about a repo; there may be thousands of decisions, and ten thousand repos ask."""

    def __init__(self, every: Sequence[Decision]) -> None:
        self._globs = [one for one in every if one.pattern.is_glob]
        self._named = defaultdict[tuple[Kind, str], list[Decision]](list)
        for one in every:
            if not one.pattern.is_glob:
                self._named[case_folded(one.pattern.repo)].append(one)

    def about(self, repo: Repo) -> tuple[Decision, ...]:
        """In whatever letters they spell it; those that name it first."""
        named = self._named.get(case_folded(repo), ())
        return (*named, *(one for one in self._globs if matches_in_any_case(one.pattern, repo)))


@dataclass(frozen=True, slots=True)
class LocalFacts:
    """What this machine knows beside the target: lines of `status` and counts of readers, by repo; decisions of all."""

    lines: Mapping[Repo, Sequence[RepoStatus]]
    decisions: DecisionsByRepo
    readers: Mapping[str, tuple[int, ...]] | None

    def led(self, store: Store, there: Collection[Repo]) -> LocalFacts:
        """The same with the lines of a repo that is asked for by another name at the one under which it is published.

        One small read for each name that nothing is published under. StoreError.
        """
        lines = defaultdict[Repo, list[RepoStatus]](list)
        for repo, known in self.lines.items():
            published = any(line.commit for line in known)
            lines[(published_as(store, repo, there) if published else None) or repo] += known
        return replace(self, lines=lines)

    def of(self, repo: Repo) -> RepoCompliance:
        """What is known of one, whatever the target has of it."""
        decided = self.decisions.about(repo)
        read = None if self.readers is None else RepoReaders(*self.readers.get(str(repo), (0, 0, 0)))
        lines = tuple(self.lines.get(repo, ()))
        return RepoCompliance(repo.kind, repo.id, decisions=decided, lines=lines, readers=read)


class ComplianceReport:
    """`head`, and each repo of which the target has something, in the order of their keys; then those that it should
    have, as this machine remembers, and has not.

    What cannot be read of one repo is said of it. Interrupted after a stop.
    """

    def __init__(self, head: ReportHead, context: RunContext, target: Target, known: LocalFacts) -> None:
        """Lists the target. StoreError where that is refused."""
        self.head, self._go_on, self._store = head, context.go_on, target.store
        self._keys = sorted(stat.key for stat in target.store.list(HUB) if is_refs(stat.key))
        there = frozenset(filter(None, map(repo_of, self._keys)))
        self._missing = Expected(target, context.remembered(target.name)).missing(there)
        self._known = known.led(target.store, there)

    def __iter__(self) -> Iterator[RepoCompliance]:
        with ThreadPoolExecutor(_READERS, "report") as readers:
            for some in batches(self._keys, _READERS):
                self._go_on()
                yield from readers.map(self._of_key, some)
        for repo in self._missing:
            yield replace(self._known.of(repo), problems=("it was published here, and nothing of it is here any more",))

    def _of_key(self, key: str) -> RepoCompliance:
        repo = repo_of(key)
        if repo is None:
            return RepoCompliance("", key, problems=("no repo has such a key: nobody is given it",))
        told = self._known.of(repo)
        try:
            refs = read_refs(self._store, repo)
        except MirrorError as error:
            return replace(told, problems=(f"refs.json cannot be read: {error}",))
        return RepoReading(self._store, refs).of(told)


class RepoReading:
    """Reads what the refs.json of one repo names."""

    def __init__(self, store: Store, refs: Refs) -> None:
        self._store, self._refs = store, refs
        self._problems: list[str] = []
        self._shards: dict[Sha256, _Names] = {}

    def of(self, told: RepoCompliance) -> RepoCompliance:
        """The same with what the target says."""
        refs = self._refs
        rewritten = self._tried("when it was published", lambda: rewritten_roots(self._store, refs)) or {}
        snapshots = [self._snapshot(commit, root, rewritten) for commit, root in refs.snapshots.items()]
        notes = (self._note(commit) for commit in held_commits(refs))
        stone = refs.tombstone
        return replace(
            told,
            snapshots=tuple(sorted(snapshots, key=lambda one: (one.published or "", one.commit), reverse=True)),
            statement=self._statement(),
            held=tuple(note for note in notes if note is not None),
            taken_down=stone is not None,
            tombstone=None
            if stone is None
            else self._tried("why it was taken down", lambda: Tombstone.decode(self._read(stone))),
            gone=refs.gone,
            problems=tuple(self._problems),
        )

    def _read(self, digest: Sha256) -> bytes:
        return read_document(self._store, digest, MAX_DOCUMENT)

    def _tried(self, what: str, read: Callable[[], Got]) -> Got | None:
        """None, and a problem of the repo, for what cannot be read."""
        try:
            return read()
        except MirrorError as error:
            self._problems.append(f"{what} cannot be read: {error}")
            return None

    def _note(self, commit: CommitId) -> HeldNote | None:
        digest = self._refs.attachments[held_name(commit)]
        return self._tried(f"why {commit} is held", lambda: HeldNote.decode(self._read(digest)))

    def _statement(self) -> StatedFacts | None:
        digest = self._refs.attachments.get(STATEMENT)
        if digest is None:
            return None
        said = self._tried("its statement", lambda: Statement.decode(self._read(digest)))
        return None if said is None else StatedFacts(said.serial, said.issued, said.agrees(self._refs))

    def _snapshot(self, commit: CommitId, digest: Sha256, rewritten: Mapping[Sha256, Rewritten]) -> SnapshotCompliance:
        channels = (name for name, to in self._refs.channels.items() if to == commit)
        names = (*(ref.shortest for ref in self._refs.refs if ref.target == commit), *channels)
        bare = SnapshotCompliance(commit, names)
        try:
            root = read_root(self._store, digest)
            at = published_at(self._store, digest)
        except MirrorError as error:
            return replace(bare, problem=f"its root cannot be read: {error}")
        if root.commit != commit:
            return replace(bare, problem=f"its root is of another commit, {root.commit}")
        made = moment(root.last.get("date"))
        told = replace(
            bare,
            verdicts=root.verdicts,
            committed=None if made is None else iso_utc(made),
            published=None if at is None else _time(time_of(at, rewritten.get(digest))),
            files=root.files,
            bytes=root.size,
            sums_signed=SUMS_SIGNATURE in root.attachments,
            model_signed=MODEL_SIGNATURE in root.attachments,
            bom=BOM in root.attachments or SPDX3_BOM in root.attachments,
        )
        return self._by_documents(told, root)

    def _by_documents(self, told: SnapshotCompliance, root: Root) -> SnapshotCompliance:
        """The same with what the documents below the root say."""
        problems = []
        try:
            told = replace(told, licences=_licences(read_description(self._store, root.info)))
        except MirrorError as error:
            problems.append(f"its licence cannot be read: {error}")
        try:
            told = replace(told, content=self._content(root))
        except MirrorError as error:
            problems.append(f"the classes of its files cannot be read: {error}")
        return replace(told, problem="; ".join(problems))

    def _content(self, root: Root) -> FilesReport:
        digest = root.attachments.get(CLASSES)
        if digest is None:
            return self._by_name(root)
        found = ClassList.decode(self._read(digest))
        shares = {of.value: (share.files, share.bytes) for of, share in found.shares.items()}
        running = [path for path, one in found.named.items() if one.of.runs]
        count = sum(share.files for of, share in found.shares.items() if of in RUNNING)
        return FilesReport(shares, count, tuple(running[:NAMED]))

    def _by_name(self, root: Root) -> FilesReport:
        found = [self._shard(shard) for shard in dict.fromkeys(one.digest for one in root.shards)]
        named = [path for _, paths in found for path in paths]
        return FilesReport(None, sum(count for count, _ in found), tuple(named[:NAMED]))

    def _shard(self, digest: Sha256) -> _Names:
        """Each once: the snapshots of a repo have most shards in common."""
        if digest not in self._shards:
            named = [file.path for file in read_shard(read_document(self._store, digest)) if may_run(file.path)]
            self._shards[digest] = len(named), tuple(named[:NAMED])
        return self._shards[digest]


def report_of(settings: Settings, context: RunContext, name: str, statuses: Sequence[RepoStatus]) -> ComplianceReport:
    """The report on a target; `statuses` are all that this machine remembers. StoreError where it cannot be listed."""
    jobs = {job.name for job in settings.jobs if job.target == name}
    here = place_of(settings.targets[name])
    lines = defaultdict[Repo, list[RepoStatus]](list)
    for line in statuses:
        if line.job in jobs and line.place in ("", here) and line.one_repo is not None:
            lines[line.one_repo].append(line)
    note, (first, last), reads = _traffic(settings, name)
    head = ReportHead(name, context.clock(), note, first, last)
    return ComplianceReport(
        head, context, context.targets[name], LocalFacts(lines, DecisionsByRepo(_decisions(settings.jobs)), reads)
    )


def _decisions(jobs: Sequence[Job]) -> tuple[Decision, ...]:
    """Those of decisions.yaml, and the approvals of licences in jobs.yaml, each once."""
    said = (one for job in jobs for one in job.decisions.every)
    approved = (one for job in jobs for approval in job.policy.approved for one in approval.decisions)
    return tuple(dict.fromkeys((*said, *approved)))


def _traffic(
    settings: Settings, target: str
) -> tuple[str, tuple[str, str] | tuple[None, None], Mapping[str, tuple[int, ...]] | None]:
    """What is to be said of the counts of readers, from when to when they are, and the counts."""
    try:
        kept = kept_repos(settings.state_dir, target)
    except (OSError, ValueError) as error:
        return f"what mirror-sync traffic counted cannot be read: {error}", (None, None), None
    if kept is None:
        return "nobody has counted on this machine: mirror-sync traffic LOG does", (None, None), None
    first, last, reads = kept
    return f"as mirror-sync traffic counted, from {first} to {last}", (first, last), reads


def _time(seconds: float) -> str | None:
    """None for a number that is no time, as a document of others may say."""
    try:
        return iso_utc(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None


def _licences(info: Mapping[str, object]) -> tuple[str, ...]:
    """What the card and the tags say, as the rule of licences reads them."""
    card, tags = info.get("cardData"), info.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return tuple(sorted(terms_from_card(card if isinstance(card, dict) else {}, words).licenses)[:_LICENCES])
