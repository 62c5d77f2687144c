"""From the models of a sound file to what the program gets: defaults merged, paths absolute, lists made policies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from mirror_sync.config.findings import Trail
from mirror_sync.config.keys.address_values import Listen
from mirror_sync.config.keys.catalogue_entry import CatalogueEntry
from mirror_sync.config.keys.endpoints import (
    BucketEntry,
    DirectoryEntry,
    EndpointEntry,
    FolderEntry,
    FrontEntry,
    HttpEntry,
    HubEntry,
    TimeoutsEntry,
)
from mirror_sync.config.keys.engines import WAIT, EngineEntry
from mirror_sync.config.keys.hooks import CommandEntry, OnEntry, PostEntry
from mirror_sync.config.keys.limit_entries import BandwidthEntry
from mirror_sync.config.keys.maintenance import MaintenanceEntry, PruneEntry
from mirror_sync.config.keys.model import (
    CronEntry,
    DefaultsEntry,
    EveryEntry,
    GuardEntry,
    JobEntry,
    LicensesEntry,
    RetentionEntry,
    ScheduleEntry,
)
from mirror_sync.config.settings import (
    CatalogueSettings,
    DaskEngine,
    DirectoryTarget,
    DirectoryUpstream,
    FrontSettings,
    HttpSettings,
    HubTimeouts,
    HubUpstream,
    Maintenance,
    S3Target,
    Target,
    Upstream,
)
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.job import Cron, Every, Job, Schedule
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.notices import Hook, HookCommand, HookPost, Hooks, StateChange
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.repo import Denial, RepoPattern

Value = TypeVar("Value")

_WORKERS = 8


def upstream(name: str, entry: HubEntry | DirectoryEntry, base: Path, kept: Mapping[Trail, str]) -> Upstream:
    """`base` is the folder of jobs.yaml; `kept` are the tokens of files, by where those are named."""
    if isinstance(entry, DirectoryEntry):
        return DirectoryUpstream(name, entry.url.beside(base))
    place = ("upstreams", name)
    tokens: dict[str, str | None] = {}  # by address, the first of two entries for one
    for index, one in enumerate(entry.endpoints):
        if isinstance(one, EndpointEntry):
            tokens.setdefault(one.url, _token(one, (*place, "endpoints", index), kept))
        else:
            tokens.setdefault(one, None)
    return HubUpstream(
        name=name,
        endpoints=tuple(tokens),
        token=_token(entry, place, kept) or None,
        tokens={url: token for url, token in tokens.items() if token is not None},
        timeouts=_timeouts(entry.timeouts),
        reserve=entry.reserve,
        allow_private=entry.allow_private,
    )


def _token(entry: HubEntry | EndpointEntry, place: Trail, kept: Mapping[Trail, str]) -> str | None:
    """None where nothing is said of one."""
    own = None if entry.token is None else entry.token.get_secret_value()
    return own or kept.get((*place, "token_file"), own)


def veiled(upstreams: Mapping[str, Upstream], used: Collection[Trail]) -> dict[str, Upstream]:
    """The same, with a mark on each whose first address holds what variables gave."""
    return {
        name: replace(found, veiled=any(trail[:4] == ("upstreams", name, "endpoints", 0) for trail in used))
        if isinstance(found, HubUpstream)
        else found
        for name, found in upstreams.items()
    }


def _timeouts(entry: TimeoutsEntry) -> HubTimeouts:
    return HubTimeouts(
        connect=entry.connect.total_seconds(),
        first_byte=entry.first_byte.total_seconds(),
        stall=entry.stall.total_seconds(),
        min_rate=entry.min_rate,
        over=entry.over.total_seconds(),
    )


def target(name: str, entry: FolderEntry | BucketEntry, base: Path) -> Target:
    """`base` is the folder of jobs.yaml."""
    if isinstance(entry, FolderEntry):
        return DirectoryTarget(name, entry.url.beside(base), entry.grace)
    return S3Target(
        name=name,
        grace=entry.grace,
        bucket=entry.url.name,
        prefix=entry.url.prefix,
        endpoint_url=entry.endpoint_url or None,
        region=entry.region or None,
        access_key=entry.access_key.get_secret_value() or None if entry.access_key else None,
        secret_key=entry.secret_key.get_secret_value() or None if entry.secret_key else None,
        addressing=entry.addressing,
        sign_parts=entry.sign_parts,
        multipart=entry.multipart,
        confirm=entry.confirm,
    )


def front(entry: FrontEntry) -> FrontSettings:
    listen: Listen = entry.listen
    return FrontSettings(
        listen.host,
        listen.port,
        entry.bucket,
        entry.url or None,
        entry.user or None,
        entry.cache,
        by_digest=entry.by_digest,
        cors=entry.cors,
    )


def hooks(entry: OnEntry) -> Hooks:
    """By change; a change that nobody is told of is left out."""
    named = {turn: tuple(map(_hook, getattr(entry, turn))) for turn in StateChange}
    return {turn: found for turn, found in named.items() if found}


def _hook(entry: CommandEntry | PostEntry) -> Hook:
    if isinstance(entry, CommandEntry):
        return HookCommand(entry.run, entry.timeout, entry.env)
    return HookPost(entry.post.get_secret_value(), entry.shape, entry.timeout)


def http(entry: HttpEntry) -> HttpSettings | None:
    secret = entry.webhook_secret.get_secret_value() if entry.webhook_secret else ""
    return None if entry.listen is None else HttpSettings(entry.listen.host, entry.listen.port, secret or None)


def site(entry: CatalogueEntry, front: FrontEntry) -> CatalogueSettings | None:
    """None where it is switched off."""
    return CatalogueSettings(entry.name or "", entry.url or front.url or "") if entry.enabled else None


def maintenance(entry: MaintenanceEntry) -> Maintenance:
    """Without a rate, or at 0, a verify reads as fast as it can."""
    rate = None if entry.verify is None else entry.verify.rate or None
    sample = 1.0 if entry.verify is None else entry.verify.sample
    return Maintenance(_care(entry.verify), _care(entry.prune), rate, sample)


def _care(entry: PruneEntry | None) -> Cron | None:
    return None if entry is None else Cron(entry.cron, entry.timezone)


def engine(entry: EngineEntry) -> DaskEngine | None:
    """None for threads."""
    if entry.kind != "dask" or entry.address is None:
        return None
    return DaskEngine(entry.address, (entry.wait or WAIT).total_seconds())


def chosen(said: Value | None, default: Value | None, known: Iterable[Value]) -> Value | None:
    """What the job says, else what defaults say, else the only one there is."""
    if said is not None or default is not None:
        return said if said is not None else default
    only = tuple(known)
    return only[0] if len(only) == 1 else None


def job(entry: JobEntry, defaults: DefaultsEntry, ends: tuple[str, str], policy: LicensePolicy) -> Job:
    """`ends` are the names of the upstream and the target, as chosen."""
    named = [found for found in entry.repos or () if isinstance(found, RepoPattern)]
    denied = tuple(dict.fromkeys(found.pattern for found in entry.repos or () if isinstance(found, Denial)))
    ranking = entry.select.ranking if entry.select else None
    if ranking is not None:  # what is denied takes no place
        ranking = replace(ranking, without=(*ranking.without, *denied))
    return Job(
        name=entry.name,
        repos=(ranking.pattern,) if ranking else tuple(dict.fromkeys(named)),
        ranking=ranking,
        denied=denied,
        upstream=ends[0],
        target=ends[1],
        revisions=tuple(dict.fromkeys(_first(entry.revisions, defaults.revisions, ("main",)))),
        selection=Selection(
            include=_first(entry.include, defaults.include, ("*",)),
            exclude=_first(entry.exclude, defaults.exclude, ()),
        ),
        policy=policy,
        schedule=_schedule(entry.schedule if entry.schedule is not None else defaults.schedule),
        workers=_first(entry.workers, defaults.workers, _WORKERS),
        guard=_guard(_first(entry.guard, defaults.guard, GuardEntry())),
        on_gone=_first(entry.on_gone, defaults.on_gone, OnGone.KEEP),
        connections=entry.connections if entry.connections is not None else defaults.connections,
        bandwidth=bandwidth(entry.bandwidth or defaults.bandwidth),
        retention=_retention(_first(entry.retention, defaults.retention, RetentionEntry())),
    )


def _guard(entry: GuardEntry) -> Guard:
    return Guard(entry.max_removed, frozenset(entry.accept))


def bandwidth(entry: BandwidthEntry | None) -> Bandwidth:
    return Bandwidth() if entry is None else entry.bandwidth


def _retention(entry: RetentionEntry) -> Retention:
    return Retention(entry.snapshots, timedelta(days=entry.days))


def _first(said: Value | None, default: Value | None, otherwise: Value) -> Value:
    if said is not None:
        return said
    return default if default is not None else otherwise


def _schedule(entry: ScheduleEntry | None) -> Schedule | None:
    match entry:
        case EveryEntry():
            return Every(entry.every, entry.jitter, _hours(entry))
        case CronEntry():
            return Cron(entry.cron, entry.timezone, entry.jitter, _hours(entry))
    return None  # left out, or manual


def _hours(entry: EveryEntry | CronEntry) -> Hours | None:
    zone = entry.timezone or "UTC"
    return None if entry.only is None else Hours(entry.only, UTC if zone == "UTC" else ZoneInfo(zone))


def policy(common: LicensesEntry, own: LicensesEntry | None) -> LicensePolicy:
    """A job that names allow or review has its own lists, both; missing and approved it inherits where it is silent."""
    own = own or LicensesEntry()
    lists = own if own.allow is not None or own.review is not None else common
    approved = _first(own.approved, common.approved, ())
    return LicensePolicy(
        allow=frozenset(lists.allow or ()),
        review=frozenset(lists.review or ()),
        missing=_first(own.missing, common.missing, Missing.REFUSE),
        approved=tuple(Approval(entry.repo, entry.by, entry.why) for entry in approved),
    )
