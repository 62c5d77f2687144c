"""Times of publication that outlive the root they were of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.rewritten import Rewritten, decode_rewritten, encode_rewritten, time_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import DocumentError

TIMES = st.floats(0, 2**33)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: Sha256(raw.hex()))


@given(st.dictionaries(DIGESTS, st.builds(Rewritten, TIMES, TIMES), max_size=5))
def test_what_is_written_is_read(known: dict[Sha256, Rewritten]) -> None:
    assert decode_rewritten(encode_rewritten(known)) == known


def test_a_root_that_was_put_again_since_has_been_published_again() -> None:
    rewritten = Rewritten(published=100.0, written=5000.75)
    assert time_of(5000.75, rewritten) == 100.0
    assert time_of(5000.0, rewritten) == 100.0, "a server may leave the fractions out"
    assert time_of(6000.0, rewritten) == 6000.0
    assert time_of(6000.0, None) == 6000.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"\xff",
        b'{"a": {}}',
        b'{"%b": {"published": 1}}' % (b"0" * 64),
        b'{"%b": {"published": true, "written": 1}}' % (b"0" * 64),
    ],
)
def test_what_is_none_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(DocumentError, match="not a list of rewritten roots"):
        decode_rewritten(body)
