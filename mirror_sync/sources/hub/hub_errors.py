"""From the Hub's answers to our errors: by X-Error-Code first, by X-Error-Message, by status last.

Sources: huggingface_hub.utils.hf_raise_for_status, https://huggingface.co/docs/hub/rate-limits. The same table serves
the API and the bytes, on https and on plain http.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from mirror_sync.domain.repo import Repo
from mirror_sync.errors import (
    BadAnswer,
    Disabled,
    FileNotFound,
    Gated,
    NoSuchCall,
    NotFoundOrPrivate,
    RateLimited,
    RevisionNotFound,
    TokenRejected,
    Unreachable,
    UpstreamError,
)

_BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105  what the Hub says about one
_DISABLED = "Access to this resource is disabled."
_SHOWN = 200  # characters of a server's own words that a message repeats
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _LEGAL = 401, 403, 404, 429, 451
_NOT_DONE = 501
_NO_CALL = {_NOT_FOUND, 405, _NOT_DONE}
_WINDOW = re.compile(r"\br\s*=\s*(\d{1,9})\s*;\s*t\s*=\s*(\d{1,9})(?!\d)")
_SECONDS = re.compile(r"[0-9]{1,9}")  # more are no wait that anybody means
_LATER = {408, 425, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request was about: the facts of the sentence that explains its refusal."""

    endpoint: str
    token: str | None = field(default=None, repr=False)
    repo: Repo | None = None
    revision: str | None = None
    path: str | None = None
    side: str = ""  # what is asked for beside the repo's files, which some mirrors of the Hub do not know

    @property
    def page(self) -> str:
        """Where a person looks: the repo's page, or the endpoint."""
        if self.repo is None:
            return self.endpoint
        return f"{self.endpoint}/{self.repo.kind.place}{self.repo.id}"

    def spoken(self, words: str) -> str:
        """A server's words on one line, cut, without the token should the server have repeated it."""
        safe = words.replace(self.token, "***") if self.token else words
        line = " ".join(safe.split())
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def refusal(
    status: int, headers: Mapping[str, str], asked: RequestContext, *, now: Callable[[], float] = time.time
) -> UpstreamError:
    """The error that an answer of 400 and above stands for; `headers` are looked up without regard to case."""
    if status == _TOO_MANY:
        wait = retry_after(headers, now())
        later = "" if wait is None else f" for {wait:.0f} s"
        return RateLimited(f"{asked.endpoint} asks us to wait{later}: the rate limit is spent", wait)
    if asked.side and status in _NO_CALL and headers.get("X-Error-Code") is None:
        return NoSuchCall(f"{asked.endpoint} tells no {asked.side} (it answered {status} where {asked.page} is there)")
    if status == _NOT_DONE and asked.repo is None:
        return _missing(asked)  # a server that has no lists has nothing else of ours out of order
    if status in _LATER or status >= 500:  # noqa: PLR2004  the class of server errors
        return Unreachable(f"{asked.endpoint} answered {status}: it is out of order, try later")
    found = _by_code(status, headers, asked) or _by_message(headers, asked)
    return found or _by_status(status, headers, asked)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait: the longer of Retry-After (seconds or date) and a spent RateLimit window; None: not said.

    `now` in seconds since the epoch.
    """
    waits = [wait for wait in (_stated_wait(headers.get("Retry-After", ""), now), _window(headers)) if wait is not None]
    return max(waits, default=None)


def _by_code(status: int, headers: Mapping[str, str], asked: RequestContext) -> UpstreamError | None:
    match headers.get("X-Error-Code"):
        case code if code == "RepoNotFound" or headers.get("X-Mirror-State"):
            return _missing(asked)  # what a mirror of our kind refuses another endpoint may have
        case "GatedRepo" if status == _FORBIDDEN:
            return Gated(f"gated: our token has no access yet; ask for it at {asked.page}")
        case "GatedRepo":
            return Gated(f"gated: accept the terms at {asked.page} and set a token that has access")
        case "RevisionNotFound":
            return RevisionNotFound(f"{asked.page} has no branch, tag or commit {asked.spoken(asked.revision or '')!r}")
        case "EntryNotFound":
            return FileNotFound(f"{asked.page} has no file {asked.spoken(asked.path or '')!r} at {asked.revision}")
    return None


def _by_message(headers: Mapping[str, str], asked: RequestContext) -> UpstreamError | None:
    match headers.get("X-Error-Message"):
        case message if message == _BAD_TOKEN:
            return _rejected(asked)
        case message if message == _DISABLED:
            return Disabled(f"disabled: {asked.endpoint} has switched {asked.page} off")
    return None


def _by_status(status: int, headers: Mapping[str, str], asked: RequestContext) -> UpstreamError:
    if status == _UNAUTHORIZED:
        return _rejected(asked) if asked.token else _missing(asked)
    if status == _NOT_FOUND:
        return FileNotFound(f"{asked.page} has no file {asked.path!r}") if asked.path else _missing(asked)
    if status == _LEGAL:
        return Disabled(f"disabled: {asked.page} is withheld for legal reasons")
    said = asked.spoken(headers.get("X-Error-Message", "")) or "no reason given"
    if status == _FORBIDDEN:
        return UpstreamError(f"{asked.page} is forbidden to us: {said}; check what the token may read")
    return BadAnswer(f"{asked.page}: {asked.endpoint} answered {status}: {said}")


def _missing(asked: RequestContext) -> NotFoundOrPrivate:
    if asked.repo is None:
        return NotFoundOrPrivate(f"{asked.endpoint} gives us no list of an owner's repos; name them one by one")
    hint = "and that the token may see it" if asked.token else "or set a token if it is private"
    return NotFoundOrPrivate(f"not found or private: {asked.page}; check the name {hint}")


def _rejected(asked: RequestContext) -> TokenRejected:
    return TokenRejected(f"token rejected: {asked.endpoint} does not know our token; set a valid one")


def _stated_wait(text: str, now: float) -> float | None:
    """RFC 9110, 10.2.3: delay-seconds or an HTTP-date."""
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # the parser takes figures of any length
        return None


def _window(headers: Mapping[str, str]) -> float | None:
    """RateLimit: "api";r=0;t=55, draft-ietf-httpapi-ratelimit-headers-09."""
    found = _WINDOW.search(headers.get("RateLimit", ""))
    if found is None or int(found[1]) > 0:
        return None  # a 429 with budget left is a limit of another kind
    return int(found[2]) + 1.0  # the server rounds down


def bad_answer(asked: RequestContext, why: object) -> BadAnswer:
    """An answer that is not what the Hub sends."""
    return BadAnswer(f"{asked.page}: not an answer as the Hub gives it: {asked.spoken(str(why))}")
