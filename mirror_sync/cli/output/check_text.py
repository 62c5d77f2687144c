"""`check`: what jobs.yaml asks for, and its limits, as a person reads them back; and each line of `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirror_sync.config.settings import Settings
from mirror_sync.domain.access.rights import AccessRules
from mirror_sync.domain.job.bandwidth import EVERY_DAY, Bandwidth, Limit, Window
from mirror_sync.observe.figures import counted

if TYPE_CHECKING:
    from mirror_sync.app.looking.checkup import CheckLine, CheckReport
    from mirror_sync.cli.output.tables import TextLayout

_SHOWN = 3  # names of jobs
_NAME = 11  # columns: the longest name of a check
_RIGHT = "write readers: everyone in a job, or roles and tokens under access"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = (("MB", 1000**2), ("MiB", 1024**2), ("KB", 1000), ("KiB", 1024), ("B", 1))


def check_text(settings: Settings) -> str:
    """jobs.yaml: ok, 2 jobs (1 with a schedule), 12 repos, 1 target, 1 warning; a line more for each limit."""
    jobs = settings.jobs
    scheduled = sum(job.schedule is not None for job in jobs)
    parts = [
        f"{counted(len(jobs), 'job')} ({scheduled} with a schedule)",
        counted(sum(len(job.repos) for job in jobs), "repo or pattern", "repos or patterns"),
        counted(len(settings.targets), "target"),
    ]
    if settings.warnings:
        parts.append(counted(len(settings.warnings), "warning"))
    return "\n".join([f"{settings.path.name}: ok, {', '.join(parts)}", *_readers(settings), *_limits(settings)])


def _readers(settings: Settings) -> Iterator[str]:
    """Who reads what, where something is said of it, or a token may bring what is not for everybody upstream."""
    access = settings.access
    if access != AccessRules():
        everybody = ", ".join(map(str, access.anonymous)) or "nothing"
        yield f"readers: everybody {everybody}; roles: {', '.join(access.roles) or 'none'}"
    secret = {name for name, one in settings.upstreams.items() if one.has_token}
    shut = [job.name for job in settings.jobs if job.upstream in secret and not job.opens]
    if shut and not access.roles:
        yield f"readers: what is gated or private upstream is served to nobody ({_named(shut)}); {_RIGHT}"


def _named(jobs: list[str]) -> str:
    more = f" and {len(jobs) - _SHOWN} more" if len(jobs) > _SHOWN else ""
    return f"{'job' if len(jobs) == 1 else 'jobs'} {', '.join(jobs[:_SHOWN])}{more}"


def _limits(settings: Settings) -> Iterator[str]:
    """`all jobs: 200MB/s, 20MB/s at 08:00-20:00 mon,tue (UTC); at most 16 connections`, and so for each job."""
    yield from _line("all jobs", settings.bandwidth, settings.connections)
    for job in settings.jobs:
        yield from _line(f"job {job.name}", job.bandwidth, job.connections)


def _line(who: str, bandwidth: Bandwidth, connections: int | None) -> Iterator[str]:
    parts = [] if bandwidth.unlimited else [_bandwidth(bandwidth)]
    if connections is not None:
        parts.append(f"at most {connections} connection{'s' if connections > 1 else ''}")
    if parts:
        yield f"{who}: {'; '.join(parts)}"


def _bandwidth(bandwidth: Bandwidth) -> str:
    zone = f" ({bandwidth.zone})" if bandwidth.windows else ""
    return ", ".join([_in_rate(bandwidth.limit), *map(_window, bandwidth.windows)]) + zone


def _window(window: Window) -> str:
    stop = "24:00" if window.stop.hour == window.stop.minute == 0 else f"{window.stop:%H:%M}"
    days = "" if window.days == EVERY_DAY else " " + ",".join(_DAYS[day] for day in sorted(window.days))
    return f"{_in_rate(window.limit)} at {window.start:%H:%M}-{stop}{days}"


def _in_rate(limit: Limit) -> str:
    """As jobs.yaml writes it."""
    if limit is None:
        return "unlimited"
    if not limit:
        return "a pause"
    unit, size = next((unit, size) for unit, size in _UNITS if limit % size == 0)
    return f"{limit // size}{unit}/s"


def doctor_text(line: CheckLine, page: TextLayout) -> str:
    """fault    token        hub https://...: it is rejected; below it what to do, and a command to be typed."""
    place = "" if line.said.startswith(f"{line.where}:") else f"{line.where}: "  # jobs.yaml:3:1: ... says it already
    told = [page.item(line.health, f"{line.check:<{_NAME}}", f"{place}{line.said}")]
    if line.advice:
        told.append(page.note(f"{line.advice}:" if line.command else line.advice))
    if line.command:
        told.append(f"      {line.command}")
    return "\n".join(told)


def doctor_sum(report: CheckReport, page: TextLayout) -> str:
    """2 faults, 1 warning; 14 ok, 3 skipped."""
    from mirror_sync.app.looking.checkup import Health

    faults, warnings = report.count(Health.FAULT), report.count(Health.WARNING)
    bad = f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}"
    return page.sentence(f"{bad}; {report.count(Health.OK):,} ok, {report.count(Health.SKIPPED):,} skipped.")
