"""Where jobs read from: what an upstream of jobs.yaml is, for the source that reads it, and for others who must mean
the same by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mirror_sync.domain.content.manifest import OnUnproved
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.url import Url


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: until a connection stands, until an answer begins, and between two arrivals of its bytes (`stall`).

    A stream that brings less than `min_rate` bytes a second, over `over` seconds of waiting for it, is given up; 0 for
    none. The rate is one that only a broken way has: many streams may share a slow line (dnf's `minrate` is the same).
    """

    connect: float = 10.0
    first_byte: float = 30.0
    stall: float = 60.0
    min_rate: float = 1000.0
    over: float = 60.0


class Prefer(StrEnum):
    """By which of several endpoints files come first."""

    ORDER = "order"  # as they are written
    FASTEST = "fastest"  # as it is measured


class KnownUpstream:
    """What the program asks of every upstream, whatever its kind: one that says nothing of it has no token, and no
    address that people are shown.
    """

    __slots__ = ()

    @property
    def has_token(self) -> bool:
        """Whether it may be read as somebody who sees more than everybody."""
        return False

    @property
    def shown_origin(self) -> str:
        """Scheme, host and port alone, since a path or a user may hold a secret; empty where the place is nobody's."""
        return ""

    @property
    def pushed_into(self) -> Target | None:
        """Where `push` puts models of one's own, for it to have them; None where it takes none."""
        return None


@dataclass(frozen=True, slots=True)
class HubUpstream(KnownUpstream):
    """A hub that speaks the Hugging Face API; `endpoints` are origins without a final slash, tried in order.

    `token` is for the server of the first endpoint, `tokens` are what entries say of their own, empty for none.
    `prefer`: which of them gives files; what a name stands for is asked of the first either way.
    `reserve` is the share of its rate limit that is left to others; `allow_private` lets it redirect into our network.
    `veiled`: variables gave a part of its first address, which is told to nobody.
    """

    endpoints: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    reserve: float = 0.1
    allow_private: bool = False
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    prefer: Prefer = Prefer.ORDER
    veiled: bool = field(default=False, repr=False, compare=False)  # each machine may write the same address otherwise

    @property
    def has_token(self) -> bool:
        """Of the server of its first endpoint."""
        return bool(self.token)

    @property
    def shown_origin(self) -> str:
        """Of its first endpoint."""
        return "" if self.veiled else _origin(self.endpoints[0])

    def token_for(self, endpoint: str) -> str | None:
        """What one of the endpoints is asked with: several may be several people's."""
        same = Url.parse(endpoint).origin == Url.parse(self.endpoints[0]).origin
        return self.tokens.get(endpoint, self.token if same else None) or None


@dataclass(frozen=True, slots=True)
class DirectoryUpstream(KnownUpstream):
    """A folder of `org/name/` folders, and of what was pushed; `root` is absolute."""

    root: Path

    @property
    def pushed_into(self) -> DirectoryTarget:
        """A folder of its own below the root."""
        return DirectoryTarget(pushed_into(self.root))


def pushed_into(root: Path) -> Path:
    """Where `push` puts models below the root of a directory upstream: no owner of models can be called so."""
    return root / ".mirror-sync"


@dataclass(frozen=True, slots=True)
class OwnUpstream(KnownUpstream):
    """A bucket, or a folder, that holds what was pushed and nothing else; `url` is what messages call it."""

    url: str
    target: Target

    @property
    def pushed_into(self) -> Target:
        """All of it."""
        return self.target


@dataclass(frozen=True, slots=True)
class MirrorUpstream(KnownUpstream):
    """Another mirror of this kind: its front, at `url`, or the `target` that it publishes into.

    `token` is for its front; `signers` a file of the keys by which it signs, None where what it says is believed
    without. `timeouts` and `allow_private` as of a hub, for a front. `unsigned` reads a bucket as a public one.
    """

    url: str
    target: Target | None = None
    token: str | None = field(default=None, repr=False)
    signers: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    allow_private: bool = False
    unsigned: bool = False

    @property
    def has_token(self) -> bool:
        """Of its front."""
        return bool(self.token)

    @property
    def place(self) -> str:
        """By what is remembered of it."""
        server = self.target.endpoint_url if isinstance(self.target, S3Target) else None
        return f"{server}/{self.url}" if server else self.url


@dataclass(frozen=True, slots=True)
class ModelScopeUpstream(KnownUpstream):
    """A site that speaks ModelScope's API; `url` is its address without a final slash.

    `unproved`: what to do with files of which it tells no SHA-256. `allow_private` and `veiled` as of a hub.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    unproved: OnUnproved = OnUnproved.REFUSE
    allow_private: bool = False
    veiled: bool = field(default=False, repr=False, compare=False)

    @property
    def has_token(self) -> bool:
        """Of an account there."""
        return bool(self.token)

    @property
    def shown_origin(self) -> str:
        """Of its address."""
        return "" if self.veiled else _origin(self.url)


def _origin(url: str) -> str:
    place = Url.parse(url)
    return f"{place.scheme}://{place.netloc}"


Upstream = HubUpstream | DirectoryUpstream | OwnUpstream | MirrorUpstream | ModelScopeUpstream
