"""What a source over another mirror asks, and what it believes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from mirror_sync.domain.catalogue.feed import FIRST_FEED, Feed, part_of, read_part
from mirror_sync.domain.catalogue.page_data import FEED
from mirror_sync.domain.catalogue.published_lists import encode_page, page_name
from mirror_sync.domain.catalogue.rows import RepoRow, cut_list
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Document, Root
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind, PublishedAs, Repo, RepoPattern
from mirror_sync.errors import (
    BadAnswer,
    DocumentError,
    IntegrityError,
    MirrorLoop,
    NoSuchCall,
    NotFoundOrPrivate,
    UpstreamError,
)
from mirror_sync.net.transport import Transport
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.memory import NoReadCache
from mirror_sync.ports.store import read_document
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.mirror.feed_view import FRESH, FeedView
from mirror_sync.sources.mirror.mirror_source import FULL_CHECK, MirrorSource
from mirror_sync.sources.mirror.readers import FrontReader, MirrorReader, StoreReader, Told
from mirror_sync.sources.wrappers.renamed import RenamedSource
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, mirrored, model
from tests.front.mirrors import by_either, by_serve
from tests.sources.reading import fetched

ALL = RepoPattern.parse("*/*")
MANY = 10_000


class Remembering(NoReadCache):
    """A cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, bytes]] = {}

    def recall(self, name: str, version: str) -> bytes | None:
        kept = self.kept.get(name)
        return kept[1] if kept is not None and kept[0] == version else None

    def remember(self, name: str, version: str, body: bytes) -> None:
        self.kept[name] = version, body


def feed_of(
    pointers: Mapping[Repo, bytes], mirrors: tuple[str, ...], through: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, bytes]:
    """As the catalogue publishes it, by the names of its documents."""
    digests = {repo: str(Sha256.of(body)) for repo, body in pointers.items()}
    cut = list(cut_list(RepoRow(repo.kind, repo.id, RepoState.PUBLISHED) for repo in pointers))
    pages = {page_name(page.name): encode_page(page.rows, digests) for page in cut}
    parts = [part_of(page.name, page.first, Sha256.of(pages[page_name(page.name)])) for page in cut]
    return {**pages, FEED: Feed(mirrors, through or {}, True, tuple(parts)).encode()}


class Pretended:
    """A mirror of very many small repos, in memory, that counts what it is asked."""

    def __init__(self, count: int) -> None:
        self.asked: list[str] = []
        self.pointers: dict[Repo, bytes] = {}
        self.documents: dict[str, bytes] = {}
        self.commits = self._kept(Document.of_json([]))
        for number in range(count):
            self.publish(Repo(Kind.MODEL, f"owner{number}/model"), b"first")
        self.feed: dict[str, bytes] = {}
        self.write_feed()

    def __str__(self) -> str:
        return "pretended"

    def publish(self, repo: Repo, content: bytes) -> CommitId:
        commit = CommitId(hashlib.sha1(str(repo).encode() + content).hexdigest())
        info = {
            "id": repo.id,
            "private": False,
            "gated": False,
            "tags": ["license:mit"],
            "cardData": {"license": "mit"},
        }
        told = self._kept(Document.of_json({**info, "siblings": []}))
        last = {"id": commit, "title": "", "date": ""}
        root = Root(str(repo), commit, last, told, self.commits, Selection(), (), 0, 0, ()).encode()
        main = Ref("branches", "main", "refs/heads/main", commit)
        self.pointers[repo] = Refs().with_snapshot(commit, self._kept(root), main).encode()
        return commit

    def write_feed(
        self, mirrors: tuple[str, ...] = ("them",), through: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.feed = feed_of(self.pointers, mirrors, through)

    def _kept(self, document: Document) -> Sha256:
        self.documents[document.digest] = document.body
        return document.digest

    def site(self, name: str, tag: str, limit: int) -> Told:
        self.asked.append(name)
        if name not in self.feed:
            raise NotFoundOrPrivate(f"no {name}")
        found = str(Sha256.of(self.feed[name]))
        return Told(found, None if found == tag else self.feed[name])

    def refs(self, repo: Repo, known: str) -> bytes | None:
        self.asked.append(f"refs {repo}")
        body = self.pointers[repo]
        return None if Sha256.of(body) == known else body

    def document(self, repo: Repo, commit: CommitId, digest: Sha256, kept: int, limit: int) -> bytes:
        self.asked.append("document")
        return self.documents[digest][:kept]

    def stream(self, repo: Repo, commit: CommitId, digest: Sha256) -> AbstractContextManager[ByteStream]:
        return nullcontext(BytesIO(self.documents[digest]))

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, digest: Sha256, start: int, stop: int | None
    ) -> AbstractContextManager[ByteStream]:
        return nullcontext(BytesIO(b""))

    def repos(self, kind: Kind) -> Iterator[Repo]:
        self.asked.append("list")
        return iter(self.pointers)


class Time:
    """Both clocks of a source."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def source_of(reader: MirrorReader, memory: Remembering, time: Time, own: frozenset[str] = frozenset()) -> MirrorSource:
    """As a process has it that begins now."""
    return MirrorSource(reader, memory, FeedView(reader, memory, lambda: own, time), clock=time)


def looked(source: MirrorSource) -> dict[Repo, CommitId]:
    """One run over all repos: what a list tells, and what has to be asked for by itself."""
    found = {}
    for item in source.search(ALL):
        resolved = (
            item if isinstance(item, Resolved) else source.resolve(item, "main") if isinstance(item, Repo) else None
        )
        assert resolved is not None
        found[resolved.queried] = resolved.commit
    return found


@pytest.fixture(scope="module")
def seen() -> tuple[Pretended, dict[str, tuple[str, bytes]], dict[Repo, CommitId]]:
    """Very many repos, what a machine remembers that has looked at them once, and what it saw."""
    many, memory = Pretended(MANY), Remembering()
    found = looked(source_of(many, memory, Time()))
    return many, memory.kept, found


@pytest.fixture
def later(
    seen: tuple[Pretended, dict[str, tuple[str, bytes]], dict[Repo, CommitId]],
) -> tuple[Pretended, MirrorSource, dict[Repo, CommitId]]:
    """The same, in a process that begins a while later."""
    many, kept, found = seen
    memory, time = Remembering(), Time()
    memory.kept.update(kept)
    time.now += FRESH
    many.asked.clear()
    return many, source_of(many, memory, time), found


Later = tuple[Pretended, MirrorSource, dict[Repo, CommitId]]


def test_ten_thousand_repos_that_have_not_changed_cost_one_conditional_call(later: Later) -> None:
    many, source, found = later
    assert looked(source) == found
    assert len(found) == MANY
    assert many.asked == [FEED]


def test_what_has_changed_costs_its_page_of_the_list_and_itself(later: Later) -> None:
    many, source, _ = later
    changed = Repo(Kind.MODEL, "owner77/model")
    before = many.pointers[changed]
    commit = many.publish(changed, b"second")
    many.write_feed()
    try:
        assert looked(source)[changed] == commit
        assert [one.partition("/")[0] if one.startswith("list/") else one.partition("-")[0] for one in many.asked] == [
            FEED,
            "list",
            f"refs {changed}",
            "document",
            "document",
        ]
    finally:
        many.pointers[changed] = before
        many.write_feed()


def test_a_feed_that_lies_hides_a_change_for_a_day_at_the_most_and_never_from_who_was_told() -> None:
    few, memory, time = Pretended(3), Remembering(), Time()
    source = source_of(few, memory, time)
    looked(source)
    hidden = Repo(Kind.MODEL, "owner1/model")
    commit = few.publish(hidden, b"second")  # and the feed says nothing of it
    time.now += FRESH
    assert looked(source)[hidden] != commit
    source.forget_lists([hidden])
    assert source.resolve(hidden, "main").commit == commit
    newer = few.publish(hidden, b"third")
    time.now += FULL_CHECK
    assert looked(source_of(few, memory, time))[hidden] == newer


def test_a_page_that_is_not_the_one_that_the_feed_names_hides_no_change() -> None:
    few, memory, time = Pretended(3), Remembering(), Time()
    looked(source_of(few, memory, time))
    before = {name: body for name, body in few.feed.items() if name != FEED}
    changed = Repo(Kind.MODEL, "owner1/model")
    commit = few.publish(changed, b"second")
    few.write_feed()
    few.feed |= before  # a cache on the way has the page as it was
    time.now += FRESH
    assert source_of(few, memory, time).resolve(changed, "main").commit == commit
    newer = few.publish(changed, b"third")
    few.write_feed()
    time.now += FRESH
    assert source_of(few, memory, time).resolve(changed, "main").commit == newer


class Written(Pretended):
    """Shows no list but its feed. Its writer has put the pages, and puts their root after `waits` looks at that."""

    def __init__(self, count: int) -> None:
        self.waits = 0
        super().__init__(count)

    def site(self, name: str, tag: str, limit: int) -> Told:
        told = super().site(name, tag, limit)
        if name == FEED and self.waits:
            self.waits -= 1
            if not self.waits:
                self.write_feed()
        return told

    def repos(self, kind: Kind) -> Iterator[Repo]:
        raise NoSuchCall("none")


@pytest.mark.parametrize("waits", [1, 9], ids=["that ends soon", "that died"])
def test_a_feed_that_is_read_beside_its_writer_names_the_repos_that_are_in_its_pages_now(waits: int) -> None:
    many, time = Written(300), Time()
    before = many.feed[FEED]
    late, changed = Repo(Kind.MODEL, "owner7/late"), Repo(Kind.MODEL, "owner8/model")
    commits = {repo: many.publish(repo, b"second") for repo in (late, changed)}
    many.write_feed()
    many.feed[FEED], many.waits = before, waits
    source = source_of(many, Remembering(), time)
    found = looked(source)
    assert found.keys() == many.pointers.keys()
    assert {repo: found[repo] for repo in commits} == commits
    many.write_feed()
    time.now += FRESH
    assert looked(source) == found
    many.asked.clear()
    assert looked(source) == found
    assert not [one for one in many.asked if one.startswith("refs")], "what was not proved is read again in its time"


def test_a_page_that_was_removed_says_of_no_repo_that_it_is_not_there_and_the_others_are_no_list_of_all() -> None:
    few, memory, time = Written(3), Remembering(), Time()
    looked(source_of(few, memory, time))
    repo = Repo(Kind.MODEL, "owner1/model")
    commit = few.publish(repo, b"second")
    few.write_feed()
    few.feed = {FEED: few.feed[FEED]}
    time.now += FRESH
    source = source_of(few, memory, time)
    assert source.resolve(repo, "main").commit == commit
    with pytest.raises(BadAnswer, match="which is not there"):
        list(source.search(ALL))
    with_a_listing = Pretended(3)
    with_a_listing.feed = few.feed
    assert looked(source_of(with_a_listing, Remembering(), Time())).keys() == few.pointers.keys()


def test_a_mirror_of_a_mirror_under_other_names_asks_by_the_names_that_it_has() -> None:
    few, memory, time = Pretended(3), Remembering(), Time()
    theirs, ours = Repo(Kind.MODEL, "owner1/model"), Repo(Kind.MODEL, "up-owner1/model")
    source = RenamedSource(source_of(few, memory, time), PublishedAs.parse("up-{org}/{name}"))
    commit = source.resolve(ours, "main").commit
    told = source.attested(ours, commit)
    assert told is not None
    assert Root.decode(told.root).repo == str(theirs)
    newer = few.publish(theirs, b"second")  # and the feed says nothing of it
    source.forget_lists([ours])
    assert source.resolve(ours, "main").commit == newer


def test_a_repo_that_only_a_bucket_s_listing_names_is_found_within_a_day() -> None:
    few, memory, time = Pretended(2), Remembering(), Time()
    looked(source_of(few, memory, time))
    few.publish(Repo(Kind.MODEL, "late/model"), b"first")
    time.now += FULL_CHECK
    assert Repo(Kind.MODEL, "late/model") in looked(source_of(few, memory, time))


@pytest.mark.parametrize(
    ("mirrors", "through", "said"),
    [
        (("us",), {}, "is published by this mirror itself"),
        (("them",), {"a": ("others", "us")}, "mirrors this mirror"),
    ],
)
def test_a_feed_that_comes_from_ourselves_is_refused(
    mirrors: tuple[str, ...], through: dict[str, tuple[str, ...]], said: str
) -> None:
    few = Pretended(1)
    few.write_feed(mirrors, through)
    source = source_of(few, Remembering(), Time(), frozenset({"us"}))
    with pytest.raises(MirrorLoop, match=said):
        list(source.search(ALL))


def test_a_feed_of_a_later_format_has_its_line_and_one_that_is_broken_is_none() -> None:
    few, time = Pretended(2), Time()
    few.feed[FEED] = b'{"format": 9}'
    with pytest.raises(UpstreamError, match="of format 9, this program reads 2: a newer mirror-sync wrote it"):
        list(source_of(few, Remembering(), time).search(ALL))
    few.feed[FEED] = b"{"
    assert len(looked(source_of(few, Remembering(), time))) == 2


def test_a_feed_is_the_same_for_the_same_and_is_read_as_it_was_written() -> None:
    repos = {Repo(Kind.DATASET if number % 3 else Kind.MODEL, f"O{number}/x"): b"%d" % number for number in range(700)}
    repos |= {Repo(kind, "same/name"): kind.value.encode() for kind in Kind}
    found = feed_of(repos, ("a",), {"w": ("b",)})
    assert found == feed_of(repos, ("a",), {"w": ("b",)})
    root = Feed.decode(found[FEED])
    assert root.encode() == found[FEED]
    assert root.ids == {"a", "b"}
    assert len(root.parts) > 1
    named = {part.name: read_part(found[part.name]) for part in root.parts}
    assert {repo: digest for part in named.values() for repo, digest in part.items()} == {
        repo: Sha256.of(body) for repo, body in repos.items()
    }
    for repo in repos:
        assert any(repo in named[part.name] for part in root.parts_for(repo)), repo
    few = [repo for repo in repos if len(root.parts_for(repo)) == 1]
    assert len(few) >= len(repos) - len(Kind) - len(root.parts), "hardly any repo can stand in two pages"
    odd = (root.encode().replace(b'[["', b'[["../'), root.encode().replace(b'"pages"', b'"page"'))
    for wrong in (b"", b"[]", b'{"format":2}', *odd):
        with pytest.raises(DocumentError):
            Feed.decode(wrong)


def test_the_feed_of_a_program_of_before_is_read_as_it_was() -> None:
    """Shards by the first digits of the SHA-256 of names, and a root that names them."""
    few, memory, time = Pretended(5), Remembering(), Time()
    shards: dict[str, list[list[str]]] = {}
    for repo, body in few.pointers.items():
        digits = hashlib.sha256(str(repo).encode()).hexdigest()[:1]
        shards.setdefault(digits, []).append([str(repo), Sha256.of(body)])
    few.feed = {f"list/feed-{digits}.json": json.dumps(some).encode() for digits, some in shards.items()}
    named = {digits: Sha256.of(few.feed[f"list/feed-{digits}.json"]) for digits in shards}
    few.feed[FIRST_FEED] = json.dumps(
        {"format": 1, "mirrors": ["them"], "through": {}, "whole": True, "shards": named}
    ).encode()
    found = looked(source_of(few, memory, time))
    assert found.keys() == few.pointers.keys()
    few.asked.clear()
    time.now += FRESH
    assert looked(source_of(few, memory, time)) == found
    assert few.asked == [FEED, FIRST_FEED]
    with pytest.raises(MirrorLoop):
        looked(source_of(few, memory, time, frozenset({"them"})))


@pytest.fixture(params=["front", "bucket"])
def lying(
    request: pytest.FixtureRequest, tmp_path: Path, transport: Transport
) -> Iterator[tuple[Published, MirrorSource]]:
    """A repo of two files in a bucket, and a source over that, or over a front before it."""
    store = DirectoryStore(tmp_path / "bucket")
    repo = model(store)
    repo.publish({"small.txt": b"small", "large.bin": b"L" * 5000})
    if request.param == "bucket":
        yield repo, source_of(StoreReader(store, "bucket"), Remembering(), Time())
        return
    with by_serve(store, by_digest=False) as front:
        reader = FrontReader(front.url, None, transport, Budget(front.url))
        yield repo, source_of(reader, Remembering(), Time())


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()


def test_wrong_bytes_are_found_before_the_file_is_whole(lying: tuple[Published, MirrorSource]) -> None:
    repo, source = lying
    commit = source.resolve(repo.repo, "main").commit
    files = {file.path: file for file in source.list(repo.repo, commit)}
    assert fetched(source, repo.repo, commit, files["small.txt"]) == b"small"
    repo.store.put(blob_key(mirrored("small.txt", b"small").sha256), b"smell", Sha256.of(b"smell"))
    with pytest.raises(IntegrityError, match=r"small\.txt: expected"):
        fetched(source, repo.repo, commit, files["small.txt"])


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("way", ["serve", "nginx"])
def test_a_front_gives_repos_of_every_kind_to_mirrors_of_it(
    tmp_path: Path, transport: Transport, kind: Kind, way: str
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    repo = Published(DirectoryStore(target.root), Repo(kind, "acme/one"))
    commit = repo.publish({"small.txt": b"small"})
    with by_either(way, target, tmp_path / "front", by_digest=False) as front:
        reader = FrontReader(front.url, None, transport, Budget(front.url))
        source = source_of(reader, Remembering(), Time())
        assert source.resolve(repo.repo, "main").commit == commit
        [file] = source.list(repo.repo, commit)
        assert fetched(source, repo.repo, commit, file) == b"small"


def test_a_wrong_tree_is_refused(lying: tuple[Published, MirrorSource]) -> None:
    repo, source = lying
    commit = source.resolve(repo.repo, "main").commit
    shard = Root.decode(_blob(repo, repo.root(commit))).shards[0].digest
    other = _blob(repo, shard).replace(b"small.txt", b"smell.txt")
    repo.store.put(blob_key(shard), other, Sha256.of(other))
    with pytest.raises(BadAnswer, match=f"document {shard} holds other bytes"):
        list(source.list(repo.repo, commit))


def test_a_root_of_another_repo_or_that_counts_otherwise_is_refused(lying: tuple[Published, MirrorSource]) -> None:
    repo, source = lying
    (commit,) = repo.refs.snapshots
    root = Root.decode(_blob(repo, repo.root(commit)))
    for name, said in (("acme/other", "its root is of acme/other"), (str(repo.repo), "its root says 2")):
        changed = _with(root, name).encode()
        repo.store.put(blob_key(changed.digest), changed.body, changed.digest)
        repo.refs = Refs(repo.refs.refs, {commit: changed.digest})
        repo.write_refs(repo.refs.encode())
        source.forget_lists([repo.repo])
        with pytest.raises(BadAnswer, match=said):
            list(source.list(repo.repo, source.resolve(repo.repo, "main").commit))


def _with(root: Root, repo: str) -> Root:
    return replace(root, repo=repo, size=root.size + 1)


def _blob(repo: Published, digest: Sha256) -> bytes:
    return read_document(repo.store, digest)
