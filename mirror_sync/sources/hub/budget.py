"""How many calls are left before an upstream's rate limit, so that we wait before it says 429, not after.

The Hub counts calls in fixed windows, those of the API and those for files apart, and says in each answer what is left:

    RateLimit: "resolvers";r=2999;t=172
    RateLimit-Policy: "fixed window";"resolvers";q=3000;w=300

Sources: https://huggingface.co/docs/hub/rate-limits, draft-ietf-httpapi-ratelimit-headers-09.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.outcome import events
from mirror_sync.domain.outcome.events import Observer

Bucket = Literal["api", "resolvers"]
BUCKETS: tuple[Bucket, ...] = ("api", "resolvers")
CAUSE = "rate-limit-budget"
_LEFT = re.compile(r'"(api|resolvers)"\s*;\s*r=(\d{1,9})\s*;\s*t=(\d{1,9})(?!\d)')
_POLICY = re.compile(r'"(api|resolvers)"\s*;\s*q=(\d{1,9})\s*;\s*w=(\d{1,9})(?!\d)')
_LONGEST = 3600  # seconds: a window that lasts longer is not believed, else one header could stop us for ever
_WINDOW = 300  # seconds: the Hub's, where it does not say


@dataclass(slots=True)
class _Window:
    """`stated`: the quota is the upstream's word; `guessed`: no answer has spoken of this window yet."""

    remaining: int
    quota: int
    length: float
    ends: float
    stated: bool = False
    guessed: bool = False

    @property
    def untouched(self) -> bool:
        """Whether a call is due that asks how things are: else a quota of 0 would stop us for ever."""
        return self.guessed and self.remaining == self.quota

    def follower(self, now: float) -> _Window | None:
        """The window after this one, as far as it can be known."""
        return _Window(self.quota, self.quota, self.length, now + self.length, True, True) if self.stated else None

    def correct(self, remaining: int, ends: float) -> None:
        """Within a window the lower figure holds: answers overtake each other, and calls are on their way."""
        shift = ends - self.ends
        if not self.guessed and shift > self.length / 2:  # the next window: the server's clock is the one that counts
            self.remaining, self.ends = remaining, ends
        elif self.guessed or shift >= -self.length / 2:  # else a late answer, out of the window before
            self.remaining = min(self.remaining, remaining)
            self.ends = ends if self.guessed else min(self.ends, ends)
        self.guessed = False


@dataclass(frozen=True, slots=True)
class BudgetWait:
    """How a budget waits: `sleep` takes seconds and may raise Interrupted, `random` gives numbers in [0, 1)."""

    sleep: Callable[[float], None]
    random: Callable[[], float]
    tell: Observer


class Budget:
    """The calls that one token has at one endpoint. Safe for many threads.

    `reserve` is the share of a window's quota that is left to others who use the token or the address. Without a
    `waiting` nothing waits, and the budget only knows. While nothing is known, nothing waits either: neither before the
    first answer nor where the upstream says nothing. `clock` in seconds, from any start.
    """

    def __init__(
        self,
        name: str = "",
        *,
        reserve: float = 0.1,
        waiting: BudgetWait | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._reserve, self._waiting, self._clock = name, reserve, waiting, clock
        self._windows: dict[str, _Window] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, bucket: Bucket) -> None:
        """Count one call; wait for the next window when only the reserve is left. What `sleep` raises."""
        while (wait := self._take(bucket)) and self._waiting is not None:
            wait += 1 + self._waiting.random()  # the server rounds, and not all of us should come back at once
            self._tell(bucket, wait)
            self._waiting.sleep(wait)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer says; what cannot be read says nothing."""
        said = headers.get("RateLimit")
        if said is None:
            return
        policies = {name: (int(q), float(w)) for name, q, w in _POLICY.findall(headers.get("RateLimit-Policy", ""))}
        for name, remaining, left in _LEFT.findall(said):
            if int(left) <= _LONGEST:
                with self._lock:
                    self._learn(name, int(remaining), int(left), policies.get(name))

    def keep(self, reserve: float) -> None:
        """Hold back at least this share of every quota."""
        with self._lock:
            self._reserve = max(self._reserve, reserve)

    def state(self) -> Mapping[str, BudgetState]:
        """By bucket, what is known; nothing about those that no answer has spoken of."""
        now = self._clock()
        with self._lock:
            known = {name: window for name in BUCKETS if (window := self._window(name, now)) is not None}
            return {
                name: BudgetState(max(0, window.remaining), window.quota, window.ends - now)
                for name, window in known.items()
            }

    def _take(self, bucket: Bucket) -> float:
        """0 when the call may be made, and is counted; else the seconds until the window's end."""
        now = self._clock()
        with self._lock:
            window = self._window(bucket, now)
            if window is None:
                return 0
            spent = window.remaining <= self._reserve * window.quota and not window.untouched
            if self._waiting is not None and spent:
                return window.ends - now
            window.remaining -= 1
            return 0

    def _learn(self, name: str, remaining: int, left: float, policy: tuple[int, float] | None) -> None:
        now = self._clock()
        window = self._window(name, now)
        if window is None:
            window = self._windows[name] = _Window(remaining, remaining, _WINDOW, now + left)
        else:
            window.correct(remaining, now + left)
        if policy is not None:
            window.quota, window.length, window.stated = policy[0], max(1.0, min(policy[1], _LONGEST)), True
        window.quota = max(window.quota, remaining)

    def _window(self, name: str, now: float) -> _Window | None:
        """The window that is now; the lock is held."""
        window = self._windows.get(name)
        if window is not None and now >= window.ends:
            window = window.follower(now)
            if window is None:
                del self._windows[name]
            else:
                self._windows[name] = window
        return window

    def _tell(self, bucket: Bucket, wait: float) -> None:
        """Once a window, however many threads wait for its end."""
        assert self._waiting is not None  # noqa: S101  for the type checker: only who waits tells
        now = self._clock()
        with self._lock:
            if now < self._told.get(bucket, now):
                return
            self._told[bucket] = now + wait
        message = f"{self._name}: the calls of this window are spent up to the reserve"
        self._waiting.tell(events.Retrying(f"{bucket} calls to {self._name}", CAUSE, message, 1, wait))


class Budgets:
    """One budget for each endpoint and token, however many upstreams of jobs.yaml share them."""

    def __init__(self, waiting: BudgetWait | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting, self._clock = waiting, clock
        self._made: dict[tuple[str, str | None], Budget] = {}
        self._lock = threading.Lock()

    def of(self, endpoint: str, token: str | None, reserve: float = 0.1) -> Budget:
        """The budget of a token, or of our address, at an endpoint; the largest `reserve` asked for holds."""
        key = (endpoint.rstrip("/"), token or None)
        with self._lock:
            if key not in self._made:
                self._made[key] = Budget(key[0], reserve=reserve, waiting=self._waiting, clock=self._clock)
            self._made[key].keep(reserve)
            return self._made[key]
