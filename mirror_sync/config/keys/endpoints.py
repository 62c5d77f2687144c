"""The upstreams, targets and the front of jobs.yaml: where files come from, where they go, how they are served."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, SecretStr, Tag

from mirror_sync.config.keys import scalars
from mirror_sync.config.keys.address_values import Listen
from mirror_sync.config.keys.base_model import UNION, Keys


class TimeoutsEntry(Keys):
    """When a hub that does not answer, or hardly, is given up; the call or transfer is made again then."""

    connect: scalars.Interval = Field(
        default=timedelta(seconds=10),
        description="The longest wait for a connection.",
        examples=["10s"],
        json_schema_extra={"default": "10s"},
    )
    first_byte: scalars.Interval = Field(
        default=timedelta(seconds=30),
        description="The longest wait for an answer to begin.",
        examples=["30s"],
        json_schema_extra={"default": "30s"},
    )
    stall: scalars.Interval = Field(
        default=timedelta(seconds=60),
        description="The longest silence between two arrivals of bytes.",
        examples=["60s"],
        json_schema_extra={"default": "60s"},
    )
    min_rate: scalars.Rate = Field(
        default=1000,
        description="A transfer that is slower than this is cut and resumed; 0B/s for never.",
        examples=["1KB/s"],
        json_schema_extra={"default": "1KB/s"},
    )
    over: scalars.Interval = Field(
        default=timedelta(seconds=60),
        description="How long a transfer must have been waited for before min_rate is looked at.",
        examples=["60s"],
        json_schema_extra={"default": "60s"},
    )


class EndpointEntry(Keys):
    """One address of a hub, and the token that it is asked with."""

    url: scalars.Endpoint = Field(
        description="The address, as it would stand alone.", examples=["https://hub.example.org"]
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token for this address, best as ${NAME:-}; empty reads anonymously there.",
        examples=["${OTHER_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds this address's token, instead of token.",
        examples=["/run/credentials/other-token"],
    )


def _endpoint_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict | EndpointEntry) else f"{UNION}address"


EndpointOrAddress = Annotated[
    Annotated[scalars.Endpoint, Tag(f"{UNION}address")] | Annotated[EndpointEntry, Tag(f"{UNION}entry")],
    Discriminator(_endpoint_tag),
]


class HubEntry(Keys):
    """A hub that speaks the Hugging Face API."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "url": "url is for kind: directory; write endpoints: [https://...] for a hub"
    }

    kind: scalars.HubKind = Field(description="What the upstream is.", examples=["huggingface"])
    endpoints: tuple[EndpointOrAddress, ...] = Field(
        default=("https://huggingface.co",),
        min_length=1,
        description="Addresses of the hub, tried in order when one does not answer; {url, token} for one's own token.",
        examples=[["https://huggingface.co"]],
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token, best as ${NAME:-}, for the first endpoint's server; empty reads anonymously.",
        examples=["${HF_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds the access token, instead of token.",
        examples=["/run/credentials/hf-token"],
    )
    timeouts: TimeoutsEntry = Field(
        default_factory=TimeoutsEntry,
        description="When a hub that does not answer, or hardly, is given up.",
        examples=[{"stall": "60s", "min_rate": "1KB/s", "over": "60s"}],
    )
    reserve: scalars.Reserve = Field(
        default=0.1,
        description="The share of the hub's rate limit that is left to others who use the token or the address.",
        examples=["10%"],
        json_schema_extra={"default": "10%"},
    )
    allow_private: scalars.Switch = Field(
        default=False,
        description="Whether a hub on the open internet may redirect to addresses that are not on it.",
        examples=[False],
    )


class DirectoryEntry(Keys):
    """A folder of org/name/ folders, for an import without a network."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("endpoints", "token", "token_file", "timeouts", "reserve", "allow_private"),
        "this key is for kind: huggingface; remove it",
    )

    kind: scalars.DirectoryKind = Field(description="What the upstream is.", examples=["directory"])
    url: scalars.FolderUrl = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )


class PrunedKeys(Keys):
    """What every target says about prunes."""

    grace: scalars.Duration = Field(
        default=timedelta(hours=48),
        description="How young a blob that nothing refers to is spared by prune; the same on all machines.",
        examples=["48h"],
        json_schema_extra={"default": "48h"},
    )


class FolderEntry(PrunedKeys):
    """A directory to publish into."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("endpoint_url", "region", "access_key", "secret_key", "addressing", "sign_parts", "multipart", "confirm"),
        "this key is for s3:// targets; remove it, or write url: s3://bucket",
    )

    url: scalars.FolderUrl = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )


class BucketEntry(PrunedKeys):
    """A bucket of an S3-compatible store to publish into."""

    url: scalars.BucketUrl = Field(description="s3://bucket or s3://bucket/prefix.", examples=["s3://models/mirror"])
    endpoint_url: scalars.ServerUrl | None = Field(
        default=None,
        description="The store's address; left out or empty, AWS's own.",
        examples=["http://127.0.0.1:9000"],
    )
    region: scalars.Word | None = Field(
        default=None,
        description="The region; left out or empty, what boto3 finds; us-east-1 for the generated nginx.",
        examples=["us-east-1"],
    )
    access_key: SecretStr | None = Field(
        default=None,
        description="The access key; left out or empty, boto3's own chain (environment, profile, instance role).",
        examples=["${S3_ACCESS_KEY:-}"],
    )
    secret_key: SecretStr | None = Field(
        default=None, description="The secret key that belongs to access_key.", examples=["${S3_SECRET_KEY:-}"]
    )
    addressing: Literal["path", "virtual", "auto"] = Field(
        default="auto",
        description="Where the bucket's name stands in a request: path, virtual (in the host name) or auto.",
        examples=["path"],
    )
    sign_parts: scalars.Switch = Field(
        default=False,
        description="Whether the parts of large files are hashed once more, so that the store refuses changed ones.",
        examples=[False],
    )
    multipart: scalars.Switch = Field(
        default=True,
        description="Whether large files go in parts; off for a store that cannot, which then takes up to 5 GiB.",
        examples=[True],
    )
    confirm: scalars.Switch = Field(
        default=True,
        description="Whether what was put is looked for, one HEAD each, before it is published; off to save the calls.",
        examples=[True],
    )


def _upstream_tag(value: Any) -> str:
    given = value if isinstance(value, dict) else {}
    is_folder = given.get("kind") == "directory" or ("kind" not in given and "url" in given)
    return f"{UNION}directory" if is_folder else f"{UNION}hub"


def _target_tag(value: Any) -> str:
    url = value.get("url") if isinstance(value, dict) else None
    return f"{UNION}bucket" if isinstance(url, str) and url.startswith("s3:") else f"{UNION}folder"


UpstreamEntry = Annotated[
    Annotated[HubEntry, Tag(f"{UNION}hub")] | Annotated[DirectoryEntry, Tag(f"{UNION}directory")],
    Discriminator(_upstream_tag),
]
TargetEntry = Annotated[
    Annotated[FolderEntry, Tag(f"{UNION}folder")] | Annotated[BucketEntry, Tag(f"{UNION}bucket")],
    Discriminator(_target_tag),
]


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
    cache: scalars.Size = Field(
        default=16 << 30,
        description="The room on its disk in which the generated nginx keeps large files of an s3:// target; 0: none.",
        examples=["200GiB"],
        json_schema_extra={"default": "16GiB"},
    )
    by_digest: scalars.Switch = Field(
        default=False,
        description="Whether a front gives contents by their digest alone, whatever is published: /blobs/sha256/...",
        examples=[True],
    )
    cors: scalars.Origins = Field(
        default=("*",),
        description="The origins whose pages may read the mirror in a browser; * for any, off for none.",
        examples=[["https://app.example.org"]],
        json_schema_extra={"default": "*"},
    )


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
