"""What of jobs.yaml cannot be used here, as whoever we are: for `check`, which asks nobody else, and for `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mirror_sync.config.settings import Settings
from mirror_sync.owners import hindrance

_SOON = 30  # days before a certificate ends, from which on it is said


def certificate_doubt(settings: Settings, now: datetime) -> str:
    """That the front's certificate ends soon, or cannot be used, as whoever we are, who may not read its key; empty
    where it can, or there is none.
    """
    tls = settings.front.tls
    if tls is None:
        return ""
    from mirror_sync.net.certificate import ServerCertificate

    files = ServerCertificate(Path(tls.certificate), Path(tls.key), tls.min_version)
    try:
        ends = files.ends()
        if os.access(files.key, os.R_OK):
            files.context()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        return f"front.tls: {tls.certificate} and {tls.key} cannot be used: {reason}"
    return f"front.tls: {tls.certificate} {soon}" if (soon := ending(ends, now)) else ""


def ending(ends: datetime, now: datetime) -> str:
    """ends in 9 days, on 2026-12-09; ...: empty for a certificate with time enough."""
    left = (ends - now).days
    if left >= _SOON:
        return ""
    said = "ended" if left < 0 else f"ends in {left} days,"
    return f"{said} on {ends:%Y-%m-%d}; put a new one in its place and reload the front"


def unwritable(settings: Settings) -> Iterator[tuple[str, str]]:
    """Places that a sync could not write, and why; as whoever we are."""
    from mirror_sync.domain.job.targets import DirectoryTarget

    places = {"state_dir": settings.state_dir}
    places |= {f"target {name}": one.root for name, one in settings.targets.items() if isinstance(one, DirectoryTarget)}
    for name, path in places.items():
        if path.exists() and not path.is_dir():
            yield name, f"{name}: {path} is a file; name a folder"
        elif why := hindrance(path):
            yield name, f"{name}: {path} cannot be written: {why}"
