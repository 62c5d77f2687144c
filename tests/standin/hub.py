"""The stand-in itself: two origins over one world."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, Unpack

from . import cdn, routes
from .answer import Answer, Origin, Refusal, Request, as_json
from .control import CONTROL_PATH, control
from .heads import AIOHTTP, Bounds
from .limits import Limits
from .listener import Listener
from .log import Log, Record
from .repo import Repo
from .rules import Faults
from .settings import Changes, Kind
from .world import Behaviour, Clock, World


class Hub:
    """A Hugging Face Hub on loopback: ``with Hub() as hub: HfApi(endpoint=hub.url)``.

    Repos, tokens, faults and behaviour may be set before it listens or while it does. The CDN goes by
    another host name than the Hub, because some clients (huggingface_hub 1.x) take two ports of one host
    for the same origin.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        cdn_port: int = 0,
        cdn_host: str = "localhost",
        cdn_url: str = "",
        steerable: bool = False,
    ) -> None:
        """Set it up; with `cdn_url`, redirects lead to that CDN, which is not ours and checks no signature."""
        self.world = World()
        self.faults = Faults()
        self.log = Log()
        self.limits = Limits(self.world.clock)
        self.crashes: list[str] = []
        """Tracebacks of the stand-in's own faults; a test that trusts its answers finds none."""
        self._addresses = (("127.0.0.1", port), (cdn_host, cdn_port))
        self._cdn_url = cdn_url
        self._steerable = steerable
        self._listeners: list[Listener] = []

    def __enter__(self) -> Self:
        (hub_address, cdn_address) = self._addresses
        first = Listener("hub", hub_address, self._exchange, lambda: self.faults.refuses("hub"), self._bounds)
        self._listeners = [first]
        second = Listener("cdn", cdn_address, self._exchange, lambda: self.faults.refuses("cdn"), self._bounds)
        self._listeners.append(second)
        self.world.hub_url, self.world.cdn_url = first.url, self._cdn_url or second.url
        # Entered again, it comes back where it was.
        self._addresses = ((first.host, first.port), (second.host, second.port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()

    @property
    def url(self) -> str:
        """The Hub's origin."""
        return self.world.hub_url

    @property
    def cdn_url(self) -> str:
        """The CDN's origin."""
        return self.world.cdn_url

    @property
    def behaviour(self) -> Behaviour:
        """Page sizes, lifetimes and other ways to answer."""
        return self.world.behaviour

    @property
    def clock(self) -> Clock:
        """The time signed URLs and rate limits go by."""
        return self.world.clock

    def model(self, repo_id: str, **changes: Unpack[Changes]) -> Repo:
        """Return a model repo, made now when there is none, with these settings changed."""
        return self.world.repo("model", repo_id).set(**changes)

    def dataset(self, repo_id: str, **changes: Unpack[Changes]) -> Repo:
        """Return a dataset repo, made now when there is none, with these settings changed."""
        return self.world.repo("dataset", repo_id).set(**changes)

    def rename(self, old: str, new: str, kind: Kind = "model") -> None:
        """Give a repo a new id; the old one answers 307 from now on."""
        self.world.rename(kind, old, new)

    def remove(self, repo_id: str, kind: Kind = "model") -> None:
        """Delete a repo."""
        self.world.remove(kind, repo_id)

    def follow(self, other: Hub, *only: str) -> None:
        """Become a mirror of another: hold what that holds now (all, or the repos with these ids), and learn nothing of
        what becomes of it until told to follow again.
        """
        self.world.follow(other.world, only)

    def hold_lists(self) -> None:
        """From now on lists of repos tell what is there now, as one that is kept before the Hub does."""
        self.world.listed = self.world.snapshot()

    def release_lists(self) -> None:
        """Lists of repos tell what there is again."""
        self.world.listed = None

    def token(
        self, secret: str, user: str = "someone", *, approved: Iterable[str] = (), private: Iterable[str] = ()
    ) -> str:
        """Make ``secret`` a valid token that opens these gated and these private repos, and return it."""
        self.world.add_token(secret, user, approved, private)
        return secret

    def calls(self, method: str = "*", path: str = "*", origin: Origin | None = None) -> int:
        """Return how many logged requests fit; ``*`` in ``path`` stands for anything."""
        return len(self.log.records(f"{method} {path}", origin))

    def most_connections(self, origin: Origin) -> int:
        """Return how many connections were open at once, at most, since it listens."""
        return self._listeners[0 if origin == "hub" else 1].most

    @property
    def leaks(self) -> list[Record]:
        """Requests that brought a token to the CDN."""
        return [record for record in self.log.records(origin="cdn") if record.had_authorization]

    def _bounds(self) -> Bounds:
        return AIOHTTP if self.behaviour.aiohttp else Bounds()

    def _exchange(self, request: Request) -> tuple[Answer, Callable[[int], None]]:
        if self._steerable and request.path == CONTROL_PATH:
            return control(self, request), lambda _: None
        answer = self._answer(request)
        number = self.log.open(request, answer, self.clock.now())
        return answer, lambda count: self.log.add_sent(number, count)

    def _answer(self, request: Request) -> Answer:
        try:
            self.faults.prepare(request)
            return self.faults.apply(request, self._sound_answer(request))
        except Exception:  # a fault of the stand-in must not look like a closed connection
            self.crashes.append(traceback.format_exc())
            return as_json({"error": "The stand-in failed", "trace": self.crashes[-1]}, status=500)

    def _sound_answer(self, request: Request) -> Answer:
        try:
            if request.origin == "cdn":
                return cdn.answer(self.world, request)
            answer = self.limits.spend(request) or routes.answer(self.world, request)
        except Refusal as refusal:
            answer = refusal.answer
        return answer if request.origin == "cdn" else answer.having(self.limits.headers(request))
