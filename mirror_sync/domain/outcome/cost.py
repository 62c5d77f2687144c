"""What a run costs an upstream: calls, and the time that its rate limit makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from mirror_sync.domain.content.upstream import BudgetState

WINDOW = 300.0  # seconds; https://huggingface.co/docs/hub/rate-limits
_PAGE = 1000  # entries of a listing; the Hub's page
SCANS = 100  # files whose scans are asked for at once


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to an upstream by its own two kinds: `api` for metadata, `resolvers` for bytes."""

    api: int = 0
    resolvers: int = 0

    def __add__(self, other: Calls) -> Calls:
        return Calls(self.api + other.api, self.resolvers + other.resolvers)


@dataclass(frozen=True, slots=True)
class UpstreamCost:
    """What a sync would ask of one upstream; `wait` is the least time in seconds that its rate limit makes of it."""

    upstream: str
    api_calls: int
    resolver_calls: int
    wait: float


CHECK = Calls(api=1)
"""An unchanged repo."""


def publishing(files: int, fetch: Iterable[int]) -> Calls:
    """The least that a changed repo of `files` files costs beyond a check: its listing, its history, its files.

    `fetch` gives the sizes in bytes of what must be fetched: one call each, whatever the size.
    """
    return Calls(api=max(1, ceil(files / _PAGE)) + 1, resolvers=sum(1 for size in fetch if size))


def scanning(files: int) -> Calls:
    """What it costs at the least to ask the upstream for its scans of so many new files: of the repo, then of these."""
    return Calls(api=1 + ceil(files / SCANS)) if files else Calls()


def least_wait(calls: Calls, budget: Mapping[str, BudgetState]) -> float:
    """Seconds until the last of these calls may be made, when nobody else uses the budget; 0 when nothing is known."""
    each = ((calls.api, budget.get("api")), (calls.resolvers, budget.get("resolvers")))
    return max((_wait(count, state) for count, state in each if state is not None), default=0.0)


def _wait(count: int, state: BudgetState) -> float:
    beyond = count - state.remaining
    if beyond <= 0 or state.quota <= 0:
        return 0.0
    return state.resets_in + (ceil(beyond / state.quota) - 1) * WINDOW
