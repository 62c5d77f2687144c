"""Metrics that are made when they are asked for, out of the ledger and of what is read at that moment.

Four series for each revision of a repo, so that 10,000 of them are 40,000 series; all others are few: by job, target,
upstream. No series is counted up here; that is what metrics.py does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.observe.metrics.ledger import JobOutcome, Ledger, MetricsSnapshot, seconds_of
from mirror_sync.observe.metrics.readings import Readings

Sample = tuple[tuple[str, ...], float | None]
_JOB = ("mirror_job",)
_REPO = ("mirror_job", "kind", "repo", "revision")


class Families(Collector):
    """`read` is called once a scrape, in the thread that scrapes."""

    def __init__(self, ledger: Ledger, read: Callable[[], Readings], rate: Callable[[], float]) -> None:
        self._ledger, self._read, self._rate = ledger, read, rate

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: else the registry would ask for everything when this is added to it."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        readings = self._read()  # which may tell the ledger something
        page = self._ledger.page()
        yield from _repos(page)
        yield from _jobs(page)
        yield from _schedule(readings)
        yield from _targets(page, readings)
        yield from _upstreams(readings)
        yield from _daemon(page, readings)
        yield _gauge(
            "transfer_bytes_per_second",
            "Bytes a second that come from upstreams, over ten seconds.",
            [((), self._rate())],
        )


def _gauge(name: str, help_text: str, samples: Iterable[Sample], labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    """A sample without a value is left out."""
    family = GaugeMetricFamily(f"mirror_sync_{name}", help_text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _repos(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    repos = page.repos.items()
    yield _gauge(
        "repo_last_success_timestamp_seconds",
        "When a repo's revision was last known to be as upstream has it.",
        ((key.parts, state.success) for key, state in repos),
        _REPO,
    )
    yield _gauge(
        "repo_last_attempt_timestamp_seconds",
        "When a repo's revision was last tried, whatever came of it.",
        ((key.parts, state.attempt) for key, state in repos),
        _REPO,
    )
    yield _gauge(
        "repo_outcome",
        "1 for what came of the last attempt at a repo's revision, and the code of why; other outcomes have no series.",
        (((*key.parts, state.outcome, state.code), 1.0) for key, state in repos),
        (*_REPO, "outcome", "code"),
    )
    yield _gauge(
        "repo_lag_seconds",
        "How long readers waited for the commit that was published last; no series while nobody can say.",
        ((key.parts, state.lag) for key, state in repos),
        _REPO,
    )


def _jobs(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    jobs = page.jobs.items()
    yield _gauge(
        "job_first_seen_timestamp_seconds",
        "When a job was first known: its first run that is remembered, or since the daemon has it.",
        (((name,), state.first_seen) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_last_attempt_timestamp_seconds",
        "When the newest run of a job began.",
        (((name,), state.attempt) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_last_success_timestamp_seconds",
        "When the newest complete run of a job ended.",
        (((name,), state.success) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_last_success_duration_seconds",
        "How long the newest complete run of a job took.",
        (((name,), state.duration) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_last_end_timestamp_seconds",
        "When the newest run of a job that looked at all its repos ended, whatever became of them.",
        (((name,), state.ended) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_last_end_duration_seconds",
        "How long that run took.",
        (((name,), state.took) for name, state in jobs),
        _JOB,
    )
    yield _gauge(
        "job_outcome",
        "How the newest run of a job ended: 1 for one outcome, 0 for the others, all 0 before the first.",
        (((name, outcome), float(state.outcome is outcome)) for name, state in jobs for outcome in JobOutcome),
        (*_JOB, "outcome"),
    )
    yield from _repos_of_jobs(page)


def _repos_of_jobs(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    by_outcome = Counter((key.job, state.outcome) for key, state in page.repos.items())
    by_code = Counter((key.job, state.code) for key, state in page.repos.items() if state.code)
    yield _gauge(
        "job_repos",
        "Revisions of repos of a job by what came of the last attempt at each.",
        (((job, outcome), float(by_outcome[job, outcome])) for job in page.jobs for outcome in RepoOutcome),
        (*_JOB, "outcome"),
    )
    yield _gauge(
        "job_repos_by_code",
        "Revisions of repos of a job whose last attempt ended with this code: why it failed, is held or refused.",
        ((key, float(count)) for key, count in sorted(by_code.items())),
        (*_JOB, "code"),
    )
    yield _gauge(
        "job_repos_pending",
        "Revisions of repos that the run going on has listed and not finished: the queue.",
        (((name,), float(state.pending)) for name, state in page.jobs.items()),
        _JOB,
    )


def _schedule(readings: Readings) -> Iterator[GaugeMetricFamily]:
    jobs = readings.jobs.items()
    yield _gauge(
        "job_running", "1 while a run of the job goes on.", (((name,), float(due.running)) for name, due in jobs), _JOB
    )
    yield _gauge(
        "job_next_run_timestamp_seconds",
        "When a job runs next.",
        (((name,), due.next_run) for name, due in jobs),
        _JOB,
    )
    yield _gauge(
        "job_overdue_seconds",
        "How long ago a job should have run again and no run has begun since that came to its end; 0 in time.",
        (((name,), due.overdue) for name, due in jobs),
        _JOB,
    )


def _targets(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    # two jobs may publish one revision: it is there once
    there = {
        (readings.jobs[key.job].target, key.parts[1:]): state
        for key, state in page.repos.items()
        if key.job in readings.jobs
    }
    files, size = Counter[str](), Counter[str]()
    for (target, _), state in there.items():
        files[target] += state.files
        size[target] += state.bytes
    targets = sorted({due.target for due in readings.jobs.values()})
    yield _gauge(
        "target_published_files",
        "Files of the snapshots that branches and tags of scheduled jobs lead to.",
        (((name,), float(files[name])) for name in targets),
        ("target",),
    )
    yield _gauge(
        "target_published_bytes",
        "Bytes of these files; what several repos share counts for each, older snapshots do not count.",
        (((name,), float(size[name])) for name in targets),
        ("target",),
    )
    for care in Care:
        yield _gauge(
            f"last_{care}_timestamp_seconds",
            f"When the last {care} of a target came to its end; no series before the first.",
            (((name,), seconds_of(event.at)) for (name, kind), event in page.tended.items() if kind is care),
            ("target",),
        )
        yield _gauge(
            f"last_{care}_faults",
            f"What the last {care} of a target found that needs a person.",
            (((name,), float(event.faults)) for (name, kind), event in page.tended.items() if kind is care),
            ("target",),
        )
    yield _gauge(
        "traffic_unusual_clients",
        "Clients that the last traffic report of a target found unusual on its last day, by what they did.",
        ((key, float(count)) for key, count in readings.unusual.items()),
        ("target", "kind"),
    )
    yield _gauge(
        "traffic_last_request_timestamp_seconds",
        "The last request of a target's front that a traffic report has counted.",
        (((name,), at) for name, at in readings.counted.items()),
        ("target",),
    )
    yield _gauge(
        "target_up",
        "1 when a target answered the last time it was asked, which happens twice a minute.",
        (((name,), float(page.up[name])) for name in targets if name in page.up),
        ("target",),
    )


def _upstreams(readings: Readings) -> Iterator[GaugeMetricFamily]:
    known = [((name, kind), state) for name, kinds in readings.budgets.items() for kind, state in kinds.items()]
    labels = ("upstream", "kind")
    yield _gauge(
        "upstream_budget_remaining_calls",
        "Calls that an upstream's rate limit leaves in this window, by its last answer.",
        ((key, float(state.remaining)) for key, state in known),
        labels,
    )
    yield _gauge(
        "upstream_budget_quota_calls",
        "Calls that an upstream's rate limit allows in a window.",
        ((key, float(state.quota)) for key, state in known),
        labels,
    )


def _daemon(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    disks = readings.disks.items()
    yield _gauge(
        "disk_free_bytes",
        "What we may still write where state_dir or a directory target lies.",
        (((name,), float(disk.free)) for name, disk in disks),
        ("disk",),
    )
    yield _gauge(
        "disk_size_bytes",
        "What is used and what we may still write there, as df counts.",
        (((name,), float(disk.size)) for name, disk in disks),
        ("disk",),
    )
    yield _gauge(
        "state_writable",
        "1 while we may write state_dir and every file in it, 0 when what happens is not remembered.",
        [((), None if readings.hindrance is None else float(not readings.hindrance))],
    )
    yield _gauge(
        "scheduler_heartbeat_age_seconds",
        "How long ago the thread that starts the jobs last showed that it lives.",
        [((), readings.heartbeat)],
    )
    yield _gauge(
        "config_last_reload_successful",
        "1 when jobs.yaml was without faults when it was last read, 0 when the daemon goes on with an older one.",
        [((), float(page.config_sound))],
    )
    yield _gauge(
        "config_last_reload_success_timestamp_seconds",
        "When jobs.yaml was last read without faults.",
        [((), page.config_read)],
    )
