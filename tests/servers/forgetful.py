"""A relay before an S3 server that makes of it one without conditional writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from tests.servers.relay import Passing, relaying

_NAMES = {b"\r\nIf-None-Match:": b"\r\nIn-None-Watch:", b"\r\nIf-Match:": b"\r\nIn-Watch:"}


class Forgetful(Passing):
    """Their headers get names that nobody looks for."""

    def upwards(self, came: Iterator[bytes]) -> Iterator[bytes]:
        for piece in came:
            for name, other in _NAMES.items():
                piece = piece.replace(name, other)  # noqa: PLW2901  a head comes in one piece
            yield piece


def forgetful(upstream: str) -> AbstractContextManager[Forgetful]:
    """Such a relay, for as long as the block lasts."""
    return relaying(Forgetful(upstream))
