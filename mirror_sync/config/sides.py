"""The upstreams, targets and the front of jobs.yaml: where files come from, where they go, how they are served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, SecretStr, Tag

from mirror_sync.config import scalars
from mirror_sync.config.addresses import Listen
from mirror_sync.config.keys import UNION, Keys


class HubEntry(Keys):
    """A hub that speaks the Hugging Face API."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "url": "url is for kind: directory; write endpoints: [https://...] for a hub"
    }

    kind: scalars.HubKind = Field(description="What the upstream is.", examples=["huggingface"])
    endpoints: tuple[scalars.Endpoint, ...] = Field(
        default=("https://huggingface.co",),
        min_length=1,
        description="Addresses of the hub, tried in order when one does not answer.",
        examples=[["https://huggingface.co"]],
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token, best as ${NAME:-}; empty reads anonymously.",
        examples=["${HF_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds the access token, instead of token.",
        examples=["/run/credentials/hf-token"],
    )


class DirectoryEntry(Keys):
    """A folder of org/name/ folders, for an import without a network."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("endpoints", "token", "token_file"), "this key is for kind: huggingface; remove it"
    )

    kind: scalars.DirectoryKind = Field(description="What the upstream is.", examples=["directory"])
    url: scalars.FolderUrl = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )


class FolderEntry(Keys):
    """A directory to publish into."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("endpoint_url", "region", "access_key", "secret_key", "addressing"),
        "this key is for s3:// targets; remove it, or write url: s3://bucket",
    )

    url: scalars.FolderUrl = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )


class BucketEntry(Keys):
    """A bucket of an S3-compatible store to publish into."""

    url: scalars.BucketUrl = Field(description="s3://bucket or s3://bucket/prefix.", examples=["s3://models/mirror"])
    endpoint_url: scalars.ServerUrl | None = Field(
        default=None,
        description="The store's address; left out or empty, AWS's own.",
        examples=["http://127.0.0.1:9000"],
    )
    region: scalars.Word | None = Field(
        default=None,
        description="The region; left out or empty, what boto3 finds.",
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
