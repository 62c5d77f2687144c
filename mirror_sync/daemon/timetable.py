"""When each job runs: APScheduler behind the few verbs that the daemon needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from mirror_sync.app.triggers import due_after, trigger_of
from mirror_sync.daemon.lease import JobMark
from mirror_sync.domain.job.job import Cron, Every, Schedule

AT_ONCE = 4  # jobs that run side by side; the others wait for their turn
_SPREAD = 2.0  # seconds between the first runs of two jobs
_OURS = "ours"  # the store and executor of the heartbeat, whose name no job can take


def resumed(
    schedules: Mapping[str, Schedule], marks: Mapping[str, JobMark], alive: float | None, now: datetime
) -> dict[str, datetime]:
    """When jobs run first that another daemon has run until now, as far as that is known of them.

    A run that was cut off goes on at once, and so does what has become due since the other one was last seen alive,
    `alive` seconds ago; all else runs when the other would have run it.
    """
    found: dict[str, datetime] = {}
    for name, schedule in schedules.items():
        mark = marks.get(name)
        began = None if mark is None else now - timedelta(seconds=mark.age)
        if mark is not None and mark.going:
            found[name] = now
        elif began is not None and isinstance(schedule, Every):
            found[name] = max(now, began + schedule.interval)
        elif alive is not None and isinstance(schedule, Cron):
            since = max(filter(None, (began, now - timedelta(seconds=alive))))
            due = due_after(replace(schedule, jitter=timedelta(0)), since)
            if due is not None and due <= now:
                found[name] = now
    return found


class Timetable:
    """Calls `run(name)` when a job is due: never twice at once for one name, once for times that were missed.

    A job with an interval runs first at the start, or when its hours begin; after that, and with a crontab
    expression, at its times.
    """

    def __init__(self, run: Callable[[str], None]) -> None:
        self._run = run
        self._schedules: dict[str, Schedule] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            daemon=True,
            jobstores={"default": MemoryJobStore(), _OURS: MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(AT_ONCE), _OURS: DebugExecutor()},
            # no grace time: a run that comes late, since the machine slept or all were busy, is better than none
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        # its warnings tell of runs that were left out because the one before goes on: that is meant
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def start(self) -> None:
        """Begin to start what is due, in a thread of its own."""
        self._scheduler.start()

    def stop(self) -> None:
        """No run begins any more; those that go on are not waited for."""
        self._scheduler.shutdown(wait=False)

    def beat(self, seconds: float, sign: Callable[[], None]) -> None:
        """Call `sign` at this interval, in the very thread that decides which job is due: it stops when that does."""
        self._scheduler.add_job(
            sign,
            "interval",
            seconds=seconds,
            id="beat",
            jobstore=_OURS,
            executor=_OURS,
            next_run_time=datetime.now(UTC),
        )

    def replace(self, schedules: Mapping[str, Schedule], first: Mapping[str, datetime] | None = None) -> None:
        """From now on these jobs and no others; one whose schedule is as before keeps its next time.

        `first`: when those of a name that is new run first, where it is not as their schedule says.
        """
        for name in self._schedules.keys() - schedules.keys():
            self._scheduler.remove_job(name)
        position = 0
        for name, schedule in schedules.items():
            if name not in self._schedules:
                self._add(name, schedule, position, (first or {}).get(name))
                position += 1
            elif schedule != self._schedules[name]:
                self._scheduler.reschedule_job(name, trigger=trigger_of(schedule))
        self._schedules = dict(schedules)

    def next_run(self) -> tuple[str, datetime] | None:
        """The job that is due next, and when, in UTC."""
        return min(self.next_runs().items(), key=itemgetter(1), default=None)

    def next_runs(self) -> dict[str, datetime]:
        """When each job is due next, in UTC."""
        return {
            entry.id: entry.next_run_time.astimezone(UTC)
            for entry in self._scheduler.get_jobs("default")
            if entry.next_run_time
        }

    def _add(self, name: str, schedule: Schedule, position: int, at: datetime | None) -> None:
        now = datetime.now(UTC) + timedelta(seconds=position * _SPREAD)
        begins = now if at is None else max(at, now)
        first = {"next_run_time": begins if schedule.only is None else schedule.only.opens(begins)}
        self._scheduler.add_job(
            self._run,
            trigger_of(schedule),
            args=(name,),
            id=name,
            name=name,
            **(first if isinstance(schedule, Every) or at is not None else {}),
        )
