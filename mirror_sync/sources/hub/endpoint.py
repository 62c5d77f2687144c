"""One address of a hub, as it may be used: whose token goes there, how many calls it allows, where it may send us."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from mirror_sync.domain.outcome.events import Called, Observer
from mirror_sync.domain.url import Url
from mirror_sync.net.network import spoken_origin
from mirror_sync.net.response import Response
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.budget import Bucket, Budget
from mirror_sync.sources.hub.download_addresses import Address
from mirror_sync.sources.hub.hub_errors import RequestContext, bad_answer

HOPS = 5  # redirects of one request
_TOO_MANY = 429
_REDIRECTS = {301, 302, 303, 307, 308}
_CACHE = "/api/resolve-cache/"  # below the API by its name, a file by the Hub's counting
_MODELSCOPE_FILE = re.compile(r"/api/v1/(?:models|datasets)/[^/]+/[^/]+/repo")

Look = Callable[[Response], None]
"""Is shown every answer of a chain of redirects, and may raise."""


class Endpoint:
    """Makes requests. The token goes nowhere else, and only the endpoint's own answers count in the budget.

    A redirect of a server on the open internet must lead to the open internet (`allow_private`: or anywhere); one
    inside our own network, such as a mirror of ours, may send us on inside it. Trust only falls along a chain of
    redirects: after a server of the open internet nothing leads inside again, and a chain that has left the endpoint
    brings no token back to it.
    """

    cookie: ClassVar[str] = ""
    """The name of a cookie that brings the token, too; empty for none."""

    def __init__(
        self,
        url: str,
        token: str | None,
        transport: Transport,
        budget: Budget,
        *,
        allow_private: bool = False,
        tell: Observer = lambda _: None,
    ) -> None:
        self.url, self.budget, self._tell = url.rstrip("/"), budget, tell
        self._place = Url.parse(self.url)
        self._origin = self._place.origin
        self._transport, self._allow_private = transport, allow_private
        self._credentials = {"Authorization": f"Bearer {token}"} if token else {}
        if token and self.cookie:
            self._credentials["Cookie"] = f"{self.cookie}={token}"

    def is_home(self, url: str) -> bool:
        """Whether an address is the endpoint's own origin."""
        return Url.parse(url).origin == self._origin

    def path_of(self, url: str) -> str:
        """The path of an address of ours, without what a gateway puts before the hub's."""
        return Url.parse(url).path.removeprefix(self._place.path.rstrip("/"))

    def get(
        self,
        asked: RequestContext,
        address: Address,
        headers: dict[str, str],
        look: Look = lambda _: None,
        *,
        stay: bool = False,
        post: bytes | None = None,
    ) -> tuple[Address, Response]:
        """The last answer of a chain of redirects, its body unread, and its address.

        `post`: a body, in place of a GET; what it says is for this address alone, so that no redirect is followed.
        `stay`: no redirect may leave the endpoint's origin, as its word is all that speaks for such an answer.
        Unreachable; BadAnswer for a chain that is endless or leads where it must not; what `look` and a budget raise.
        """
        url, trusted, home = address.url, address.trusted, self.is_home(address.url)
        for _ in range(HOPS + 1):
            answer = self._open(Address(url, trusted or home), headers, with_token=home, post=post)
            try:
                look(answer)
                if answer.status not in _REDIRECTS:
                    return Address(url, trusted), answer
                target = self._next(asked, url, answer, stay=stay, follows=post is None)
                home = home and self.is_home(target)
                trusted = self._allow_private or (trusted and self._transport.came_from_inside(answer))
            except BaseException:
                answer.finish()
                raise
            answer.finish()
            url = target
        raise bad_answer(asked, f"more than {HOPS} redirects")

    def _open(
        self, address: Address, headers: dict[str, str], *, with_token: bool, post: bytes | None = None
    ) -> Response:
        if not self.is_home(address.url):
            return self._call("elsewhere", address, headers, post)
        bucket = self._bucket(address.url)
        self.budget.take(bucket)
        own = self._credentials if with_token else {}
        answer = self._call(bucket, address, {**headers, **own}, post)
        self.budget.learn(answer.headers)
        return answer

    def _call(self, kind: str, address: Address, headers: dict[str, str], post: bytes | None) -> Response:
        result, narrow = "none", not address.trusted
        try:
            answer = self._transport.open(address.url, headers, public_only=narrow, post=post)
            result = "429" if answer.status == _TOO_MANY else f"{answer.status // 100}xx"
            return answer
        finally:
            self._tell(Called(self.url, kind, result))

    def _bucket(self, url: str) -> Bucket:
        path = self.path_of(url)
        if path.startswith(_CACHE) or _MODELSCOPE_FILE.fullmatch(path.partition("?")[0]):
            return "resolvers"
        return "api" if path.startswith(("/api/", "/openapi/")) else "resolvers"

    def _next(self, asked: RequestContext, url: str, answer: Response, *, stay: bool, follows: bool) -> str:
        if not follows:
            raise bad_answer(asked, "a redirect of what was meant for it alone: refused")
        try:
            place = Url.parse(url).join(str(answer.headers.get("Location", "")))
        except ValueError as error:
            raise bad_answer(asked, "a redirect to something that is no plain http or https address") from error
        target = str(place)
        if stay and not self.is_home(target):
            raise bad_answer(asked, f"a redirect to {spoken_origin(target)}: refused")
        if place.scheme == "http" and url.startswith("https:"):
            raise bad_answer(asked, f"a redirect from https to unprotected {spoken_origin(target)}")
        return target
