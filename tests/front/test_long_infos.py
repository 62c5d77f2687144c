"""The info of many files, which nginx makes once for its digest: what a short one is, for whoever may see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.share import ReaderShare, reader_key
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.domain.outcome.replicas import MARK, PUBLISHED_HEADER, ReplicaMark
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.ports.store import read_document
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, model
from tests.front.guarded import ACCESS, TOKENS, bearer, write_tokens
from tests.front.mirrors import by_nginx
from tests.front.recorder import BUCKET, recorder
from tests.requirements import need

MANY = {f"data/{number:04}.txt": b"%d" % (number % 7) for number in range(2100)}


def info_of(repo: Published, commit: CommitId) -> Sha256:
    root = Root.decode(read_document(repo.store, repo.refs.snapshots[commit]))
    return root.info


def test_it_is_read_once_however_often_and_by_whatever_address_it_is_asked_for(tmp_path: Path) -> None:
    need("nginx")

    def uncached(configuration: str) -> str:
        return configuration.replace("proxy_cache documents;", "proxy_cache off;")

    with recorder(tmp_path / "bucket") as bucket:
        options = NginxOptions(S3Target(BUCKET, bucket.url))
        with by_nginx(DirectoryStore(bucket.root), options, tmp_path / "front", uncached) as mirror:
            repo = model(mirror.store)
            commit = repo.publish(MANY)
            asked = [repo.api, f"{repo.api}?a=1", f"{repo.api}/revision/main", f"{repo.api}/revision/{commit}"]
            found = [mirror.get(path) for path in (*asked, *asked)]
            assert [one.status for one in found] == [200] * 8
            # once more for whether its upstream gives it to everybody, which is kept as well
            assert bucket.asked_keys().count(blob_key(info_of(repo, commit))) <= 2


@pytest.mark.parametrize("published", ["", "2026-11-20T08:00:00Z"])
def test_it_says_what_a_short_one_says_with_the_same_headers(tmp_path: Path, published: str) -> None:
    """Of a replica, too: how late it is."""
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    store = DirectoryStore(target.root)
    if published:
        mark = ReplicaMark(published, "0123abcd").encode()
        store.put(MARK, mark, Sha256.of(mark))
    long, short = model(store, "acme/long"), model(store, "acme/short")
    commits = [(long, long.publish(MANY)), (short, short.publish({"a.txt": b"1"}))]
    with by_nginx(store, NginxOptions(target, refs_seconds=600), tmp_path / "front") as mirror:
        for path in ("", "/revision/main", "/revision/{}"):
            for _ in range(2):
                told = [mirror.get(repo.api + path.format(commit)) for repo, commit in commits]
                assert {one.status for one in told} == {200}
                assert set(told[0].headers) == set(told[1].headers)
                assert told[0].header(PUBLISHED_HEADER) == (published or None)
                for name in ("Content-Type", "Cache-Control", "Vary", PUBLISHED_HEADER):
                    assert told[0].headers.get_all(name) == told[1].headers.get_all(name), name
                for (repo, commit), reply in zip(commits, told, strict=True):
                    assert reply.header("X-Repo-Commit") == commit
                    assert reply.header("ETag") == f'"{info_of(repo, commit)}-counted"'
                    assert (reply.json["sha"], reply.json["downloads"]) == (commit, 0)
        whole = mirror.get(long.api)
        assert len(whole.json["siblings"]) == len(MANY)
        assert mirror.get(long.api, Range="bytes=0-3").body == whole.body
        assert mirror.get(long.api, **{"If-None-Match": whole.headers["ETag"]}).status == 304
        head = mirror.head(long.api)
        assert (head.status, head.header("ETag")) == (200, whole.header("ETag"))
        assert mirror.get(f"{long.api}/revision/none").status == 404


@pytest.mark.parametrize("order", [1, -1])
def test_it_is_told_to_those_who_may_see_the_repo_and_to_nobody_else(tmp_path: Path, order: int) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root), "team/inner")
    repo.publish(MANY)
    options = NginxOptions(target, refs_seconds=600, access=ACCESS, tokens=write_tokens(tmp_path / "tokens.yaml"))
    wanted = [("developers", 200), ("nothings", 404), ("auditors", 200), ("admins", 200)][::order]
    with by_nginx(repo.store, options, tmp_path / "front") as mirror:
        for role, status in wanted * 2:
            reply = mirror.ask("GET", repo.api, bearer(TOKENS[role]))
            assert reply.status == status, role
            if status == 200:
                assert "private" in (reply.header("Cache-Control") or "")
                assert reply.header("Vary") == "Authorization"
        for path in ("/info/" + info_of(repo, repo.refs.refs[0].target), "/told" + repo.api, "/-/told"):
            assert mirror.get(path).status in (401, 404)


def test_a_grey_release_leads_each_reader_to_one_of_two(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root))
    new, old = (repo.publish({**MANY, "f": which}) for which in (b"new", b"old"))
    with by_nginx(repo.store, NginxOptions(target, refs_seconds=0), tmp_path / "front") as mirror:
        assert mirror.get(repo.api).json["sha"] == old
        repo.refs = replace(repo.refs, channels={"candidate": new})
        repo.attach(ReaderShare("candidate", 5000).name, b"{}")
        for number in range(12):
            address = f"10.0.7.{number}"
            taken = ReaderShare("candidate", 5000).takes(repo.repo, reader_key("", address))
            for _ in range(2):
                reply = mirror.ask("GET", repo.api, {"X-Forwarded-For": address})
                assert reply.json["sha"] == reply.header("X-Repo-Commit") == (new if taken else old)
                assert "private" in (reply.header("Cache-Control") or "")
