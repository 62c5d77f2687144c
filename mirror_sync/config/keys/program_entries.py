"""What the program itself goes by in jobs.yaml: its front and who may read there, its daemon, its
engine, the catalogue, the care of targets.

The program uses these entries as they are; what a value comes to is a property of its entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator

from mirror_sync.config.findings import Finding
from mirror_sync.config.keys.select import Author
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.address_values import Listen
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.access.access_tokens import network
from mirror_sync.domain.access.reader_limits import ReaderLimits
from mirror_sync.domain.access.rights import ALL_REPOS, AccessRules, RepoSet, Role
from mirror_sync.domain.content.keys import USUAL, Caching
from mirror_sync.domain.doors.torrent_metainfo import DOOR, TorrentOptions
from mirror_sync.domain.job.job import Cron
from mirror_sync.domain.outcome.events import Care

ASK_DOOR = "ask"  # of the fronts: the form of the catalogue
_WAIT = timedelta(seconds=60)
_LEAST = 1000  # bytes a second
LEAST_LEASE = timedelta(seconds=3)
Readable = Annotated[RepoSet, scalars.from_text(RepoSet.parse), scalars.TEXT]
Network = Annotated[str, scalars.from_text(network), scalars.TEXT]


class TlsEntry(Keys):
    """With what a front proves who it is."""

    certificate: scalars.FilePath = Field(
        description="The file of its certificate and those between it and the root, in PEM.",
        examples=["/etc/ssl/models.pem"],
    )
    key: scalars.FilePath = Field(
        description="The file of its key, in PEM, without a passphrase.", examples=["/etc/ssl/models.key"]
    )
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(str)] = Field(
        default="1.3", description="The oldest version of TLS that is spoken.", examples=["1.2"]
    )

    def based(self, base: Path) -> TlsEntry:
        """With absolute paths; what is not is meant from `base`."""
        return self.model_copy(
            update={"certificate": str((base / self.certificate).absolute()), "key": str((base / self.key).absolute())}
        )


def _enough(rate: int) -> int:
    if rate < _LEAST:
        raise ValueError("is less than 1KB/s, and nothing would ever end; write 10MB/s, or leave it out")
    return rate


class LimitsEntry(Keys):
    """How much one reader may ask of a front."""

    requests: scalars.Requests | None = Field(
        default=None,
        description="Requests in a second or a minute; what is over waits for its turn.",
        examples=["200/s"],
    )
    connections: scalars.Answers | None = Field(
        default=None, description="Answers that are given at the same time.", examples=[64]
    )
    bandwidth: Annotated[scalars.Rate, AfterValidator(_enough)] | None = Field(
        default=None,
        description="Bytes a second: of all answers by serve, of each answer by nginx.",
        examples=["1GB/s"],
    )

    @property
    def limits(self) -> ReaderLimits:
        """What it comes to."""
        return ReaderLimits(self.requests, self.connections, self.bandwidth)


class CacheEntry(Keys):
    """How long caches may keep answers and objects, and how much nginx keeps."""

    size: scalars.Size = Field(
        default=16 << 30,
        description="The room on its disk in which the generated nginx keeps large files of an s3:// target; 0: none.",
        examples=["200GiB"],
        json_schema_extra={"default": "16GiB"},
    )
    immutable: scalars.Interval = Field(
        default=timedelta(seconds=USUAL.immutable),
        description="How long any cache may keep what a commit or a digest names: answers, and blobs in a bucket.",
        examples=["365d"],
        json_schema_extra={"default": "365d"},
    )
    pointers: scalars.Duration = Field(
        default=timedelta(seconds=USUAL.pointers),
        description="How long any cache may keep what leads elsewhere soon: branches, refs.json, pages.",
        examples=["2s"],
        json_schema_extra={"default": "2s"},
    )

    @property
    def caching(self) -> Caching:
        """What answers and objects say."""
        return Caching(int(self.immutable.total_seconds()), int(self.pointers.total_seconds()))


def _cache_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict | CacheEntry) else f"{UNION}size"


SizeOrCache = Annotated[
    Annotated[scalars.Size, Tag(f"{UNION}size")] | Annotated[CacheEntry, Tag(f"{UNION}entry")],
    Discriminator(_cache_tag),
]


class TorrentsEntry(Keys):
    """Torrents of what is published, and whom their clients ask for others."""

    trackers: tuple[scalars.Tracker, ...] = Field(
        default=(),
        description="The trackers that torrents name; none when left out: clients fetch from the mirror, and find each "
        "other on a LAN.",
        examples=[["http://tracker.example.org:6969/announce"]],
    )
    private: scalars.Switch = Field(
        default=False,
        description="Whether clients may ask these trackers alone for others: no DHT, no LAN.",
        examples=[True],
    )

    @property
    def options(self) -> TorrentOptions:
        """How fronts put torrents together."""
        return TorrentOptions(self.trackers, self.private)


def _torrents_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict | TorrentsEntry) else f"{UNION}switch"


SwitchOrTorrents = Annotated[
    Annotated[scalars.Switch, Tag(f"{UNION}switch")] | Annotated[TorrentsEntry, Tag(f"{UNION}entry")],
    Discriminator(_torrents_tag),
]


class OciEntry(Keys):
    """What the registry gives beside files and quantizations."""

    images: scalars.Switch = Field(
        default=False,
        description="Whether each commit is an image to be mounted, too, under its tags with -image behind.",
        examples=[True],
    )
    layers: scalars.BehindUrl | None = Field(
        default=None,
        description="Where nginx finds a `serve` of the same file, which puts layers of images together: nginx cannot. "
        "Left out or empty, an nginx gives no images.",
        examples=["http://127.0.0.1:8081"],
    )


def _oci_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict | OciEntry) else f"{UNION}switch"


SwitchOrOci = Annotated[
    Annotated[scalars.Switch, Tag(f"{UNION}switch")] | Annotated[OciEntry, Tag(f"{UNION}entry")],
    Discriminator(_oci_tag),
]


class WatchEntry(Keys):
    """How a front is watched: where it says how it is, and the log that the daemon counts."""

    listen: scalars.ListenAddress | None = Field(
        default=None,
        description="host:port at which a front says how it is, to whoever reaches it: serve its metrics, nginx its "
        "connections. It names nobody; no port of readers.",
        examples=["127.0.0.1:9109"],
    )
    log: scalars.FilePath | None = Field(
        default=None,
        description="The access log of nginx, which the daemon counts.",
        examples=["/var/log/mirror-front/access.log"],
    )


class FrontEntry(Keys):
    """Where a front listens, and how it reads the bucket."""

    listen: scalars.ListenAddress = Field(
        default=Listen("127.0.0.1", 8080),
        description="host:port to listen on.",
        examples=["127.0.0.1:8080"],
        json_schema_extra={"default": "127.0.0.1:8080"},
    )
    bucket: Literal["private", "public"] = Field(
        default="private",
        description="private signs its reads of the bucket with the target's keys, public reads without.",
        examples=["private"],
    )
    url: scalars.FrontUrl | None = Field(
        default=None,
        description="The address at which clients find the mirror; left out or empty, what each request says.",
        examples=["https://models.example.org"],
    )
    user: scalars.Account | None = Field(
        default=None,
        description="Who runs nginx's workers when root starts it; left out or empty, who owns the folder, never root.",
        examples=["www-data"],
    )
    cache: SizeOrCache = Field(
        default=16 << 30,
        description="How long caches may keep answers, and the room of nginx's own for files of an s3:// target, which "
        "may stand alone; 0: none.",
        examples=["200GiB"],
        json_schema_extra={"default": "16GiB"},
    )
    by_digest: scalars.Switch = Field(
        default=False,
        description="Whether those who may read everything get contents by their digest alone: /blobs/sha256/...; "
        "also what is published no more, until a prune, and not what was taken down.",
        examples=[True],
    )
    oci: SwitchOrOci = Field(
        default=False,
        description="Whether clients of OCI registries, Ollama and Docker Model Runner find what is mirrored at /v2/; "
        "in place of true, what it gives beside.",
        examples=[True],
    )
    miss: Annotated[Literal["404", "redirect", "ask", "fetch"], BeforeValidator(str)] = Field(
        default="404",
        description="What a reader gets who asks for a repo that is not here: 404; redirect to the upstream; ask, a "
        "404 by which the wish is noted; fetch, which has the daemon bring what a job names. The last three want "
        "http.front_secret.",
        examples=["ask"],
    )
    kernel_publishers: tuple[Author, ...] = Field(
        default=(),
        description="Organizations whose kernels this mirror vouches for: kernels.get_kernel runs those of others only "
        "with trust_remote_code.",
        examples=[["kernels-community"]],
    )
    torrents: SwitchOrTorrents = Field(
        default=False,
        description="Whether each commit is a torrent, too, whose web seed is the mirror; wants front.url. In place of "
        "true the trackers may stand.",
        examples=[{"trackers": ["http://tracker.example.org:6969/announce"]}],
    )
    s3: scalars.Switch = Field(
        default=False,
        description="Whether clients of S3 find what is mirrored at the front's own address, as the buckets models and "
        "datasets, to read from.",
        examples=[True],
    )
    s3_listen: scalars.ListenAddress | None = Field(
        default=None,
        description="host:port at which all that is asked is asked of S3: with s3: true, for clients who sign nothing.",
        examples=["127.0.0.1:9000"],
    )
    tls: TlsEntry | None = Field(
        default=None,
        description="The certificate with which a front speaks TLS by itself; left out, it speaks HTTP alone.",
        examples=[{"certificate": "/etc/ssl/models.pem", "key": "/etc/ssl/models.key"}],
    )
    limits: LimitsEntry = Field(
        default_factory=LimitsEntry,
        description="How much one reader may ask, by the name of their token, else by address; no bound when left out.",
        examples=[{"requests": "200/s", "connections": 64, "bandwidth": "1GB/s"}],
    )
    cors: scalars.Origins = Field(
        default=("*",),
        description="The origins whose pages may read the mirror in a browser; * for any, off for none.",
        examples=[["https://app.example.org"]],
        json_schema_extra={"default": "*"},
    )
    watch: WatchEntry = Field(
        default_factory=WatchEntry,
        description="How the front is watched; nobody counts what it answers when left out.",
        examples=[{"listen": "127.0.0.1:9109", "log": "/var/log/mirror-front/access.log"}],
    )

    @model_validator(mode="after")
    def _watched_at_a_port_of_its_own(self) -> Self:
        taken = {self.listen.port: "listen"} | ({} if self.s3_listen is None else {self.s3_listen.port: "s3_listen"})
        if self.watch.listen is not None and self.watch.listen.port in taken:
            port = self.watch.listen.port
            raise ValueError(f"watch.listen is the port of {taken[port]}, {port}, where readers ask; write another one")
        return self

    @model_validator(mode="after")
    def _s3_at_a_port_of_its_own(self) -> Self:
        if self.s3_listen is not None and not self.s3:
            raise ValueError("s3_listen is a port of the S3 door, which is shut; write s3: true beside it")
        if self.s3_listen is not None and self.s3_listen.port == self.listen.port:
            raise ValueError(f"s3_listen is the port of listen, {self.listen.port}; write another one")
        return self

    @property
    def caches(self) -> CacheEntry:
        """What is said of caches, also where it was a size alone."""
        return self.cache if isinstance(self.cache, CacheEntry) else CacheEntry.model_construct(size=self.cache)

    @property
    def doors(self) -> frozenset[str]:
        """Those that are open beside the Hub's, by their names."""
        opened = {"oci": self.oci, DOOR: self.torrents, "s3": self.s3}
        opened["images"] = isinstance(self.oci, OciEntry) and self.oci.images
        return frozenset(name for name, is_open in opened.items() if is_open)

    @property
    def torrent_options(self) -> TorrentOptions:
        """How torrents are put together."""
        return self.torrents.options if isinstance(self.torrents, TorrentsEntry) else TorrentOptions()

    @property
    def layers(self) -> str | None:
        """Where an nginx finds what puts layers of images together."""
        return self.oci.layers if isinstance(self.oci, OciEntry) else None

    @property
    def documented_doors(self) -> frozenset[str]:
        """Those of them that need documents of their own in the target."""
        return self.doors - {"s3"}

    def based(self, base: Path) -> FrontEntry:
        """With absolute paths; what is not is meant from `base`."""
        return self if self.tls is None else self.model_copy(update={"tls": self.tls.based(base)})


class HttpEntry(Keys):
    """The daemon's own HTTP: metrics and health, for machines that watch it."""

    listen: scalars.OwnListen = Field(
        default=Listen("127.0.0.1", 9108),
        description="host:port that the daemon answers /metrics, /healthz and /readyz on; none for nowhere.",
        examples=["127.0.0.1:9108"],
        json_schema_extra={"default": "127.0.0.1:9108"},
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="The secret that the hub's webhooks bring, best as ${NAME:-}; left out or empty, none is taken.",
        examples=["${WEBHOOK_SECRET:-}"],
    )

    front_secret: SecretStr | None = Field(
        default=None,
        description="The secret by which fronts ask the daemon about what is not mirrored, best as ${NAME:-}; left out "
        "or empty, it answers none.",
        examples=["${FRONT_SECRET:-}"],
    )

    @property
    def asked_by(self) -> str | None:
        """What fronts have to bring; None where the daemon answers none."""
        if self.listen is None or self.front_secret is None:
            return None
        return self.front_secret.get_secret_value() or None

    @property
    def secret(self) -> str | None:
        """What webhooks have to bring; None where the daemon takes none."""
        if self.listen is None or self.webhook_secret is None:
            return None
        return self.webhook_secret.get_secret_value() or None


def _long_enough(lease: timedelta) -> timedelta:
    if lease < LEAST_LEASE:
        raise ValueError("is less than 3s, and a slow answer would end it; write 30s")
    return lease


class HaEntry(Keys):
    """That two daemons, or more, have these jobs, and one of them works at a time."""

    lease: Annotated[scalars.Interval, AfterValidator(_long_enough)] = Field(
        default=timedelta(seconds=30),
        description="How long a daemon that is silent keeps the work, 3s at the least: another one goes on within two "
        "of them.",
        examples=["30s"],
        json_schema_extra={"default": "30s"},
    )
    target: scalars.Name | None = Field(
        default=None,
        description="The target that holds the lease, a name under targets; may be left out when there is only one.",
        examples=["mirror"],
    )


class EngineEntry(Keys):
    """Who brings changed repos up to date: the threads of this process, or the workers of a Dask scheduler."""

    kind: Literal["threads", "dask"] = Field(
        default="threads",
        description="threads: this process alone; dask: every mirror-sync worker at the scheduler.",
        examples=["dask"],
    )
    address: scalars.SchedulerAddress | None = Field(
        default=None,
        description="The Dask scheduler: tcp://host:8786, or tls:// with Dask's own configuration of certificates.",
        examples=["tcp://scheduler:8786"],
    )
    wait: scalars.Interval | None = Field(
        default=None,
        description="How long changed repos wait when there is no worker, before they fail; 60s when left out.",
        examples=["60s"],
    )

    @property
    def patience(self) -> float:
        """Seconds that changed repos wait for a worker when there is none."""
        return (self.wait or _WAIT).total_seconds()

    def faults(self) -> Iterator[Finding]:
        """Keys that belong to another kind, and the one that is missing."""
        if self.kind == "dask" and self.address is None:
            yield Finding(("engine", "address"), "is missing; write address: tcp://scheduler:8786")
        for key in ("address", "wait"):
            if self.kind == "threads" and getattr(self, key) is not None:
                yield Finding(("engine", key), "this key is for kind: dask; remove it, or write kind: dask", key=True)


class TracesEntry(Keys):
    """Where runs are told as OpenTelemetry traces; nowhere when left out, and nothing is imported for it."""

    endpoint: scalars.Endpoint | None = Field(
        default=None,
        description="A collector that takes OTLP over HTTP: its address, without /v1/traces. It needs the extra "
        "mirror-sync[otel].",
        examples=["http://127.0.0.1:4318"],
    )


class AskEntry(Keys):
    """How people ask for what is not mirrored."""

    url: scalars.PageUrl | None = Field(
        default=None,
        description="A page where people ask, or a mailto: address.",
        examples=["https://tickets.example.org/new"],
    )
    text: scalars.Sentence | None = Field(
        default=None,
        description="A sentence that says how to ask.",
        examples=["Write to ml-platform@example.org."],
    )
    form: scalars.Switch = Field(
        default=False,
        description="Whether the catalogue has a form by which a wish is noted; wants http.front_secret.",
        examples=[True],
    )

    @property
    def doors(self) -> frozenset[str]:
        """What of the fronts it opens."""
        return frozenset({ASK_DOOR} if self.form else ())


class CatalogueEntry(Keys):
    """The catalogue: pages and documents that are published beside what is mirrored, and served at /."""

    enabled: scalars.Switch = Field(
        default=True, description="Whether the catalogue is published after every run.", examples=[False]
    )
    name: scalars.Sentence | None = Field(
        default=None,
        description="What the mirror is called, on every page and in lists of mirrors.",
        examples=["Example models"],
    )
    url: scalars.FrontUrl | None = Field(
        default=None,
        description="The address at which people find the mirror; left out or empty, front.url.",
        examples=["https://models.example.org"],
    )
    apart: scalars.Switch = Field(
        default=False,
        description="Whether feed.atom, changes.json, tunasync.json and mirrorz.json, which our fronts find in pages, "
        "are put as objects, too: for another web server before the target.",
        examples=[True],
    )
    ask: AskEntry = Field(
        default_factory=AskEntry,
        description="How people ask for what is not mirrored: pages without a hit say it.",
        examples=[{"form": True}],
    )


class PruneEntry(Keys):
    """When prune runs."""

    cron: scalars.Crontab = Field(
        description="minute hour day month weekday, as crontab writes them.", examples=["30 4 * * sat"]
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that cron is meant in.", examples=["Asia/Shanghai"]
    )

    @property
    def schedule(self) -> Cron:
        """When the daemon does it."""
        return Cron(self.cron, self.timezone)


class VerifyEntry(PruneEntry):
    """When verify runs, of how much, and how fast it reads."""

    rate: scalars.Rate | None = Field(
        default=None,
        description="How fast it reads at the most; as fast as it can when left out, or 0.",
        examples=["50MB/s"],
    )
    sample: scalars.Part = Field(
        default=1.0,
        description="The part of all files that it reads, each time the next; all when left out.",
        examples=["5%"],
        json_schema_extra={"default": "100%"},
    )


class MaintenanceEntry(Keys):
    """What the daemon does to all targets beside running jobs; nothing when left out."""

    verify: VerifyEntry | None = Field(
        default=None,
        description="When every published byte is read again and proved by its SHA-256.",
        examples=[{"cron": "0 2 * * sun", "rate": "50MB/s"}],
    )
    prune: PruneEntry | None = Field(
        default=None,
        description="When old snapshots, and what none refers to, are removed.",
        examples=[{"cron": "30 4 * * sat"}],
    )

    @property
    def schedules(self) -> dict[Care, Cron]:
        """When each is done, of those that are."""
        wanted = {Care.VERIFY: self.verify, Care.PRUNE: self.prune}
        return {care: entry.schedule for care, entry in wanted.items() if entry is not None}

    @property
    def sample(self) -> float:
        """The part of all files, above 0 and up to 1, that a verify reads."""
        return 1.0 if self.verify is None else self.verify.sample

    @property
    def rate(self) -> float | None:
        """Bytes a second that a verify reads; None for as fast as it can."""
        return None if self.verify is None else self.verify.rate or None


class RoleEntry(Keys):
    """What a role may read, and what it may see beside that."""

    read: tuple[Readable, ...] = Field(
        default=(),
        description='What the role may read: "*" is all, acme/* models, dataset:acme/* datasets; gated and private '
        "repos, too.",
        examples=[["acme/*", "dataset:acme/*"]],
    )
    see: tuple[Readable, ...] = Field(
        default=(),
        description="What the role may see, and not read: catalogue, listings, verdicts; no contents of files.",
        examples=[["*"]],
    )


class NetworksEntry(Keys):
    """From where anybody may ask."""

    allow: tuple[Network, ...] = Field(
        default=(),
        description="The networks from which anybody may ask; all of them when left out.",
        examples=[["10.0.0.0/8"]],
    )
    proxies: tuple[Network, ...] = Field(
        default=(),
        description="The servers before a front whose X-Forwarded-For is believed, beside those of this machine.",
        examples=[["10.1.0.1"]],
    )


class AccessEntry(Keys):
    """What readers of the fronts may read: everybody, and the holders of tokens by their roles."""

    anonymous: tuple[Readable, ...] = Field(
        default=(ALL_REPOS,),
        description='What everybody may read, with a token or without: "*" is all kinds; [] nothing. Gated and private '
        "repos only where they are named without a glob.",
        examples=[["*"]],
        json_schema_extra={"default": ["*"]},
    )
    roles: dict[scalars.Name, RoleEntry] = Field(
        default_factory=dict,
        description="What the holders of tokens may read beside that, by the role of a token.",
        examples=[{"developers": {"read": ["acme/*", "dataset:acme/*"]}}],
    )
    tokens: scalars.FilePath | None = Field(
        default=None,
        description="The file of the tokens that mirror-sync token makes; no tokens when left out.",
        examples=["/etc/mirror-sync/tokens.yaml"],
    )
    networks: NetworksEntry = Field(
        default_factory=NetworksEntry,
        description="From where anybody may ask; from everywhere when left out.",
        examples=[{"allow": ["10.0.0.0/8"], "proxies": ["10.1.0.1"]}],
    )
    contact: scalars.Sentence | None = Field(
        default=None,
        description="Whom people ask who may not read something; every refusal says it.",
        examples=["ml-platform@example.org"],
    )

    @property
    def access(self) -> AccessRules:
        """What it comes to, before any job has opened anything."""
        return AccessRules(
            anonymous=self.anonymous,
            roles={name: Role(entry.read, entry.see) for name, entry in self.roles.items()},
            allow=self.networks.allow,
            proxies=self.networks.proxies,
            contact=self.contact or "",
        )
