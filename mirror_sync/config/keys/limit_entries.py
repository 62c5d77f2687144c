"""The shape of what jobs may take of an upstream: how fast, and when."""

from __future__ import annotations

from datetime import UTC, time
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from mirror_sync.config.keys import scalars, window_values
from mirror_sync.config.keys.base_model import Keys
from mirror_sync.domain.job.bandwidth import EVERY_DAY, Bandwidth, Limit, Window

LimitText = Annotated[
    Limit, PlainValidator(window_values.limit), WithJsonSchema({"anyOf": [{"type": "string"}, {"const": 0}]})
]
HoursText = Annotated[tuple[time, time], scalars.from_text(window_values.hours), scalars.TEXT]
DaysText = Annotated[
    frozenset[int],
    PlainValidator(window_values.days),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class WindowEntry(Keys):
    """Hours of some days at which another limit holds."""

    hours: HoursText = Field(
        description="From and up to, by the clock on the wall; 22:00-06:00 goes over midnight.",
        examples=["08:00-20:00"],
    )
    days: DaysText = Field(
        default=EVERY_DAY,
        description="The days on which the window begins: mon-fri, or sat,sun; every day when left out.",
        examples=["mon-fri"],
        json_schema_extra={"default": "mon-sun"},
    )
    limit: LimitText = Field(
        description="Bytes a second at these hours; unlimited, or 0 for a pause.", examples=["20MB/s"]
    )


class BandwidthEntry(Keys):
    """How many bytes of files a second are read from the upstream."""

    limit: LimitText = Field(
        default=None,
        description="Bytes a second outside all windows; unlimited when left out, 0 for a pause.",
        examples=["200MB/s"],
    )
    windows: tuple[WindowEntry, ...] | None = Field(
        default=None,
        min_length=1,
        description="Hours at which another limit holds; of several that overlap, the first.",
        examples=[[{"hours": "08:00-20:00", "days": "mon-fri", "limit": "20MB/s"}]],
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that hours are meant in.", examples=["Asia/Shanghai"]
    )

    @property
    def bandwidth(self) -> Bandwidth:
        windows = tuple(Window(*window.hours, window.limit, window.days) for window in self.windows or ())
        return Bandwidth(self.limit, windows, UTC if self.timezone == "UTC" else ZoneInfo(self.timezone))

    @model_validator(mode="after")
    def _ever_open(self) -> Self:
        if self.bandwidth.closed:
            raise ValueError("is a pause for ever; write limit: 20MB/s, or windows with another limit")
        return self
