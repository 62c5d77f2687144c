"""Public or private, however an address is written."""

from __future__ import annotations

import pytest

from mirror_sync.net.network import is_public, names_private


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_the_open_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "", "no address"),
    ],
)
def test_what_is_not_on_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "x.local", "db.internal", "127.1", "0x7f000001", "2130706433", "::1", "10.0.0.1"],
)
def test_a_name_that_is_private_by_itself(host: str) -> None:
    assert names_private(host)


@pytest.mark.parametrize("host", ["huggingface.co", "1.1.1.1", "2606:4700::1111", "localhost.example.org"])
def test_a_name_that_may_lead_anywhere(host: str) -> None:
    assert not names_private(host)
