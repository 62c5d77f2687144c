"""Rate limits as the Hub announces them: fixed windows, one budget per token and kind of call.

Headers after https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from .answer import Answer, Request, as_json
from .world import Clock


@dataclass(frozen=True)
class Quotas:
    """Calls allowed in each window."""

    api: int = 1_000_000
    resolvers: int = 1_000_000
    window: int = 300
    """Seconds."""


ANONYMOUS = Quotas(api=500, resolvers=3000)
"""What the Hub gives a caller without a token."""


class Limits:
    """Counts calls; `quotas` may be replaced at any time."""

    def __init__(self, clock: Clock) -> None:
        self.quotas = Quotas()
        self._clock = clock
        self._spent: dict[tuple[str, str], int] = {}
        self._window = 0
        self._lock = threading.Lock()

    def spend(self, request: Request) -> Answer | None:
        """Count one call and return a 429 when its budget was spent before."""
        with self._lock:
            self._turn()
            key = _key(request)
            spent = self._spent.get(key, 0)
            if spent < self._quota(key[0]):
                self._spent[key] = spent + 1
                return None
        message = "We had to rate limit you. Try again later."
        return as_json({"error": message}, {"X-Error-Message": message}, 429)

    def exhaust(self, kind: str = "api") -> None:
        """Spend the whole window's budget of ``api`` or ``resolvers`` for every token at once."""
        with self._lock:
            self._turn()
            self._spent[kind, "*"] = 1

    def headers(self, request: Request) -> dict[str, str]:
        """Return the two headers that every answer of the Hub carries."""
        with self._lock:
            self._turn()
            kind, who = _key(request)
            quota, window = self._quota(kind), self.quotas.window
            left = max(0, quota - self._spent.get((kind, who), 0))
        reset = math.ceil(window - self._clock.now() % window)
        policy = f'"fixed window";"{kind}";q={quota};w={window}'
        return {"RateLimit": f'"{kind}";r={left};t={reset}', "RateLimit-Policy": policy}

    def _quota(self, kind: str) -> int:
        if (kind, "*") in self._spent:
            return 0
        return self.quotas.api if kind == "api" else self.quotas.resolvers

    def _turn(self) -> None:
        window = int(self._clock.now() // self.quotas.window)
        if window != self._window:
            self._window = window
            self._spent.clear()


def _key(request: Request) -> tuple[str, str]:
    is_api = request.path.startswith("/api/") and not request.path.startswith("/api/resolve-cache/")
    return ("api" if is_api else "resolvers", request.headers.get("authorization", ""))
