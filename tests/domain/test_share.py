"""Whom a grey release takes: as many as it says, always the same, and each repo others."""

from __future__ import annotations

import pytest

from mirror_sync.domain.content.share import WHOLE, ReaderShare, reader_key
from mirror_sync.domain.repo import Repo

REPO = Repo.parse("acme/x")
ADDRESSES = [f"10.{number // 250}.7.{number % 250}" for number in range(4000)]
KEYS = [reader_key("", one) for one in ADDRESSES]


@pytest.mark.parametrize("percent", [1, 10, 33, 50, 90])
def test_of_four_thousand_addresses_a_share_has_as_many_as_it_says(percent: int) -> None:
    taken = sum(ReaderShare("candidate", percent * 100).takes(REPO, key) for key in KEYS)
    assert abs(taken / len(KEYS) * 100 - percent) < 2


def test_all_and_none_are_all_and_none() -> None:
    assert all(ReaderShare("candidate", WHOLE).takes(REPO, key) for key in KEYS)
    assert not any(ReaderShare("candidate", 0).takes(REPO, key) for key in KEYS)


def test_a_larger_share_has_all_readers_of_a_smaller_one_and_another_repo_has_others() -> None:
    ten, half = (
        {key for key in KEYS if ReaderShare("candidate", hundredths).takes(REPO, key)} for hundredths in (1000, 5000)
    )
    assert ten < half
    other = {key for key in KEYS if ReaderShare("candidate", 1000).takes(Repo.parse("dataset:acme/x"), key)}
    assert len(ten & other) < len(ten) / 2


def test_a_reader_is_known_by_the_name_of_a_token_else_by_an_address_however_it_is_written() -> None:
    assert reader_key("alice", "10.0.0.1") == reader_key("alice", "10.0.0.2") != reader_key("", "10.0.0.1")
    assert reader_key("", "2001:DB8:0::1") == reader_key("", "2001:db8::1")
    assert reader_key("", "::ffff:10.0.0.1") == reader_key("", "10.0.0.1")
    assert reader_key("", "unix:") == "address unix:"


@pytest.mark.parametrize(
    "name", ["share.candidate.1000", "share.stable.1", "share.candidate.10000", "share.candidate.1000.1767225600"]
)
def test_what_an_attachment_is_called_says_all(name: str) -> None:
    share = ReaderShare.of(["versions", name])
    assert share is not None
    assert share.name == name


@pytest.mark.parametrize("name", ["share.candidate.0", "share.candidate.10001", "share..5", "share.x.5.5.5", "shared"])
def test_what_says_no_share_is_none(name: str) -> None:
    assert ReaderShare.of([name]) is None
