"""What is asked of a front, and the addresses of ours that an answer leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from mirror_sync.domain.access.access_tokens import ANYBODY, Reader
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.bodies import TRUE

Fields = Mapping[str, str]
"""What stood in the fields of a route, still percent-encoded."""


@dataclass(frozen=True, slots=True)
class FrontRequest:
    """A request: the path as it came, header names in lower case.

    `origin` is the public `scheme://host` with the `prefix` below which clients find this front, each "" where nothing
    is known. `told`: they are what the client said, and not for others to see. `client` is the address of who asks,
    `reader` who that is.
    """

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    origin: str
    body: bytes = b""
    told: bool = True
    prefix: str = ""
    client: str = ""
    reader: Reader = ANYBODY

    def redirected(self, target: str, headers: dict[str, str]) -> Answer:
        """A 307 to one of our own addresses: an absolute path, the only form that clients of all ages follow."""
        private = {"Cache-Control": answers.LINKED} if self.prefix else {}
        said = {"Vary": answers.PREFIX, **private} if self.told else {}
        return Answer(307, {"Location": self.prefix + target, **headers, **said})

    def argument(self, name: str) -> str:
        """The last value of an argument of the query; empty where there is none."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [""])[-1]

    def is_set(self, name: str) -> bool:
        """Whether an argument of the query says yes."""
        return self.argument(name).lower() in TRUE

    def link(self, target: str) -> dict[str, str]:
        """The headers, with `_` for `-`, of an answer that goes on at `target`, a path and a query of ours."""
        link = {"Link": f'<{self.origin}{target}>; rel="next"'}
        return link | ({"Cache_Control": answers.LINKED, "Vary": answers.SAID} if self.told else {})


def decoded(text: str) -> str:
    """Without percents. Refusal 400 for what is no UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(400, answers.BAD_PATH) from None
