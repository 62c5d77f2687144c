"""How a front asks the daemon what to say to a reader who asked for what is not mirrored.

GET /miss of the daemon's own HTTP, with the secret in `X-Front-Secret` and the question in the query; the answer is
JSON: {"status": 404 | 307 | 503 | 429 | 200, "message": ..., "headers": {...}, "outcome": ..., "code": ...}.
nginx's script asks the same (misses.js). Who waits for it is a reader, so that it is waited for a moment only, and not
at all for a while after it did not come.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from mirror_sync.domain.access.access_tokens import Badge
from mirror_sync.front.hub.desk_answer import DeskAnswer
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.logger import Logger

SECRET = "X-Front-Secret"  # noqa: S105  the name of a header
PATIENCE = 5.0  # seconds: the daemon may wait for an upstream twice
SILENCE = 10.0  # seconds in which nobody asks a daemon that did not answer
MOST = 16 << 10  # bytes of an answer
LONGEST = 4096  # bytes of an address about which the daemon is asked
# What says nothing of the next question: a reader must not be able to silence the daemon for all others.
_OF_THIS_ONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE)
_log = Logger()


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """How a front treats what is not there: `mode` as front.miss has it, of a target; where the daemon is found."""

    mode: str
    target: str
    host: str
    port: int
    secret: str = field(repr=False)


def question(what: str, repo: str, asked: FrontRequest, target: str) -> dict[str, str]:
    """The arguments of the query."""
    held = asked.reader.badge is Badge.HELD
    return {
        "what": what,
        "target": target,
        "repo": repo,
        "method": asked.method,
        "at": asked.raw_path + (f"?{asked.query}" if asked.query else ""),
        "name": asked.reader.name if held else "",
        "role": asked.reader.role,
        "client": asked.client,
    }


class DaemonDesk:
    """Asks over HTTP. Safe for many threads."""

    def __init__(self, options: DeskOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options, self._clock = options, clock
        self._silent_until = 0.0

    def __call__(self, what: str, repo: str, asked: FrontRequest) -> DeskAnswer | None:
        """See `Asks`."""
        said = question(what, repo, asked, self._options.target)
        if len(said["at"]) > LONGEST or self._clock() < self._silent_until:
            return None
        try:
            return self._asked(said)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._silent_until = self._clock() + SILENCE
            _log.warning("daemon.silent", reason=f"{type(error).__name__}: {error}", seconds=SILENCE)
            return None

    def _asked(self, said: Mapping[str, Any]) -> DeskAnswer | None:
        options = self._options
        with closing(http.client.HTTPConnection(options.host, options.port, timeout=PATIENCE)) as line:
            line.request("GET", f"/miss?{urlencode(said)}", headers={SECRET: options.secret})
            answer = line.getresponse()
            body = answer.read(MOST)
        if answer.status in _OF_THIS_ONE:
            return None
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"the daemon answers {answer.status}")
        return DeskAnswer.decode(body)
