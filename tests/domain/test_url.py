"""Addresses are read once, and what is not plain is none."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from urllib3.util import parse_url

from mirror_sync.domain.url import Url

PLAIN = (
    "http://hub.example",
    "https://HUB.example:8443/a/b?c=d#e",
    "http://hub.example./x",
    "http://[::1]:8080/a",
    "http://127.0.0.1/a/../b/./c",
    "https://hub.example/a%2Fb?x=%5C&y=/../",
)


@pytest.mark.parametrize("text", PLAIN)
def test_every_reader_finds_the_same_server_in_what_we_write(text: str) -> None:
    place = Url.parse(text)
    written = str(place)
    assert Url.parse(written) == place
    by_library, by_pool = urlsplit(written), parse_url(written)
    assert by_library.hostname == place.host == (by_pool.host or "").strip("[]")
    assert (by_library.port or place.port, by_pool.port or place.port) == (place.port, place.port)
    assert by_pool.request_uri == place.target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub.example/a",
        "ftp://hub.example/a",
        "http:///a",
        "http://somebody@hub.example/a",
        "http://hub.example/a b",
        "http://hub.example/a\\b",
        "http://hub.example/\ta",
        "http://hüb.example/a",
        "http://hub.example/ä",
        "http://hub.example:0/",
        "http://hub.example:65536/",
        "http://hub..example/",
        "http://1.2.3/",
    ],
)
def test_what_is_not_plain_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not a plain http or https address"):
        Url.parse(text)


@pytest.mark.parametrize(
    ("reference", "leads_to"),
    [
        ("/x?y=1", "http://hub.example/x?y=1"),
        ("x", "http://hub.example/a/x"),
        ("../x", "http://hub.example/x"),
        ("?cursor=2", "http://hub.example/a/b?cursor=2"),
        ("//other.example/x", "http://other.example/x"),
        ("https://other.example/x", "https://other.example/x"),
        ("/x#y", "http://hub.example/x"),
    ],
)
def test_a_reference_leads_where_rfc_3986_says(reference: str, leads_to: str) -> None:
    assert str(Url.parse("http://hub.example/a/b?c=d").join(reference)) == leads_to
