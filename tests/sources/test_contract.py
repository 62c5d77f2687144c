"""The contract of ports.Source, kept by every source."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.digest import ContentHash, Sha256
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.upstreams import ModelScopeUpstream, pushed_into
from mirror_sync.domain.repo import Kind, PublishedAs, Repo
from mirror_sync.errors import FileNotFound, NotFoundOrPrivate, RevisionNotFound
from mirror_sync.net.transport import Transport
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.mirror.feed_view import FeedView
from mirror_sync.sources.mirror.mirror_source import MirrorSource
from mirror_sync.sources.mirror.readers import StoreReader
from mirror_sync.sources.modelscope.modelscope_source import ModelScopeSource
from mirror_sync.sources.own.folder_and_pushed import FolderAndPushed
from mirror_sync.sources.own.own_source import OwnSource
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.limited import LimitedSource
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from mirror_sync.sources.wrappers.renamed import RenamedSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from mirror_sync.state.target_memory import mirror_memory
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.sources.reading import (
    DESCRIBED,
    FILES,
    LARGE,
    TINY,
    Steps,
    fetched,
    fill_directory,
    fill_hub,
    fill_mirror,
    fill_modelscope,
    listed,
    published,
    read,
)
from tests.standin import Hub
from tests.standin.modelscope import ModelScope

CHANGING = {"downloads", "likes", "trendingScore", "siblings", "sha", "xetEnabled", "usedStorage"}


@pytest.fixture(
    params=[
        "hub",
        "resolve-cache",
        "directory",
        "pushed",
        "mirror",
        "retrying",
        "failover",
        "limited",
        "connected",
        "modelscope",
        "renamed",
    ]
)
def any_source(request: pytest.FixtureRequest, tmp_path: Path, transport: Transport) -> Iterator[Source]:
    if request.param == "mirror":
        yield _over_a_bucket(tmp_path)
        return
    if request.param == "directory":
        fill_directory(tmp_path)
        yield DirectorySource(tmp_path)
        return
    if request.param == "pushed":  # a folder in which all that there is was pushed
        repos = fill_mirror(pushed_into(tmp_path))
        reader = StoreReader(DirectoryStore(pushed_into(tmp_path)), "a folder")
        pushed = OwnSource(reader, mirror_memory(tmp_path, "it"))
        for repo in repos:
            pushed.resolve(repo, "main")
        yield FolderAndPushed(tmp_path, lambda: pushed)
        return
    if request.param == "modelscope":
        with ModelScope() as site:
            fill_modelscope(site)
            yield ModelScopeSource(ModelScopeUpstream(site.url), transport)
            assert not site.crashes
        return
    hub: Hub = request.getfixturevalue("hub")
    fill_hub(hub)
    yield _over_a_hub(request.param, hub, transport)


def _over_a_hub(wrapped: str, hub: Hub, transport: Transport) -> Source:
    source: Source = HubSource(hub.url, None, transport)
    match wrapped:
        case "limited":
            source = LimitedSource(source, [Limiter(Bandwidth(10**12), Timing(Steps())) for _ in range(2)])
        case "connected":
            source = ConnectedSource(source, [Connections(count, lambda: None) for count in (4, 1)])
        case "retrying":
            source = RetryingSource(source, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
        case "failover":
            # both answer: while one is silent, nothing is known to be missing (see test_failover.py)
            source = FailoverSource([HubSource(hub.url, None, transport), source])
        case "renamed":
            for name in ("tiny", "second"):
                hub.rename(f"acme/{name}", f"acm/{name}")
            hub.rename("acme/rows", "acm/rows", "dataset")
            source = RenamedSource(source, PublishedAs.parse("{org}e/{name}"))
        case "resolve-cache":
            hub.behaviour.small_files = "resolve-cache"
            hub.behaviour.tree_page = hub.behaviour.list_page = 2
    return source


def _over_a_bucket(folder: Path) -> Source:
    repos = fill_mirror(folder / "bucket")
    reader, memory = StoreReader(DirectoryStore(folder / "bucket"), "a bucket"), mirror_memory(folder, "it")
    mirror = MirrorSource(reader, memory, FeedView(reader, memory))
    for repo in repos:  # what was never looked at, a search tells by its name alone
        mirror.resolve(repo, "main")
    return mirror


def test_a_branch_resolves_to_a_commit_and_the_terms_at_it(any_source: Source) -> None:
    found = any_source.resolve(TINY, "main")
    assert found.queried == found.canonical == TINY
    assert found.terms.licenses == {"mit"}
    assert {found.terms.gated, found.terms.private, found.terms.disabled} == {False}


def test_a_description_is_what_clients_want_and_does_not_change_by_itself(any_source: Source) -> None:
    described = any_source.resolve(TINY, "main").described
    assert described.keys() >= DESCRIBED
    assert described["id"] == "acme/tiny"
    assert described["cardData"]["license"] == "mit"
    assert not CHANGING & described.keys()


def test_a_commit_resolves_to_itself(any_source: Source) -> None:
    commit = any_source.resolve(TINY, "main").commit
    assert any_source.resolve(TINY, commit).commit == commit


@pytest.mark.parametrize("revision", ["nope", "0" * 40, "refs/pr/7"])
def test_a_revision_that_is_not_there_is_named_so(any_source: Source, revision: str) -> None:
    with pytest.raises(RevisionNotFound):
        any_source.resolve(TINY, revision)


def test_a_repo_that_is_not_there_is_named_so(any_source: Source) -> None:
    with pytest.raises(NotFoundOrPrivate):
        any_source.resolve(Repo.parse("acme/nope"), "main")
    with pytest.raises(NotFoundOrPrivate):
        any_source.resolve(Repo(Kind.DATASET, "acme/tiny"), "main")


def test_refs_name_the_commit_of_main(any_source: Source) -> None:
    commit = any_source.resolve(TINY, "main").commit
    main = next(ref for ref in any_source.refs(TINY) if ref.name == "main")
    assert (main.group, main.ref, main.target) == ("branches", "refs/heads/main", commit)


def test_an_open_repo_may_be_read(any_source: Source) -> None:
    any_source.authorize(TINY)


def test_a_listing_names_every_file_once_and_no_folder(any_source: Source) -> None:
    commit = any_source.resolve(TINY, "main").commit
    listed = [(file.path, file.size) for file in any_source.list(TINY, commit)]
    assert sorted(listed) == sorted((path, content.size) for path, content in FILES.items())


def test_bytes_keep_the_promise_of_the_listing(any_source: Source) -> None:
    commit, files = published(any_source)
    for path, file in files.items():
        body = fetched(any_source, TINY, commit, file)
        proof = ContentHash(file.size, file.promise)
        proof.update(body)
        assert proof.kept, path
        assert body == FILES[path].read()


def test_large_files_are_promised_by_sha256_and_small_ones_by_git_id(any_source: Source) -> None:
    _, files = published(any_source)
    if isinstance(any_source, ModelScopeSource):  # which tells the SHA-256 of all
        assert all(file.sha256 == FILES[path].sha256 for path, file in files.items())
        return
    large = files["sub/model.safetensors"]
    assert large.sha256 == Sha256(FILES["sub/model.safetensors"].sha256)
    assert large.pointer_size is not None
    assert files["config.json"].sha256 is None
    assert files["config.json"].oid == FILES["config.json"].git_oid


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (5, 9), (LARGE - 4, None), (1 << 20, (1 << 20) + 7), (7, 7), (0, LARGE), (9, LARGE + 9)]
)
def test_a_range_holds_exactly_its_bytes(any_source: Source, start: int, stop: int | None) -> None:
    commit, files = published(any_source)
    whole = FILES["sub/model.safetensors"].read()
    assert fetched(any_source, TINY, commit, files["sub/model.safetensors"], start, stop) == whole[start:stop]


def test_a_small_buffer_is_filled_again_and_again(any_source: Source) -> None:
    commit, files = published(any_source)
    with any_source.fetch(TINY, commit, files["README.md"]) as stream:
        assert read(stream, 3) == FILES["README.md"].read()
        assert stream.readinto(memoryview(bytearray(3))) == 0


def test_a_stream_may_be_left_in_the_middle(any_source: Source) -> None:
    commit, files = published(any_source)
    with any_source.fetch(TINY, commit, files["sub/model.safetensors"]) as stream:
        stream.readinto(memoryview(bytearray(10)))
    assert fetched(any_source, TINY, commit, files["config.json"]) == FILES["config.json"].read()


def test_a_path_that_is_not_there_is_named_so(any_source: Source) -> None:
    commit, files = published(any_source)
    with pytest.raises(FileNotFound):
        fetched(any_source, TINY, commit, replace(files["config.json"], path="nope.json"))


def test_a_history_begins_with_the_commit(any_source: Source) -> None:
    commit = any_source.resolve(TINY, "main").commit
    first = any_source.history(TINY, commit)[0]
    assert first.id == commit
    assert first.title
    assert first.date.endswith("Z")


def test_a_glob_finds_the_repos_of_one_owner_and_kind(any_source: Source) -> None:
    assert sorted(str(each.queried) for each in listed(any_source, "acme/*")) == ["acme/second", "acme/tiny"]
    assert [str(each.queried) for each in listed(any_source, "dataset:acme/*")] == ["dataset:acme/rows"]
    assert [str(each.queried) for each in listed(any_source, "acme/t?ny")] == ["acme/tiny"]
    assert listed(any_source, "nobody/*") == []


def test_a_search_says_of_a_repo_what_resolving_it_says(any_source: Source) -> None:
    for found in listed(any_source, "acme/*"):
        assert found == any_source.resolve(found.queried, "main")


def test_a_head_says_of_a_repo_what_resolving_it_says_without_its_description(any_source: Source) -> None:
    wanted = [TINY, Repo.parse("acme/second"), Repo.parse("acme/nope")]
    heads = any_source.heads(wanted)
    assert {head.queried for head in heads.found} <= set(wanted[:2])
    assert heads.calls <= len(heads.found) + 1
    for head in heads.found:
        assert head == replace(any_source.resolve(head.queried, "main"), described={})


def test_a_pattern_without_a_wildcard_is_that_repo(any_source: Source) -> None:
    assert [found.queried for found in listed(any_source, "acme/tiny")] == [TINY]


def test_many_threads_read_at_once(any_source: Source) -> None:
    commit, files = published(any_source)
    with ThreadPoolExecutor(4) as pool:
        bodies = pool.map(lambda file: fetched(any_source, TINY, commit, file), [*files.values()] * 4)
    assert [*bodies] == [FILES[path].read() for path in [*files] * 4]


def test_bytes_that_proved_wrong_may_be_complained_of_and_fetched_again(any_source: Source) -> None:
    commit, files = published(any_source)
    for _ in range(5):
        any_source.distrust(TINY, commit, files["config.json"])
        assert fetched(any_source, TINY, commit, files["config.json"]) == FILES["config.json"].read()


def test_what_is_known_of_limits_is_sane(any_source: Source) -> None:
    published(any_source)
    for name, state in any_source.budget().items():
        assert name in ("api", "resolvers")
        assert 0 <= state.remaining <= state.quota
        assert state.resets_in >= 0
