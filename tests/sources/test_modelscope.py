"""What is ModelScope's own: its commits, what its listings hide, its refusals. All else is the contract of sources."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mirror_sync.domain.content.manifest import OnUnproved, RemoteFile
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.job.upstreams import ModelScopeUpstream
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.errors import (
    BadAnswer,
    Gated,
    IntegrityError,
    NotFoundOrPrivate,
    RateLimited,
    TokenRejected,
    Unreachable,
    UpstreamError,
)
from mirror_sync.net.transport import Transport
from mirror_sync.sources.modelscope.modelscope_source import ModelScopeSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import FILES, LARGE, TINY, Steps, fetched, fill_modelscope, listed, published
from tests.standin import LFS, Memory, faults
from tests.standin.modelscope import ModelScope
from tests.standin.repo import Repo as StandInRepo


@pytest.fixture
def site() -> Iterator[ModelScope]:
    with ModelScope() as started:
        fill_modelscope(started)
        yield started
        assert not started.leaks, "a token came to the CDN"
        assert not started.crashes


@pytest.fixture
def source(site: ModelScope, transport: Transport) -> ModelScopeSource:
    return ModelScopeSource(ModelScopeUpstream(site.url), transport)


def tiny(site: ModelScope) -> StandInRepo:
    return site.model("acme/tiny")


def with_token(site: ModelScope, transport: Transport, token: str) -> ModelScopeSource:
    return ModelScopeSource(ModelScopeUpstream(site.url, token), transport)


def test_the_head_is_the_whole_id_of_the_newest_commit_for_two_calls(
    site: ModelScope, source: ModelScopeSource
) -> None:
    assert source.resolve(TINY, "main").commit == tiny(site).head("master")
    assert site.calls() == 2


def test_a_commit_that_no_listed_file_shows_has_an_id_by_which_it_is_found_again(
    site: ModelScope, source: ModelScopeSource, transport: Transport
) -> None:
    head = site.commit(tiny(site), {}, delete=["empty.txt"], title="less")
    commit, files = published(source)
    assert commit != head
    assert commit.startswith(head[:8])
    assert set(files) == set(FILES) - {"empty.txt"}
    assert fetched(source, TINY, commit, files["config.json"]) == FILES["config.json"].read()
    other = ModelScopeSource(ModelScopeUpstream(site.url), transport)  # which has resolved nothing
    assert {file.path for file in other.list(TINY, commit)} == set(files)
    assert other.resolve(TINY, commit).commit == source.resolve(TINY, "main").commit == commit


def test_where_no_commit_is_told_the_id_is_made_of_the_files(site: ModelScope, source: ModelScopeSource) -> None:
    site.ways.committer = False
    commit, files = published(source)
    assert source.resolve(TINY, "main").commit == commit
    assert fetched(source, TINY, commit, files["README.md"]) == FILES["README.md"].read()
    site.commit(tiny(site), {"config.json": b"{}"})
    assert source.resolve(TINY, "main").commit != commit
    with pytest.raises(BadAnswer, match="has moved on"):
        list(source.list(TINY, commit))


def test_a_head_that_moves_in_the_midst_changes_nothing_of_what_was_resolved(
    site: ModelScope, source: ModelScopeSource
) -> None:
    commit, files = published(source)
    site.commit(tiny(site), {"config.json": b'{"hidden_size": 9}'})
    assert {file.path: file for file in source.list(TINY, commit)} == files
    assert fetched(source, TINY, commit, files["config.json"]) == FILES["config.json"].read()


def test_a_head_that_is_known_by_its_branch_alone_and_moves_is_refused(
    site: ModelScope, source: ModelScopeSource
) -> None:
    site.ways.knows_commits = False
    site.commit(tiny(site), {}, delete=["empty.txt"])
    commit, files = published(source)
    site.commit(tiny(site), {"config.json": b'{"hidden_size": 9}'})
    with pytest.raises(BadAnswer, match="has moved on"):
        list(source.list(TINY, commit))
    body = fetched(source, TINY, commit, RemoteFile.of_digest("config.json", 18, Sha256("0" * 64)))
    assert Sha256.of(body) != files["config.json"].sha256  # which is what the engine proves


@pytest.mark.parametrize("kind", [Kind.MODEL, Kind.DATASET])
def test_a_listing_that_the_site_would_cut_comes_whole(site: ModelScope, source: ModelScopeSource, kind: Kind) -> None:
    paths = [f"{folder}/{number:04}.txt" for folder in "abc" for number in range(1500)] + ["d/e/f.txt", "top.txt"]
    many = site.world.repo(kind.value, "acme/many").set(license="MIT License")
    site.commit(many, dict.fromkeys(paths, b"x"))
    repo = Repo(kind, "acme/many")
    commit = source.resolve(repo, "main").commit
    assert sorted(file.path for file in source.list(repo, commit)) == sorted(paths)


def test_a_folder_of_more_files_than_any_listing_tells_is_refused(site: ModelScope, source: ModelScopeSource) -> None:
    site.commit(site.model("acme/flat"), {f"{number:05}": b"x" for number in range(3000)})
    repo = Repo.parse("acme/flat")
    with pytest.raises(BadAnswer, match="3,000 entries in the first folder alone"):
        list(source.list(repo, source.resolve(repo, "main").commit))


def test_a_file_without_a_digest_is_told_as_such_with_its_own_commit(site: ModelScope, transport: Transport) -> None:
    site.ways.silent_of = {"config.json", "empty.txt"}
    upstream = ModelScopeUpstream(site.url, unproved=OnUnproved.ACCEPT)
    source = ModelScopeSource(upstream, transport)
    first = tiny(site).head("master")
    site.commit(tiny(site), {"README.md": b"other"})
    commit, files = published(source)
    assert files["config.json"].unproved is OnUnproved.ACCEPT
    assert files["config.json"].oid == GitOid(first)
    assert files["empty.txt"].unproved is None  # what has no byte is known
    site.commit(tiny(site), {"config.json": b"a head of later"})
    assert fetched(source, TINY, commit, files["config.json"]) == FILES["config.json"].read()


def test_a_403_at_random_is_asked_again_and_a_gate_is_told_from_a_private_repo(
    site: ModelScope, transport: Transport
) -> None:
    site.faults.add(faults.status(403, body=b'{"Code":403,"Message":"no"}'), "*/repo/files", times=2)
    source = ModelScopeSource(ModelScopeUpstream(site.url), transport)
    asking = RetryingSource(source, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    commit, files = published(asking)
    assert set(files) == set(FILES)
    tiny(site).set(gated="manual")
    closed = ModelScopeSource(ModelScopeUpstream(site.url), transport)
    assert closed.resolve(TINY, "main").terms.gated is True
    with pytest.raises(Gated, match="set a token that has it"):
        fetched(closed, TINY, commit, files["config.json"])
    opened = with_token(site, transport, site.token("ms-approved", approved=["acme/tiny"]))
    opened.resolve(TINY, "main")
    assert fetched(opened, TINY, commit, files["sub/model.safetensors"])[:9] == FILES["sub/model.safetensors"].read(
        0, 9
    )
    tiny(site).set(private=True)
    with pytest.raises(NotFoundOrPrivate, match="or set a token if it is private"):
        closed.resolve(TINY, "main")
    mine = with_token(site, transport, site.token("ms-mine", private=["acme/tiny"]))
    assert mine.resolve(TINY, "main").terms.private is True


def test_a_token_is_proved_or_rejected(site: ModelScope, source: ModelScopeSource, transport: Transport) -> None:
    assert source.prove() is TokenStatus.ANONYMOUS
    assert with_token(site, transport, site.token("ms-good")).prove() is TokenStatus.PROVED
    with pytest.raises(TokenRejected, match="token rejected"):
        with_token(site, transport, "ms-bad").prove()
    with pytest.raises(TokenRejected):
        with_token(site, transport, "ms-bad").resolve(TINY, "main")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("Apache License 2.0", "apache-2.0"),
        ("MIT License", "mit"),
        ("MIT", "mit"),
        (" CC-BY-NC-4.0 ", "cc-by-nc-4.0"),
        ("Qwen Research", "qwen research"),
        ("Other", "other"),
    ],
)
def test_names_of_licences_are_the_hubs_ids(site: ModelScope, source: ModelScopeSource, said: str, means: str) -> None:
    tiny(site).set(license=said)
    found = source.resolve(TINY, "main")
    assert found.terms.licenses == {means}
    assert found.described["cardData"] == {"license": means}
    assert f"license:{means}" in found.described["tags"]


def test_refusals_come_as_our_errors(site: ModelScope, source: ModelScopeSource) -> None:
    commit, files = published(source)
    refused = {"Code": 10010205001, "Success": False, "Message": "gone", "RequestId": "r"}
    for fault, error in [
        (faults.busy(7), RateLimited),
        (faults.status(502), Unreachable),
        (faults.status(200, body=json.dumps(refused).encode()), NotFoundOrPrivate),
        (faults.html(), BadAnswer),
        (faults.garbage(), BadAnswer),
        (faults.refuse(), Unreachable),
    ]:
        site.faults.clear()
        site.faults.add(fault, "*/repo/files")
        with pytest.raises(error):
            list(source.list(TINY, commit))
    site.faults.clear()
    assert source.history(TINY, commit)[0].title == "Update"
    with pytest.raises(UpstreamError, match="ModelScope's repos are owner/name"):
        source.resolve(Repo.parse("bare"), "main")
    site.faults.add(faults.status(200, {"X-Linked-ETag": f'"{"1" * 64}"'}, b"x" * 18), "*/repo", times=1)
    with pytest.raises(IntegrityError):
        fetched(source, TINY, commit, files["config.json"])


@pytest.mark.parametrize("ways", ["whole", "200", "206"])
def test_a_part_comes_from_servers_that_answer_ranges_in_ways_of_their_own(
    site: ModelScope, source: ModelScopeSource, ways: str
) -> None:
    site.ways.whole_up_to, site.ways.ranges_as_200 = 100 * (ways == "whole"), ways == "200"
    commit, files = published(source)
    assert fetched(source, TINY, commit, files["config.json"], 2, 9) == FILES["config.json"].read(2, 9)


def test_a_stream_that_ends_early_goes_on_where_it_broke(site: ModelScope, transport: Transport) -> None:
    source = ModelScopeSource(ModelScopeUpstream(site.url), transport)
    asking = RetryingSource(source, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    commit, files = published(asking)
    site.faults.add(faults.cut(1000), origin="cdn", times=2)
    site.faults.add(faults.status(403), origin="cdn", times=1)  # a signed address that no longer opens
    assert fetched(asking, TINY, commit, files["sub/model.safetensors"]) == FILES["sub/model.safetensors"].read()
    assert sum(record.sent for record in site.log.records(origin="cdn")) < 2 * LARGE


def test_lists_of_an_owner_tell_every_page_and_a_longer_one_is_refused(
    site: ModelScope, source: ModelScopeSource
) -> None:
    for number in range(120):
        site.commit(site.model(f"crowd/m{number}"), {"config.json": LFS(Memory(b"{}"))})
    assert len([*source.search(RepoPattern.parse("crowd/*"))]) == 120
    assert [one.queried for one in listed(source, "crowd/m7")] == [Repo.parse("crowd/m7")]
    site.faults.add(
        faults.status(200, body=b'{"data":{"models":[],"total_count":3001}}'), "/openapi/v1/models", times=1
    )
    with pytest.raises(UpstreamError, match="name them one by one"):
        list(source.search(RepoPattern.parse("crowd/*")))


def test_names_of_a_repo_are_told_with_main_for_master(site: ModelScope, source: ModelScopeSource) -> None:
    tiny(site).tag("v1", tiny(site).head("master"))
    site.commit(tiny(site), {"config.json": b"{}"}, branch="trial")
    assert [(ref.group, ref.name) for ref in source.refs(TINY)] == [
        ("branches", "main"),
        ("branches", "trial"),
        ("tags", "v1"),
    ]
    for name, head in (("v1", tiny(site).refs["refs/tags/v1"]), ("refs/heads/trial", tiny(site).head("trial"))):
        assert source.resolve(TINY, name).commit == head
