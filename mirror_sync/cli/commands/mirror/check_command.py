"""`check`: whether jobs.yaml can be run, here and as whoever we are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.errors import ConfigError

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings


@command
def check(
    invocation: Invocation,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of jobs.yaml instead.")] = False,
) -> None:
    """Check jobs.yaml: every fault with its place."""
    if schema:
        from mirror_sync.config.keys.schema import json_schema

        invocation.print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    settings = invocation.settings()
    _expect_keys(settings, invocation.options.config)
    for warning in settings.warnings:
        invocation.lines.msg(f"warning: {warning}")
    from mirror_sync.cli.output.check_text import check_text

    invocation.print(check_text(settings))
    if paused := _paused_now(settings):
        invocation.print(paused)
    from mirror_sync.app.looking.local_doubts import certificate_doubt, unwritable

    doubts = [*(why for _, why in unwritable(settings)), certificate_doubt(settings, datetime.now(UTC))]
    for barred in filter(None, doubts):
        invocation.lines.msg(f"warning: {barred}")


def _expect_keys(settings: Settings, path: Path) -> None:
    """ConfigError for keys that cannot sign; only those who sign need them, so that a front goes without."""
    if not settings.trust.keys:
        return
    from mirror_sync.app.trust.signing_keys import key_faults

    if faults := tuple(key_faults(settings, path)):
        raise ConfigError(faults, settings.warnings)


def _paused_now(settings: Settings) -> str:
    """A line for each job that there is and that is paused; empty for none."""
    from mirror_sync.state.pauses import Pauses, pause_lines

    names = {job.name for job in settings.jobs}
    return "\n".join(pause_lines({job: end for job, end in Pauses(settings.state_dir).all().items() if job in names}))
