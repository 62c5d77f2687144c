"""Folders and buckets to write into, as targets, replicas and cold tiers are said; and when files go to a cold one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, SecretStr, Tag, model_validator

from mirror_sync.config.keys.keep_entry import LEAST_UNREAD, USUAL_QUIET, Quiet
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.job.keep import Keep
from mirror_sync.domain.job.targets import USUAL_WARM_BACK, DirectoryTarget, S3Target, SignedBodies, Tiers


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
        ("endpoint_url", "region", "access_key", "secret_key", "addressing", "sign", "multipart", "confirm"),
        "this key is for s3:// targets; remove it, or write url: s3://bucket",
    )

    url: scalars.PlaceFolder = Field(
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
    sign: SignedBodies = Field(
        default="objects",
        description="Which bodies have their SHA-256 in the signature, so that the store refuses changed ones: "
        "objects (what goes whole), all (the parts of large files too, hashed once more) or never.",
        examples=["objects"],
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
            sign=self.sign,
            multipart=self.multipart,
            confirm=self.confirm,
            grace=self.grace,
        )


def target_tag(value: Any) -> str:
    """Which of the two an entry is, by its url."""
    url = value.get("url") if isinstance(value, dict) else None
    return f"{UNION}bucket" if isinstance(url, str) and url.startswith("s3:") else f"{UNION}folder"


ColdPlaceEntry = Annotated[
    Annotated[FolderPlace, Tag(f"{UNION}folder")] | Annotated[BucketPlace, Tag(f"{UNION}bucket")],
    Discriminator(target_tag),
]


class ColdEntry(Keys):
    """When the files of a repo go cold, and where they go then."""

    after_unread: scalars.Duration = Field(
        description="Files go when nobody has read their repo, nor published it anew, for so long; a day at least.",
        examples=["30d"],
    )
    storage_class: scalars.StorageClass | None = Field(
        default=None,
        alias="class",
        description="Of s3://: the class of storage that they go to, in the same bucket.",
        examples=["GLACIER_IR"],
    )
    target: ColdPlaceEntry | None = Field(
        default=None,
        description="A folder or bucket that they go to: url, and the keys of a target; nothing else may be there.",
        examples=[{"url": "file:///mnt/archive/mirror"}],
    )

    @model_validator(mode="after")
    def _to_one_place(self) -> Self:
        if (self.storage_class is None) is (self.target is None):
            raise ValueError(
                "wants one of class and target: write class: GLACIER_IR, or target: {url: file:///mnt/archive}"
            )
        if self.after_unread < LEAST_UNREAD:
            raise ValueError("after_unread is less than a day; write 1d or more")
        return self


class TiersEntry(Keys):
    """Where files lie that nobody reads."""

    cold: ColdEntry = Field(
        description="When the files of a repo go cold, and where to.",
        examples=[{"after_unread": "30d", "class": "GLACIER_IR"}],
    )
    warm_back: Literal["on-demand", "by-hand"] = Field(
        default="on-demand",
        description="on-demand: what is read again comes back by itself; by-hand: by mirror-sync thaw alone.",
        examples=["on-demand"],
    )
    warm_back_most: int = Field(
        default=USUAL_WARM_BACK,
        ge=1,
        le=999_999,
        description="So many repos come back in one pass, and a day for readers who wait; for one of them a tenth.",
        examples=[500],
    )
    logs: tuple[scalars.FilePath, ...] = Field(
        default=(),
        description="The logs of all fronts that read it, one pattern for each front; left out, those of keep.",
        examples=[["/var/log/mirror-front/access.log*"]],
    )
    quiet: Quiet = USUAL_QUIET

    @model_validator(mode="after")
    def _bounded_where_it_comes_back(self) -> Self:
        if self.warm_back == "by-hand" and "warm_back_most" in self.model_fields_set:
            raise ValueError("warm_back_most bounds what comes back by itself; leave it out with warm_back: by-hand")
        return self

    def tiers(self, base: Path, keep: Keep | None) -> Tiers:
        """What the entry stands for, beside the bound of its target; `base` is the folder of jobs.yaml."""
        at, logs = self.cold.target, tuple(str(base / one) for one in self.logs)
        return Tiers(
            self.cold.after_unread,
            logs if keep is None else keep.logs,
            None if at is None else at.target(base),
            self.cold.storage_class or "",
            self.quiet if keep is None else keep.quiet,
            self.warm_back == "on-demand",
            self.warm_back_most,
        )
