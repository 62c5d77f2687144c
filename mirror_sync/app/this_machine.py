"""What this machine knows of a target, for the catalogue: its jobs as jobs.yaml has them, beside the history."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from mirror_sync import __version__
from mirror_sync.app.fingerprints import places_of
from mirror_sync.app.inventory import Memory, take_inventory
from mirror_sync.app.next_runs import JobLine
from mirror_sync.app.remembered import machine_word, replicas_of
from mirror_sync.catalogue.local_knowledge import KnownJob, LocalKnowledge
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.keys.program_entries import WatchEntry
from mirror_sync.config.settings import Settings
from mirror_sync.domain.catalogue.feed import FIRST_FEED, Feed, mirror_id, upstream_word
from mirror_sync.domain.catalogue.page_data import FEED
from mirror_sync.domain.catalogue.rows import Day, Overview, ShownJob
from mirror_sync.domain.job.job import Cron, Every, Job, Schedule
from mirror_sync.domain.job.upstreams import MirrorUpstream
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.front_counts import FrontDay
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.outcome.wish import HowToAsk, RepoWish, Wishlist
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import DocumentError, StoreError
from mirror_sync.owners import is_there
from mirror_sync.state.history import RUNS_KEPT, History
from mirror_sync.state.pauses import Pauses
from mirror_sync.state.records import RunRecord, RunState, Size
from mirror_sync.state.target_memory import mirror_memory
from mirror_sync.state.traffic_file import kept_days, kept_downloads, kept_front, kept_unusual
from mirror_sync.state.wishes import FILE as WISHES
from mirror_sync.state.wishes import Wishes

_NOTING = ("ask", "fetch")  # of front.miss: what is asked for in vain is noted
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def known_of(settings: Settings, history: History, target: str) -> LocalKnowledge:
    """OSError when the history cannot be read."""
    jobs = [job for job in settings.jobs if job.target == target]
    runs, now = history.runs(RUNS_KEPT), datetime.now(UTC)
    memory = Memory(history.latest(), runs, places_of(settings), Pauses(settings.state_dir).all())
    inventory = take_inventory(jobs, memory, now)
    tended = {each.care: each for each in history.tended() if each.target == target}
    verified, pruned = tended.get(Care.VERIFY), tended.get(Care.PRUNE)
    own = Machine(settings, machine_word(settings.state_dir), now)
    return LocalKnowledge(
        machine=own.name,
        version=__version__,
        at=now,
        lines=_veiled(inventory.lines, jobs),
        jobs=tuple(own.job(job, line, runs) for job, line in zip(jobs, inventory.jobs, strict=True)),
        name=settings.site.name or "",
        url=settings.site.url or settings.front.url or "",
        principal=settings.trust.principal,
        doors=settings.front.doors,
        traffic=_traffic(settings, target),
        verified=verified.at if verified else None,
        faults=verified.faults if verified else 0,
        pruned=pruned.at if pruned else None,
        unusual=_unusual(settings, target),
        downloads=kept_downloads(settings.state_dir, target),
        apart=settings.site.apart,
        grow=partial(_grow, history, place_of(settings.targets[target])),
        ask=how_to_ask(settings),
        wishes=_wished(settings, target),
        id=target_id(settings, target),
        replicas=replicas_of(settings, target),
        front=_front(settings, now),
        through={
            upstream_word(name): _ids_of(settings, name)
            for name in sorted({job.upstream for job in jobs})
            if isinstance(settings.upstreams[name], MirrorUpstream)
        },
    )


def how_to_ask(settings: Settings) -> HowToAsk:
    """As jobs.yaml has it."""
    ask, listed = settings.site.ask, settings.site.ask.form or settings.front.miss in _NOTING
    return HowToAsk(ask.url or "", ask.text or "", ask.form, listed)


def _wished(settings: Settings, target: str) -> tuple[RepoWish, ...] | None:
    """What was asked for of a target; nothing where nobody was asked to note it, None where that cannot be read."""
    if not how_to_ask(settings).listed or not is_there(settings.state_dir / WISHES):
        return ()
    wishes = Wishes(settings.state_dir, reading=True)
    try:
        return Wishlist.of(wishes.all(target)).wishes
    except StoreError:
        return None
    finally:
        wishes.close()


def target_id(settings: Settings, target: str) -> str:
    """Who publishes a target, for mirrors of it: this machine, there. OSError."""
    return mirror_id(machine_word(settings.state_dir), place_of(settings.targets[target]))


def _ids_of(settings: Settings, upstream: str) -> frozenset[str] | None:
    """The mirrors that have a part in what an upstream gave last; None where nothing is remembered."""
    with suppress(StoreError, DocumentError):
        found = settings.upstreams[upstream]
        place = found.place if isinstance(found, MirrorUpstream) else ""
        memory = mirror_memory(settings.state_dir, place, reading=True)
        kept = memory.recall(FEED, "") or memory.recall(FIRST_FEED, "")
        return None if kept is None else Feed.decode(kept.partition(b"\n")[2]).ids
    return None


def _veiled(lines: Iterable[RepoStatus], jobs: Iterable[Job]) -> tuple[RepoStatus, ...]:
    """What a glob brought, and was never mirrored, may be private while nobody could look at it: told as the glob."""
    by_name = {job.name: job for job in jobs}
    return tuple(dict.fromkeys(_as_glob(line, by_name[line.job]) for line in lines))


def _as_glob(line: RepoStatus, job: Job) -> RepoStatus:
    if line.state is not RepoState.FAILED or line.last_success:
        return line
    pattern = line.pattern
    if pattern.is_glob or job.spells_out(pattern.repo):
        return line
    glob = next(each for each in job.repos if each.matches(pattern.repo))
    return RepoStatus(*Subject.of(line.job, glob, *job.revisions).parts, line.state, code=line.code)


class Machine:
    """This machine, as the others know it."""

    def __init__(self, settings: Settings, name: str, now: datetime) -> None:
        self._settings, self.name, self._at = settings, name, iso_utc(now)

    def job(self, job: Job, line: JobLine, runs: tuple[RunRecord, ...]) -> KnownJob:
        complete = (run for run in runs if job.name in run.jobs and run.state_of(job.name) is RunState.COMPLETE)
        last = line.last_run
        shown = ShownJob(
            name=job.name,
            schedule=_schedule(job.schedule),
            repos=0,  # counted where what is published is known
            mirrored=0,
            last_started=last.started if last else None,
            last_finished=last.finished if last else None,
            last_state=last.state if last else "",
            next_run=None if line.next_run is None else iso_utc(line.next_run),
            paused=line.paused,
        )
        succeeded = next((run.finished for run in complete), None)
        return KnownJob(shown, self.name, self._at, self._settings.upstreams[job.upstream].shown_origin, succeeded)


def _grow(history: History, place: str, today: Overview) -> tuple[Day, ...]:
    history.measure(place, Size(today.at[:10], today.repos, today.files, today.bytes))
    return tuple(Day(size.day, size.bytes, size.repos) for size in history.growth(place))


def _traffic(settings: Settings, target: str) -> tuple[Day, ...]:
    """What was counted of this target; nothing where that cannot be read."""
    return tuple(
        Day(day["day"], day["bytes"], downloads=day["downloads"], clients=day["clients"])
        for day in kept_days(settings.state_dir, target)
    )


def _front(settings: Settings, now: datetime) -> FrontDay | None:
    """What the daemon counted; nothing of several targets, of which nobody knows which one the front serves."""
    if settings.front.watch == WatchEntry() or len({job.target for job in settings.jobs}) > 1:
        return None
    return kept_front(settings.state_dir).day(now)


def _unusual(settings: Settings, target: str) -> tuple[str, int]:
    """Who they are is the operator's alone."""
    last, found = kept_unusual(settings.state_dir, target)
    return last[:10], len({one["client"] for one in found})


def _schedule(schedule: Schedule | None) -> str:
    match schedule:
        case Every():
            return f"every {_length(schedule.interval)}"
        case Cron():
            zone = "" if schedule.timezone == "UTC" else f" {schedule.timezone}"
            return f"cron {schedule.expression}{zone}"
    return "by hand"


def _length(interval: timedelta) -> str:
    """6h, 1h30m."""
    left, said = round(interval.total_seconds()), ""
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        said += f"{count}{unit}" if count else ""
    return said or "0s"
