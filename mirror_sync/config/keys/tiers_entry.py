"""Where the files of a target go that nobody reads, and by whose reads that is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mirror_sync.config.keys.places import BucketPlace, FolderPlace, target_tag
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.job.keep import Keep
from mirror_sync.domain.job.targets import Tiers

ColdPlaceEntry = Annotated[
    Annotated[FolderPlace, Tag(f"{UNION}folder")] | Annotated[BucketPlace, Tag(f"{UNION}bucket")],
    Discriminator(target_tag),
]
_LEAST_UNREAD, LEAST_QUIET = timedelta(days=1), timedelta(minutes=10)


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
        if self.after_unread < _LEAST_UNREAD:
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
    logs: tuple[scalars.FilePath, ...] = Field(
        default=(),
        description="The logs of all fronts that read it, one pattern for each front; left out, those of keep.",
        examples=[["/var/log/mirror-front/access.log*"]],
    )
    quiet: scalars.Duration = Field(
        default=timedelta(hours=12),
        description="Where a log has no line at all for longer, counting begins anew: some of it may be lost.",
        examples=["12h"],
        json_schema_extra={"default": "12h"},
    )

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
        )
