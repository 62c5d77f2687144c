"""What a table of protocols says of an address does not depend on which of them knows another one."""

from __future__ import annotations

import pytest

from mirror_sync.front.hub.protocol import GET, NotOffered, Protocol, Route, RouteTable
from mirror_sync.front.protocols.mounted import PROTOCOLS


def _protocol(name: str, *routes: Route, lacks: tuple[NotOffered, ...] = ()) -> Protocol:
    return Protocol(name, routes, lambda _: {}, (f"{name}.js",), lacks=lacks)


def test_the_first_protocol_that_knows_an_address_has_the_word_and_a_last_route_only_where_nobody_does() -> None:
    anybody = _protocol("anybody", Route("any", GET, "/{id}", last=True))
    first, second = (_protocol(name, Route(name, GET, "/known/{id}")) for name in ("first", "second"))
    table = RouteTable((anybody, first, second))
    names = [found.route.name for path in ("/known/a", "/known", "//other") if (found := table.match(path))]
    assert names == ["first", "any", "any"]
    assert table.match("/known/a/b/c") is None


def test_what_no_protocol_has_is_said_in_the_words_of_the_first_that_lacks_it() -> None:
    lacks = [NotOffered(f"^/{path}.*$", path) for path in ("git", "g")]
    table = RouteTable([_protocol(lack.message, lacks=(lack,)) for lack in lacks])
    assert [lack and lack.message for lack in map(table.lack, ("/git/x", "/gone", "/x"))] == ["git", "g", None]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.name)
def test_what_stands_before_the_id_of_a_repo_leads_to_the_same_address(protocol: Protocol) -> None:
    table = RouteTable(PROTOCOLS)
    for path in ("/api/models/acme/one/refs", "/datasets/acme/one", "/-/trust/datasets/acme/one/main/model.sig"):
        found = table.match(path)
        assert found is not None
        if found.route in protocol.routes:
            assert path.startswith(found.route.before.format_map(found.fields) + "acme/one")
