"""One Hub, and for each mode a mirror of it with both fronts in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from tests.misses.world import Desk, World, desk_of, fill, front_of
from tests.standin import Hub


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    with Hub() as standing:
        standing.token("hf_mirror", approved=["pub/gatedone"])
        fill(standing)
        yield standing


def _filled(hub: Hub, folder: Path, mode: str) -> Iterator[tuple[Desk, Path]]:
    with desk_of(hub, folder, mode) as desk:
        desk.program.sync(BY_DAEMON, ["here"])
        yield desk, folder


@pytest.fixture(scope="session")
def redirecting(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Path]]:
    yield from _filled(hub, tmp_path_factory.mktemp("redirect"), "redirect")


@pytest.fixture(scope="session")
def noting(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Path]]:
    yield from _filled(hub, tmp_path_factory.mktemp("ask"), "ask")


@pytest.fixture(scope="session")
def fetching(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Path]]:
    yield from _filled(hub, tmp_path_factory.mktemp("fetch"), "fetch")


@pytest.fixture(scope="session", params=["serve", "nginx"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def redirects(hub: Hub, redirecting: tuple[Desk, Path], kind: str) -> Iterator[World]:
    desk, folder = redirecting
    with front_of(kind, folder, desk.options("redirect"), desk.settings.access_to("disk")) as front:
        yield World(hub, desk, front, folder)


@pytest.fixture(scope="session")
def notes(hub: Hub, noting: tuple[Desk, Path], kind: str) -> Iterator[World]:
    desk, folder = noting
    with front_of(kind, folder, desk.options("ask"), desk.settings.access_to("disk")) as front:
        yield World(hub, desk, front, folder)


@pytest.fixture(scope="session")
def fetches(hub: Hub, fetching: tuple[Desk, Path], kind: str) -> Iterator[World]:
    desk, folder = fetching
    with front_of(kind, folder, desk.options("fetch"), desk.settings.access_to("disk")) as front:
        yield World(hub, desk, front, folder)
