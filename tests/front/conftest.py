"""Every front over every kind of target: `mirror` is each of them in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.mirrors import DOORS, OPENED, PUBLISHERS, REPLICAS, Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server


@pytest.fixture(scope="session")
def directory_bucket(tmp_path_factory: pytest.TempPathFactory) -> DirectoryTarget:
    return DirectoryTarget(tmp_path_factory.mktemp("bucket"))


@pytest.fixture(scope="session")
def moto_bucket(moto: S3Server) -> S3Target:
    return S3Target(
        moto.make_bucket("mirrored"),
        endpoint_url=moto.endpoint_url,
        prefix="a prefix/+",
        access_key=moto.access_key,
        secret_key=moto.secret_key,
    )


@pytest.fixture(scope="session", params=["directory", "moto"])
def bucket(request: pytest.FixtureRequest) -> Target:
    place: Target = request.getfixturevalue(f"{request.param}_bucket")
    return place


@pytest.fixture(scope="session", params=["serve", "nginx"])
def mirror(
    request: pytest.FixtureRequest, bucket: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    """A running front over a bucket that tests share: each publishes repos of its own."""
    with _front(request.param, bucket, tmp_path_factory.mktemp("front")) as running:
        yield running


@pytest.fixture(scope="session", params=["serve", "nginx"])
def public_mirror(
    request: pytest.FixtureRequest, directory_bucket: DirectoryTarget, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    """A running front that was told where clients find it."""
    folder = tmp_path_factory.mktemp("public")
    with _front(request.param, directory_bucket, folder, "https://models.example.org/hub") as running:
        yield running


def _front(kind: str, bucket: Target, folder: Path, public_url: str | None = None) -> AbstractContextManager[Mirror]:
    store = DirectoryStore(bucket.root) if isinstance(bucket, DirectoryTarget) else s3_store(bucket)
    if kind == "serve":
        return by_serve(store, public_url=public_url, replicas=REPLICAS)
    need("nginx")
    return by_nginx(
        store,
        NginxOptions(
            bucket,
            public_url=public_url,
            by_digest=True,
            access=OPENED,
            doors=DOORS,
            kernel_publishers=PUBLISHERS,
            replicas=REPLICAS,
        ),
        folder,
    )
