"""The care of targets in jobs.yaml: when the daemon verifies and prunes them."""

from __future__ import annotations

from pydantic import Field

from mirror_sync.config.keys import scalars
from mirror_sync.config.keys.base_model import Keys


class PruneEntry(Keys):
    """When prune runs."""

    cron: scalars.Crontab = Field(
        description="minute hour day month weekday, as crontab writes them.", examples=["30 4 * * sat"]
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that cron is meant in.", examples=["Asia/Shanghai"]
    )


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
