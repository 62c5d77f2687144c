"""Calls of a hub's API that only read: one each, whose answer has a bound and is held to the endpoint's own word.

They are plain and made by the thousand, so that they go our own way to the network. huggingface_hub has no time-out for
them, reads answers of any size, follows redirects anywhere, sleeps and repeats paginated calls up to five times (twice
the work under our own retries), and sends the token along to whatever address a `Link: rel="next"` names; to import it
takes longer than a run over an unchanged repo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror_sync.domain.repo import Kind
from mirror_sync.errors import BadAnswer
from mirror_sync.net.body import ENCODINGS, read_whole
from mirror_sync.net.http1 import Fields
from mirror_sync.net.network import spoken_origin
from mirror_sync.sources.hub.download_addresses import Address
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal

_MIB = 1024 * 1024
_ERROR = 400
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_LISTS = frozenset(f"/api/{kind.plural}" for kind in Kind)
_TREE = re.compile(r"/api/(?:models|datasets|spaces|kernels)/.+/tree/.+")
_LINK = re.compile(r'<([^<>]*)>((?:[^<>,"]|"[^"]*")*)')  # RFC 8288, 3
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\s*(?:;|$))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most bytes of an API answer, unpacked, by its kind: a list of a thousand repos with long cards has some ten
    million, a thousand entries of a tree have half a million, and all else is about one repo.
    """

    info: int = 4 * _MIB
    tree: int = 10 * _MIB
    repos: int = 64 * _MIB

    def of(self, path: str) -> int:
        """By the path that was asked for, without what a gateway puts before it."""
        if path in _LISTS:
            return self.repos
        return self.tree if _TREE.fullmatch(path) else self.info


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """`url` is where it came from in the end; the status is one of success, or of none that we know."""

    url: str
    status: int
    headers: Fields
    body: bytes

    @property
    def following(self) -> str | None:
        """The address of a list's next page, as it is written in the Link header; None for the last page."""
        links = _LINK.finditer(self.headers.get("Link", ""))
        return next((link[1] for link in links if _NEXT.search(link[2])), None)


class ApiCalls:
    """Makes calls to one endpoint. None is repeated here."""

    def __init__(self, endpoint: Endpoint, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._endpoint = endpoint

    def get(self, asked: RequestContext, url: str) -> ApiAnswer:
        """One GET and its redirects, within the endpoint. Unreachable, BadAnswer; the error that a refusal is."""
        found = self.call(asked, url, {})
        if found.status >= _ERROR:
            raise refusal(found.status, found.headers, asked)
        return found

    def post(self, asked: RequestContext, url: str, form: str) -> ApiAnswer:
        """The same with a form, `application/x-www-form-urlencoded`: a question too long for an address."""
        found = self.call(asked, url, _FORM, form.encode())
        if found.status >= _ERROR:
            raise refusal(found.status, found.headers, asked)
        return found

    def call(self, asked: RequestContext, url: str, headers: dict[str, str], post: bytes | None = None) -> ApiAnswer:
        """The same for any answer; of a refusal the headers say it all. The token is the endpoint's to add."""
        self._check_origin(url)
        headers = {**headers, "accept-encoding": ENCODINGS}
        address, answer = self._endpoint.get(asked, Address(url), headers, stay=True, post=post)
        if answer.status >= _ERROR:
            answer.finish()
            return ApiAnswer(address.url, answer.status, answer.headers, b"")
        body = read_whole(answer, self.bounds.of(self._endpoint.path_of(address.url)))
        return ApiAnswer(address.url, answer.status, answer.headers, body)

    def _check_origin(self, url: str) -> None:
        try:
            same = self._endpoint.is_home(url)
        except ValueError:
            same = False
        if not same:
            raise BadAnswer(f"{self._endpoint.url} continues its answer at {spoken_origin(url)}: refused")
