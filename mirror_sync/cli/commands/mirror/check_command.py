"""`check`: whether jobs.yaml can be run, here and as whoever we are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.errors import ConfigError
from mirror_sync.owners import hindrance

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings


_SOON = 30  # days before a certificate ends, from which on it is said


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
    for barred in (*_unwritable(settings), *_certificate(settings)):
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


def _certificate(settings: Settings) -> Iterator[str]:
    """That the front's certificate ends soon, or cannot be used; as whoever we are, who may not read its key."""
    tls = settings.front.tls
    if tls is None:
        return
    from mirror_sync.net.certificate import ServerCertificate

    files = ServerCertificate(Path(tls.certificate), Path(tls.key), tls.min_version)
    try:
        ends = files.ends()
        if os.access(files.key, os.R_OK):
            files.context()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        yield f"front.tls: {tls.certificate} and {tls.key} cannot be used: {reason}"
        return
    left = (ends - datetime.now(UTC)).days
    if left < _SOON:
        said = "ended" if left < 0 else f"ends in {left} days,"
        yield f"front.tls: {tls.certificate} {said} on {ends:%Y-%m-%d}; put a new one in its place and reload the front"


def _unwritable(settings: Settings) -> Iterator[str]:
    """Why a sync could not write the state folder, or a target that is a directory; as whoever we are."""
    from mirror_sync.domain.job.targets import DirectoryTarget

    places = {"state_dir": settings.state_dir}
    places |= {f"target {name}": one.root for name, one in settings.targets.items() if isinstance(one, DirectoryTarget)}
    for name, path in places.items():
        if path.exists() and not path.is_dir():
            yield f"{name}: {path} is a file; name a folder"
        elif why := hindrance(path):
            yield f"{name}: {path} cannot be written: {why}"
