"""What the daemon says to a front about a repo that is not there, and who can be asked for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_sync.front.hub.front_request import FrontRequest

# What of its headers goes to a reader: where to go, and what clients read off a redirect itself. Nothing else does.
PASSED = ("Location", "Retry-After", "ETag", "X-Repo-Commit", "X-Linked-Size", "X-Linked-Etag", "X-Mirror-Leaves")


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """What the daemon says: a status, a sentence for people, headers.

    `outcome` is a verdict in a word, of a wish; `code` the upstream's X-Error-Code.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    outcome: str = ""
    code: str = ""

    def encode(self) -> dict[str, Any]:
        """As a front reads it."""
        return {
            "status": self.status,
            "message": self.message,
            "headers": dict(self.headers),
            "outcome": self.outcome,
            "code": self.code,
        }

    @classmethod
    def decode(cls, body: bytes) -> DeskAnswer:
        """ValueError for what is none."""
        found = json.loads(body)
        try:
            said = {name: found["headers"][name] for name in PASSED if name in found["headers"]}
            return cls(int(found["status"]), str(found["message"]), said, str(found["outcome"]), str(found["code"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no answer of a daemon: {error!r}") from error


Asks = Callable[[str, str, FrontRequest], DeskAnswer | None]
"""Asks for `file`, `info`, `page`, `other` or `form` of a repo, as it was written. None where nobody answers; raises
nothing.
"""
