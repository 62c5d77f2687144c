"""What all processes of a `serve` have answered, counted in memory that they share, and given to who watches.

Each process has a row of its own and writes no other, so that nobody waits for a lock. A process that takes another's
place goes on with its row: what was counted stays.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mirror_sync.domain.outcome.front_counts import CELLS, FrontCounts, FrontFigures, total
from mirror_sync.front.protocols.access_log import SentAnswer

_ROW = CELLS + 1  # the last cell: requests that are being answered
_NUMBER = 8  # bytes
Looks = tuple[int, int]
"""How often a cache had what was looked for, and how often not, since it was made."""


class FrontBoard:
    """Rows for so many processes. Make it before any is forked."""

    def __init__(self, processes: int = 1, limit: float | None = None) -> None:
        self._limit = limit
        cells = memoryview(mmap.mmap(-1, processes * _ROW * _NUMBER)).cast("d")
        self._rows = [cells[at * _ROW : (at + 1) * _ROW] for at in range(processes)]
        self.take(0)

    def take(self, row: int) -> None:
        """From now on this process writes that row; whoever had it answers nobody any more."""
        self._own = self._rows[row]
        self._own[CELLS] = 0.0
        self.counts = FrontCounts(cast("list[float]", self._own[:CELLS]))

    def begin(self) -> None:
        """A request is being answered."""
        self._own[CELLS] += 1

    def end(self) -> None:
        """It is no more."""
        self._own[CELLS] -= 1

    def figures(self) -> FrontFigures:
        """Of all processes at this moment."""
        counts = total(FrontCounts(cast("list[float]", row[:CELLS])) for row in self._rows)
        return FrontFigures(counts, sum(row[CELLS] for row in self._rows), self._limit)


@dataclass(slots=True)
class Counted:
    """An ASGI app that counts what another one answers. `looks` is how its cache of documents did until now."""

    app: ASGIApp
    board: FrontBoard
    looks: Callable[[], Looks]
    _known: Looks = (0, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer, board = SentAnswer(send), self.board
        board.begin()
        try:
            await self.app(scope, receive, answer.send)
        finally:
            board.end()
            board.counts.add(answer.status, answer.bytes, answer.first)
            self._count_looks()

    def _count_looks(self) -> None:
        hits, misses = self.looks()
        self.board.counts.add_cached("documents", "hit", hits - self._known[0])
        self.board.counts.add_cached("documents", "miss", misses - self._known[1])
        self._known = hits, misses


def metrics_app(render: Callable[[str], tuple[bytes, str]]) -> Starlette:
    """GET /metrics, and nothing else: `render` takes an Accept header and gives a body and its type."""

    def metrics(request: Request) -> Response:
        body, media_type = render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})

    return Starlette(routes=[Route("/metrics", metrics)])
