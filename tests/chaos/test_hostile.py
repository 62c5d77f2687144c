"""Requests that no client sends: a short, seeded part of `python -m tests.chaos.hostile`, without its times."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.protocol import RouteTable
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.front.protocols.s3 import S3
from mirror_sync.front.protocols.s3_addresses import addressed
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.chaos.hostile import FRONTS, MEMORY, ask, attack, published
from tests.chaos.hostile_routes import S3_ADDRESSES, RouteDraws
from tests.front.bucket import model
from tests.requirements import need


@pytest.mark.parametrize("front", FRONTS)
def test_whatever_is_sent_the_front_answers_and_says_no_more_than_that_it_was_wrong(front: str, tmp_path: Path) -> None:
    need("nginx")
    repo = published(tmp_path / "bucket")
    with FRONTS[front](tmp_path) as (port, memory):
        found = attack(port, repo, 400, 7, memory)
        assert found.failed == {}
        assert found.memory < MEMORY
        assert ask(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200


def test_there_is_no_route_that_is_not_attacked(tmp_path: Path) -> None:
    """Of a new door, too: each address that is drawn of right words comes to its own route."""
    repo = model(DirectoryStore(tmp_path))
    repo.publish({"f": b"x"}, registry=True)
    draws, dice, table = RouteDraws(repo), Random(7), RouteTable(PROTOCOLS)
    assert {route.name for route in S3.routes} == set(S3_ADDRESSES)
    for protocol in PROTOCOLS:
        for route in protocol.routes:
            drawn = {came_to(table, draws.address(dice, route, wrong=0), s3=protocol is S3) for _ in range(60)}
            assert route.name in drawn, drawn


def came_to(table: RouteTable, address: str, *, s3: bool) -> str:
    path, _, query = address.partition("?")
    method = "HEAD" if s3 and query == "" else "GET"
    asked = FrontRequest(method, path, query, {}, "")
    match = table.match((addressed(asked, tokens=True) if s3 else asked).raw_path)
    return "" if match is None else match.route.name
