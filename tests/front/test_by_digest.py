"""Contents are given by their digest alone only where the operator has opened that: what was taken down stays down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from tests.front.bucket import model
from tests.front.mirrors import PATIENCE, Mirror, by_either, by_nginx, s3_store
from tests.requirements import need


@pytest.fixture(params=["serve", "nginx"])
def closed(request: pytest.FixtureRequest, directory_bucket: DirectoryTarget, tmp_path: Path) -> Iterator[Mirror]:
    """A front as it is without a word in jobs.yaml."""
    with by_either(request.param, directory_bucket, tmp_path, by_digest=False) as running:
        yield running


def test_no_content_is_given_by_its_digest_unless_that_was_opened(closed: Mirror) -> None:
    repo = model(closed.store)
    commit = repo.publish({"f": b"by digest"})
    for method in ("GET", "HEAD"):
        reply = closed.ask(method, f"/{blob_key(Sha256.of(b'by digest'))}")
        assert (reply.error, "by_digest" in (reply.header("X-Error-Message") or "")) == ((404, None), True)
    assert closed.get(f"{repo.at}/resolve/{commit}/f").body == b"by digest"


def test_what_no_published_snapshot_names_any_more_is_gone_by_every_address(closed: Mirror) -> None:
    repo = model(closed.store)
    commit = repo.publish({"f": b"taken down"})
    pinned = f"{repo.at}/resolve/{commit}/f"
    assert closed.get(pinned).body == b"taken down"
    repo.write_refs(Refs().encode())
    missing = f'{{"error":"Repository not found: it is not mirrored here; what is: {closed.url}/-/"}}'
    closed.get_until(pinned, missing.encode())
    for target in (f"{repo.at}/resolve/main/f", repo.api, f"/{blob_key(Sha256.of(b'taken down'))}"):
        assert closed.get(target).status == 404


def _kept(folder: Path) -> list[Path]:
    """The files of nginx's caches; one that is still written has a number at its end, and takes another name."""
    return [path for path in (folder / "cache").rglob("*") if path.is_file() and not path.suffix]


def test_what_nginx_keeps_can_be_dropped_while_it_runs(moto_bucket: S3Target, tmp_path: Path) -> None:
    need("nginx")
    with by_nginx(s3_store(moto_bucket), NginxOptions(moto_bucket), tmp_path) as mirror:
        repo = model(mirror.store)
        bodies = {"small": b"kept", "large": bytes(1_100_000)}
        commit = repo.publish(bodies)
        for _ in range(2):
            for name, body in bodies.items():
                assert mirror.get(f"{repo.at}/resolve/{commit}/{name}").body == body
            until = time.monotonic() + PATIENCE
            while not any(b"kept" in path.read_bytes() for path in _kept(tmp_path)):
                assert time.monotonic() < until, "nothing is kept"
                time.sleep(0.1)
            for path in _kept(tmp_path):
                path.unlink(missing_ok=True)  # nginx may drop one at the same time


def test_where_it_was_opened_a_digest_is_enough(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"opened"})
    assert mirror.get(f"/{blob_key(Sha256.of(b'opened'))}").body == b"opened"
