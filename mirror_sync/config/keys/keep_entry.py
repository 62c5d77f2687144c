"""How many bytes a target may store, and by whose reads it is told what goes first."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.job.keep import Keep

LEAST_UNREAD = timedelta(days=1)
_LEAST_QUIET = timedelta(minutes=10)
Quiet = Annotated[
    scalars.Duration,
    Field(
        description="Where a log has no line at all for longer, counting begins anew: some of it may be lost.",
        examples=["12h"],
        json_schema_extra={"default": "12h"},
    ),
]
USUAL_QUIET = timedelta(hours=12)


def fits(quiet: timedelta, unread: timedelta) -> bool:
    """Whether a gap of logs, as long as is borne, says anything of what is not read for so long."""
    return _LEAST_QUIET <= quiet < unread


class KeepEntry(Keys):
    """What a target may store. Where it stores more, prune lets go of the repos that were read longest ago."""

    bytes: scalars.Room = Field(
        description="What it may store: MB, GB, TB (1000) or MiB, GiB, TiB (1024).", examples=["200GB"]
    )
    by: Literal["last-read"] = Field(
        default="last-read",
        description="What goes first: last-read, what was read longest ago.",
        examples=["last-read"],
    )
    logs: tuple[scalars.FilePath, ...] = Field(
        min_length=1,
        description="The logs of all fronts that read it, one pattern for each front, rotated files too.",
        examples=[["/var/log/mirror-front/access.log*"]],
    )
    unread: scalars.Duration = Field(
        default=timedelta(days=7),
        description="A repo that was read or published less than this ago stays; a day at least.",
        examples=["30d"],
        json_schema_extra={"default": "7d"},
    )
    quiet: Quiet = USUAL_QUIET
    named: Literal["stay", "last"] = Field(
        default="stay",
        description="Repos that a job spells out: stay, or last: they go when nothing else can.",
        examples=["last"],
    )

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        """ValueError for times by which what is in use could go, or nothing ever."""
        if self.unread < LEAST_UNREAD:
            raise ValueError("unread is less than a day; write 1d or more")
        if not fits(self.quiet, self.unread):
            raise ValueError("quiet is to be 10m at least, and less than unread")
        return self

    def keep(self, base: Path) -> Keep:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        logs = tuple(str(base / one) for one in self.logs)
        return Keep(self.bytes, logs, self.unread, self.quiet, self.named == "last")
