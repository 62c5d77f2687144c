"""Folders and buckets to write into, as targets, their replicas and their cold tiers are said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target


class PrunedKeys(Keys):
    """What every target says about prunes."""

    grace: scalars.Duration = Field(
        default=timedelta(hours=48),
        description="How young a blob that nothing refers to is spared by prune; the same on all machines.",
        examples=["48h"],
        json_schema_extra={"default": "48h"},
    )


class FolderPlace(PrunedKeys):
    """A directory to write into."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("endpoint_url", "region", "access_key", "secret_key", "addressing", "sign_parts", "multipart", "confirm"),
        "this key is for s3:// targets; remove it, or write url: s3://bucket",
    )

    url: scalars.FilePath = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )

    def target(self, base: Path) -> DirectoryTarget:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        return DirectoryTarget(base / self.url, self.grace)


class BucketPlace(PrunedKeys):
    """A bucket of an S3-compatible store to write into."""

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

    def target(self, base: Path) -> S3Target:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        return S3Target(
            bucket=self.url.name,
            prefix=self.url.prefix,
            endpoint_url=self.endpoint_url or None,
            region=self.region or None,
            access_key=self.access_key.get_secret_value() or None if self.access_key else None,
            secret_key=self.secret_key.get_secret_value() or None if self.secret_key else None,
            addressing=self.addressing,
            sign_parts=self.sign_parts,
            multipart=self.multipart,
            confirm=self.confirm,
            grace=self.grace,
        )


def target_tag(value: Any) -> str:
    """Which of the two an entry is, by its url."""
    url = value.get("url") if isinstance(value, dict) else None
    return f"{UNION}bucket" if isinstance(url, str) and url.startswith("s3:") else f"{UNION}folder"
