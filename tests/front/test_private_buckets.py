"""nginx and a private bucket of a real S3 server, which refuses what is not signed as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.content.keys import blob_key, site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from tests.front.bucket import dataset, model
from tests.front.mirrors import OPENED, Mirror, by_nginx, s3_store
from tests.requirements import need

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

LARGE = bytes(range(256)) * 8000
FILES = {"README.md": b"# card", "sub/big.bin": LARGE, "\u00e9 #?.txt": b"odd"}


@pytest.fixture(scope="module")
def private(radosgw: S3Server) -> S3Target:
    need("nginx")
    return S3Target(
        radosgw.make_bucket(),
        endpoint_url=radosgw.endpoint_url,
        region=radosgw.region,
        prefix="Some prefix/\u00e9+~",
        access_key=radosgw.access_key,
        secret_key=radosgw.secret_key,
    )


@pytest.fixture(scope="module")
def mirror(private: S3Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    with by_nginx(
        s3_store(private), NginxOptions(private, by_digest=True, access=OPENED), tmp_path_factory.mktemp("nginx")
    ) as running:
        yield running


def test_everything_can_be_read_from_a_private_bucket(mirror: Mirror) -> None:
    for repo in (model(mirror.store), dataset(mirror.store), model(mirror.store, "one-part")):
        commit = repo.publish(FILES)
        assert mirror.listed(f"{repo.api}/tree/main?recursive=true")
        assert mirror.get(repo.api).json["sha"] == commit
        assert mirror.get(f"{repo.api}/commits/main").json[0]["id"] == commit
        for revision in (commit, "main"):
            assert mirror.get(f"{repo.at}/resolve/{revision}/README.md").body == FILES["README.md"]
            assert mirror.get(f"{repo.at}/resolve/{revision}/%C3%A9%20%23%3F.txt").body == b"odd"
            assert mirror.get(f"{repo.at}/resolve/{revision}/sub/big.bin").body == LARGE
            part = mirror.get(f"{repo.at}/resolve/{revision}/sub/big.bin", Range="bytes=10-19")
            assert (part.status, part.body) == (206, LARGE[10:20])
            beyond = mirror.get(f"{repo.at}/resolve/{revision}/sub/big.bin", Range="bytes=9999999-")
            assert (beyond.status, beyond.header("Content-Range")) == (416, f"bytes */{len(LARGE)}")
        assert mirror.head(f"{repo.at}/resolve/{commit}/sub/big.bin").header("Content-Length") == str(len(LARGE))


def test_a_blob_is_read_by_its_digest_with_get_and_head(mirror: Mirror) -> None:
    model(mirror.store).publish(FILES)
    target = f"/{blob_key(Sha256.of(LARGE))}"
    assert mirror.get(target).body == LARGE
    assert mirror.get(target, Range="bytes=-5").body == LARGE[-5:]
    assert mirror.head(target).header("Content-Length") == str(len(LARGE))
    assert mirror.get(f"/{blob_key(Sha256.of(b'nobody'))}").error == (404, "EntryNotFound")


def test_the_catalogue_is_read_from_a_private_bucket(mirror: Mirror) -> None:
    for name in ("index.html", "models/acme--x.html", "assets/a.01234567.js"):
        mirror.store.put(site_key(name), b"<p>page</p>", Sha256.of(b"<p>page</p>"))
        reply = mirror.get(f"/-/{name}")
        assert (reply.status, reply.body) == (200, b"<p>page</p>")
        head = mirror.head(f"/-/{name}")
        assert (head.status, head.header("Content-Length"), head.header("ETag")) == (200, "11", reply.header("ETag"))
        assert mirror.get(f"/-/{name}", If_None_Match=str(reply.header("ETag"))).status == 304
    assert mirror.get("/-/models/none.html").status == 404


def test_a_repo_that_is_not_there_is_missing_in_a_private_bucket_too(mirror: Mirror) -> None:
    assert mirror.get("/acme/none/resolve/main/f").error == (404, "RepoNotFound")


@pytest.mark.parametrize("wrong", ["secret_key", "access_key", "both absent"])
def test_wrong_keys_are_the_mirrors_fault_and_never_an_empty_mirror(
    private: S3Target, wrong: str, tmp_path: Path
) -> None:
    repo = model(s3_store(private))
    commit = repo.publish(FILES)
    keys = {"secret_key": {"secret_key": "wrong"}, "access_key": {"access_key": "WRONG"}}
    bad = replace(private, **keys.get(wrong, {"access_key": None, "secret_key": None}))
    with by_nginx(repo.store, NginxOptions(bad, by_digest=True, access=OPENED), tmp_path / "nginx") as front:
        for target in (f"{repo.at}/resolve/{commit}/README.md", repo.api, f"{repo.api}/tree/main"):
            assert front.get(target).error == (502, None)
        assert front.get("/acme/none/resolve/main/f").error == (502, None)
        assert front.get(f"/{blob_key(Sha256.of(LARGE))}").error == (502, None)


def test_a_bucket_that_does_not_exist_is_no_fault_of_the_client(private: S3Target, tmp_path: Path) -> None:
    with by_nginx(
        s3_store(private),
        NginxOptions(replace(private, prefix="elsewhere"), by_digest=True, access=OPENED),
        tmp_path / "nginx",
    ) as front:
        assert front.get("/acme/any/resolve/main/f").error == (404, "RepoNotFound")


def test_no_key_is_told_to_clients_or_logs(private: S3Target, tmp_path: Path) -> None:
    repo = model(s3_store(private))
    commit = repo.publish(FILES)
    with by_nginx(
        repo.store,
        NginxOptions(replace(private, secret_key="not-this"), by_digest=True, access=OPENED),
        tmp_path / "nginx",
    ) as front:
        replies = [front.get(target) for target in (repo.api, f"{repo.at}/resolve/{commit}/sub/big.bin")]
    logs = [(tmp_path / f"nginx/logs/{name}.log").read_text() for name in ("error", "access")]
    assert all(logs), "an empty log would prove nothing"
    for told in (*logs, *(str(reply.headers) + reply.body.decode() for reply in replies)):
        assert "not-this" not in told
        assert private.access_key is not None
        assert private.access_key not in told
