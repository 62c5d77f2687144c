"""What the rest of the program gets from jobs.yaml: everything resolved, checked and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.job import Cron, Job
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.notices import Hooks
from mirror_sync.domain.url import Url
from mirror_sync.errors import Fault

Addressing = Literal["path", "virtual", "auto"]
Access = Literal["private", "public"]


@dataclass(frozen=True, slots=True)
class HubTimeouts:
    """In seconds, but `min_rate` in bytes a second."""

    connect: float = 10.0
    first_byte: float = 30.0
    stall: float = 60.0
    min_rate: float = 1000.0
    over: float = 60.0


@dataclass(frozen=True, slots=True)
class HubUpstream:
    """A hub that speaks the Hugging Face API; `endpoints` are origins without a final slash, tried in order.

    `token` is for the server of the first endpoint, `tokens` are what entries say of their own, empty for none.
    `reserve` is the share of its rate limit that is left to others; `allow_private` lets it redirect into our network.
    `veiled`: variables gave a part of its first address, which is told to nobody.
    """

    name: str
    endpoints: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    timeouts: HubTimeouts = field(default_factory=HubTimeouts)
    reserve: float = 0.1
    allow_private: bool = False
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    veiled: bool = field(default=False, repr=False, compare=False)  # each machine may write the same address otherwise

    def token_for(self, endpoint: str) -> str | None:
        """What one of the endpoints is asked with: several may be several people's."""
        same = Url.parse(endpoint).origin == Url.parse(self.endpoints[0]).origin
        return self.tokens.get(endpoint, self.token if same else None) or None


@dataclass(frozen=True, slots=True)
class DirectoryUpstream:
    """A folder of `org/name/` folders; `root` is absolute."""

    name: str
    root: Path


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A folder that a job publishes into; `root` is absolute. `grace`: see S3Target."""

    name: str
    root: Path
    grace: timedelta = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class S3Target:
    """A bucket that a job publishes into. `prefix` is empty, or ends with a slash and starts without one.

    None stands for what was not said: boto3's own choice of endpoint, region or credentials (nginx, which has no boto3,
    takes us-east-1). `multipart`: whether large files go in parts; `confirm`: whether what was put is looked for before
    it is published. Unreferenced blobs that are younger than `grace` are spared by a prune.
    """

    name: str
    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    addressing: Addressing = "auto"
    sign_parts: bool = False
    multipart: bool = True
    confirm: bool = True
    grace: timedelta = timedelta(hours=48)


Upstream = HubUpstream | DirectoryUpstream
Target = DirectoryTarget | S3Target


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """Where a front listens, and whether it signs its reads of the bucket (`private`) or not (`public`).

    `url`: the address at which clients find it, None for what each request says. `user`: who runs nginx's workers when
    root starts it, None for an ordinary one. `cache`: bytes in which nginx keeps large files of a bucket. `by_digest`:
    contents are given by their digest alone, too. `cors`: the origins whose pages may read; `*` alone is any.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    bucket: Access = "private"
    url: str | None = None
    user: str | None = None
    cache: int = 16 << 30
    by_digest: bool = False
    cors: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the daemon answers those that watch it. `webhook_secret`: None where it takes no webhooks."""

    host: str = "127.0.0.1"
    port: int = 9108
    webhook_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """The catalogue: what the operator calls the mirror, and where people find it; empty where nothing is said."""

    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """When the daemon verifies and prunes all targets, None for never.

    `rate`: bytes a second that a verify reads. `sample`: the part of all files, above 0 and up to 1, that each reads.
    """

    verify: Cron | None = None
    prune: Cron | None = None
    rate: float | None = None
    sample: float = 1.0

    @property
    def schedules(self) -> dict[Care, Cron]:
        wanted = {Care.VERIFY: self.verify, Care.PRUNE: self.prune}
        return {care: cron for care, cron in wanted.items() if cron is not None}


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """The workers at a Dask scheduler. `wait`: seconds that changed repos wait for one when there is none."""

    address: str
    wait: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole jobs.yaml; names in `jobs` are keys of `upstreams` and `targets`.

    `bandwidth` and `connections` hold for all jobs together, beside what each says itself. `http` None: the daemon
    answers nobody. `secrets` are all secret values that were met, for redaction; `warnings` do not stop a run.
    `engine`: None for the threads of this process. `site`: None where no catalogue is published.
    """

    path: Path
    state_dir: Path
    upstreams: Mapping[str, Upstream]
    targets: Mapping[str, Target]
    front: FrontSettings
    jobs: tuple[Job, ...]
    hooks: Hooks = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[Fault, ...] = ()
    bandwidth: Bandwidth = Bandwidth()
    connections: int | None = None
    http: HttpSettings | None = HttpSettings()
    engine: DaskEngine | None = None
    site: CatalogueSettings | None = CatalogueSettings()
    maintenance: Maintenance = Maintenance()
