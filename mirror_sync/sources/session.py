"""The HTTP client that huggingface_hub uses for our calls: time-outs, no hidden retries, no token to strangers.

huggingface_hub 2.4 has no time-out, sleeps and repeats paginated calls up to five times (twice the work under our own
retries), sends the token along to whatever address a `Link: rel="next"` names, and asks a default endpoint for a list
of agents before its first request. A source marks its calls with a slip, which never leaves this process; calls without
one, by other users of huggingface_hub in the process, keep the library's ways.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import constants, set_client_factory

from mirror_sync.errors import BadAnswer
from mirror_sync.sources.hub_errors import Asked, refusal, unreachable
from mirror_sync.sources.network import Timeouts, origin_of, spoken_origin, trusted

SLIP = "x-mirror-sync-slip"
_REPEATED_BY_LIBRARY = {408, 429, 500, 502, 503, 504}
_installed = threading.Lock()


@dataclass(frozen=True, slots=True)
class Slip:
    """Whose call it is: the endpoint that the token belongs to, and how long to wait."""

    endpoint: str
    timeouts: Timeouts

    def encode(self) -> str:
        return json.dumps([self.endpoint, self.timeouts.connect, self.timeouts.read])

    @classmethod
    def decode(cls, text: str) -> Slip:
        endpoint, connect, read = json.loads(text)
        return cls(endpoint, Timeouts(connect, read))


class Session(httpx2.Client):
    """httpx2's client, with our rules for marked calls."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises our own errors, which huggingface_hub does not know and therefore does not repeat."""
        marked = request.headers.pop(SLIP, None)
        if marked is None:
            return super().send(request, **options)
        slip = Slip.decode(marked)
        _check_origin(str(request.url), slip.endpoint)
        patience = httpx2.Timeout(slip.timeouts.read, connect=slip.timeouts.connect, pool=None)
        request.extensions = {**request.extensions, "timeout": patience.as_dict()}
        answer = self._answer(request, slip, options)
        if answer.status_code in _REPEATED_BY_LIBRARY:
            raise refusal(answer.status_code, answer.headers, Asked(slip.endpoint))
        return answer

    def _answer(self, request: httpx2.Request, slip: Slip, options: dict[str, Any]) -> httpx2.Response:
        try:
            return super().send(request, **options)
        except httpx2.TransportError as error:
            raise unreachable(slip.endpoint, error) from error
        except httpx2.HTTPError as error:  # too many redirects, an encoding that cannot be decoded
            raise BadAnswer(f"{slip.endpoint}: an answer that cannot be read: {type(error).__name__}") from error


def install_session() -> None:
    """Make huggingface_hub use our client, once a process."""
    if _installed.acquire(blocking=False):
        # The variable of that name is read at import, which may be over: with telemetry on, the first request of a
        # process calls the default endpoint, though no job names it (huggingface_hub.utils.detect_agent).
        constants.HF_HUB_DISABLE_TELEMETRY = True
        set_client_factory(_new_session)


def _new_session() -> Session:
    # The library's hook that honours HF_HUB_OFFLINE is left out: a mirror that was told to sync is not offline.
    return Session(follow_redirects=True, timeout=None, verify=trusted())


def _check_origin(url: str, endpoint: str) -> None:
    try:
        same = origin_of(url) == origin_of(endpoint)
    except ValueError:
        same = False
    if not same:
        raise BadAnswer(f"{endpoint} continues its answer at {spoken_origin(url)}: refused")
