"""A sample of blobs, round after round."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import Sample, Sha256

DIGESTS = [Sha256(hashlib.sha256(bytes([number])).hexdigest()) for number in range(200)]


@given(st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 1.0]), st.integers(0, 1000))
def test_successive_rounds_look_at_every_blob(share: float, first: int) -> None:
    rounds = [Sample(share, first + number) for number in range(round(1 / share) + 1)]
    assert all(any(sample.wants(digest) for sample in rounds) for digest in DIGESTS)


def test_a_round_looks_at_about_its_share_and_always_at_the_same() -> None:
    chosen = [digest for digest in DIGESTS if Sample(0.25, 3).wants(digest)]
    assert 25 <= len(chosen) <= 75
    assert chosen == [digest for digest in DIGESTS if Sample(0.25, 3).wants(digest)]


@given(st.integers(0, 10**9))
def test_a_whole_sample_is_everything(number: int) -> None:
    assert all(Sample(1.0, number).wants(digest) for digest in DIGESTS)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_lies_above_0_and_up_to_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Sample(share)
