"""Which pages of other origins may read what a front answers, in a browser. Source: fetch.spec.whatwg.org, 3.2 (CORS
protocol).
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror_sync.front.hub.answers import NEVER

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
# Names of headers as clients know them; a browser shows a page no others.
SHOWN = {
    "Access-Control-Expose-Headers": "ETag, Content-Length, Content-Range, Accept-Ranges, Link, X-Repo-Commit, "
    "X-Linked-Size, X-Linked-ETag, X-Error-Code, X-Error-Message, Docker-Content-Digest",
}
# What a browser is told that asks before it sends anything unusual.
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Range, If-None-Match, If-Range",
    "Access-Control-Max-Age": "86400",  # seconds
    "Cache-Control": NEVER,
}
NAMES = (ALLOW_ORIGIN, *SHOWN, *PREFLIGHT)


@dataclass(frozen=True, slots=True)
class Cors:
    """Whose pages may read: those of `origins`, as a browser writes them; `*` alone for any, none for no page.

    Any may by default: no answer looks at a cookie or a token, so that none depends on who asks.
    """

    origins: tuple[str, ...] = ("*",)

    @property
    def any(self) -> bool:
        """Whether pages of all origins may read."""
        return self.origins == ("*",)

    @property
    def named(self) -> tuple[str, ...]:
        """The origins among which an answer chooses, and so varies by them."""
        return () if self.any else self.origins

    def headers(self, origin: str) -> dict[str, str]:
        """Of an answer to a page of `origin`, which is the header of that name or ""."""
        if not self.origins:
            return {}
        if self.any:
            return {ALLOW_ORIGIN: "*", **SHOWN}
        return ({ALLOW_ORIGIN: origin} if origin.lower() in self.origins else {}) | SHOWN


ANY = Cors()
