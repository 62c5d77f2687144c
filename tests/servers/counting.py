"""A relay that notes the head of every request that passes through it, as the bytes came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tests.servers.relay import Passing, relaying


class Counting(Passing):
    """`heads`: of each request its first line, and the names of its headers in small letters, as often as each came."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.heads: list[tuple[str, tuple[str, ...]]] = []

    @property
    def doubled(self) -> list[str]:
        """Which requests named a header twice, and which."""
        return [
            f"{first}: {name}" for first, names in self.heads for name in sorted(set(names)) if names.count(name) > 1
        ]

    def upwards(self, came: Iterator[bytes]) -> Iterator[bytes]:
        waiting, body = b"", 0
        for piece in came:
            waiting += piece
            while waiting:
                skipped = min(body, len(waiting))
                waiting, body = waiting[skipped:], body - skipped
                head, blank, rest = waiting.partition(b"\r\n\r\n")
                if body or not blank:
                    break
                waiting, body = rest, self._note(head.decode("latin-1"))
            yield piece

    def _note(self, head: str) -> int:
        """Bytes of the body. What comes in chunks would be taken for heads, and none of ours does."""
        first, *lines = head.split("\r\n")
        self.heads.append((first, tuple(line.partition(":")[0].strip().lower() for line in lines)))
        length = re.search(r"^content-length:\s*(\d+)\s*$", head, re.IGNORECASE | re.MULTILINE)
        assert "transfer-encoding" not in self.heads[-1][1], head
        return int(length[1]) if length else 0


def counting(upstream: str) -> AbstractContextManager[Counting]:
    """A counter in front of the server at this URL, for as long as the block lasts."""
    return relaying(Counting(upstream))
