"""The mirrors of the client suite: two targets, each filled once, behind two fronts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests.clients.mirror import FrontName, Mirror, Synced, TargetName, directory_target, serving, sync
from tests.clients.repos import fill
from tests.clients.truth import Truth
from tests.requirements import need
from tests.servers.bucket import S3Server
from tests.standin import Hub

COMBINATIONS = [(front, target) for target in ("directory", "s3") for front in ("serve", "nginx")]


@pytest.fixture(scope="session")
def upstream() -> Iterator[tuple[Hub, Truth]]:
    """A Hub stand-in that holds the suite's repos."""
    with Hub() as standing:
        yield standing, fill(standing)


@pytest.fixture(scope="session")
def synced_directory(upstream: tuple[Hub, Truth], tmp_path_factory: pytest.TempPathFactory) -> Synced:
    """The suite's repos in a directory."""
    hub, truth = upstream
    folder = tmp_path_factory.mktemp("directory")
    return sync(hub.url, truth, folder, "directory", directory_target(folder))


@pytest.fixture(scope="session")
def synced_s3(upstream: tuple[Hub, Truth], radosgw: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    """The suite's repos in a private bucket of a real S3 server."""
    hub, truth = upstream
    target = radosgw.place("some/prefix/")
    return sync(hub.url, truth, tmp_path_factory.mktemp("s3"), "s3", target)


@pytest.fixture(scope="session", params=COMBINATIONS, ids="-".join)
def mirror(request: pytest.FixtureRequest) -> Iterator[Mirror]:
    """A mirror that answers: every front over every target in turn."""
    front, target = cast("tuple[FrontName, TargetName]", request.param)
    if front == "nginx":
        need("nginx")
    synced: Synced = request.getfixturevalue(f"synced_{target}")
    with serving(synced, front) as one:
        yield one
