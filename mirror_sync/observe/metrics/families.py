"""Metrics that are made when they are asked for, out of the ledger and of what is read at that moment.

Four series for each revision of a repo, so that 10,000 of them are 40,000 series; all others are few: by job, target,
upstream. No series is counted up here; that is what metrics.py does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.decisions import key_of
from mirror_sync.domain.repo import Repo
from mirror_sync.observe.metrics.front_families import front_families
from mirror_sync.observe.metrics.ledger import JobOutcome, Ledger, MetricsSnapshot, RepoFigures, seconds_of
from mirror_sync.observe.metrics.readings import Readings

Sample = tuple[tuple[str, ...], float | None]
Figure = tuple[str, str, Callable[[Any], float | None]]
"""A metric: its name, its help, and its value for one of those that have it; None for no series."""
_JOB = ("mirror_job",)
_REPO = ("mirror_job", "kind", "repo", "revision")
_IN_TARGET = ("target", "kind", "repo")

_TIMES_OF_REPOS: tuple[Figure, ...] = (
    (
        "repo_last_success_timestamp_seconds",
        "When a repo's revision was last known to be as upstream has it.",
        lambda repo: repo.success,
    ),
    (
        "repo_last_attempt_timestamp_seconds",
        "When a repo's revision was last tried, whatever came of it.",
        lambda repo: repo.attempt,
    ),
)
_TIMES_OF_JOBS: tuple[Figure, ...] = (
    (
        "job_first_seen_timestamp_seconds",
        "When a job was first known: its first run that is remembered, or since the daemon has it.",
        lambda job: job.first_seen,
    ),
    ("job_last_attempt_timestamp_seconds", "When the newest run of a job began.", lambda job: job.attempt),
    ("job_last_success_timestamp_seconds", "When the newest complete run of a job ended.", lambda job: job.success),
    (
        "job_last_success_duration_seconds",
        "How long the newest complete run of a job took.",
        lambda job: job.duration,
    ),
    (
        "job_last_end_timestamp_seconds",
        "When the newest run of a job that looked at all its repos ended, whatever became of them.",
        lambda job: job.ended,
    ),
    ("job_last_end_duration_seconds", "How long that run took.", lambda job: job.took),
)
_SCHEDULE: tuple[Figure, ...] = (
    ("job_running", "1 while a run of the job goes on.", lambda due: float(due.running)),
    ("job_next_run_timestamp_seconds", "When a job runs next.", lambda due: due.next_run),
    (
        "job_overdue_seconds",
        "How long ago a job should have run again and no run has begun since that came to its end; 0 in time.",
        lambda due: due.overdue,
    ),
)
_BUDGETS: tuple[Figure, ...] = (
    (
        "upstream_budget_remaining_calls",
        "Calls that an upstream's rate limit leaves in this window, by its last answer.",
        lambda budget: float(budget.remaining),
    ),
    (
        "upstream_budget_quota_calls",
        "Calls that an upstream's rate limit allows in a window.",
        lambda budget: float(budget.quota),
    ),
)
_SPEEDS: tuple[Figure, ...] = (
    (
        "endpoint_first_byte_seconds",
        "How long a file's first byte takes by an endpoint of several, once that is measured.",
        lambda pace: pace.first_byte or None,
    ),
    (
        "endpoint_rate_bytes",
        "Bytes a second of one stream by an endpoint of several, once that is measured.",
        lambda pace: pace.rate or None,
    ),
    (
        "endpoint_taken",
        "1 for the endpoint of several that files come by first.",
        lambda pace: float(pace.taken),
    ),
    (
        "endpoint_streams",
        "Files and parts of files that an endpoint of several was asked for since this process began.",
        lambda pace: float(pace.asked),
    ),
    (
        "endpoint_failed_streams",
        "Those of them that it gave not at all, not to the end, or wrong.",
        lambda pace: float(pace.errors),
    ),
)
_DISKS: tuple[Figure, ...] = (
    (
        "disk_free_bytes",
        "What we may still write where state_dir or a directory target lies.",
        lambda disk: float(disk.free),
    ),
    ("disk_size_bytes", "What is used and what we may still write there, as df counts.", lambda disk: float(disk.size)),
)
_REPLICAS: tuple[Figure, ...] = (
    (
        "replica_published_timestamp_seconds",
        "Up to when a replica has all that its target has published; no series before it first had.",
        lambda one: one.published,
    ),
    (
        "replica_behind_seconds",
        "For how long something has been published that a replica has not; 0 for nothing.",
        lambda one: one.behind,
    ),
    (
        "replica_behind_snapshots",
        "Snapshots that are to be copied to a replica, as the last pass over it counted.",
        lambda one: float(one.snapshots),
    ),
    ("replica_failing", "1 when the last pass over a replica came to no end.", lambda one: float(one.failing)),
    (
        "replica_alert_behind_seconds",
        "From when on jobs.yaml calls a replica far behind; no series where it says nothing.",
        lambda one: one.alert_behind,
    ),
)
_LEASES: tuple[Figure, ...] = (
    (
        "ha_leader",
        "1 at the daemon that has the lease in a target, 0 at a standby; no series where jobs.yaml has no ha.",
        lambda one: float(one.leads),
    ),
    ("ha_since_timestamp_seconds", "Since when a daemon has been what it is.", lambda one: one.since),
    ("ha_lease_contact_age_seconds", "How long ago a daemon last read or wrote the lease.", lambda one: one.contact),
    (
        "ha_changes",
        "How often a daemon has become leader or standby since it began.",
        lambda one: float(one.changes),
    ),
)
_DAEMON: tuple[tuple[str, str, Callable[[MetricsSnapshot, Readings], float | None]], ...] = (
    (
        "front_certificate_expiry_timestamp_seconds",
        "When the certificate of front.tls ends; not told where there is none, or it cannot be read.",
        lambda _, readings: readings.certificate_ends,
    ),
    (
        "state_writable",
        "1 while we may write state_dir and every file in it, 0 when what happens is not remembered.",
        lambda _, readings: None if readings.hindrance is None else float(not readings.hindrance),
    ),
    (
        "scheduler_heartbeat_age_seconds",
        "How long ago the thread that starts the jobs last showed that it lives.",
        lambda _, readings: readings.heartbeat,
    ),
    (
        "config_last_reload_successful",
        "1 when jobs.yaml was without faults when it was last read, 0 when the daemon goes on with an older one.",
        lambda page, _: float(page.config_sound),
    ),
    (
        "config_last_reload_success_timestamp_seconds",
        "When jobs.yaml was last read without faults.",
        lambda page, _: page.config_read,
    ),
)


class Families(Collector):
    """`read` is called once a scrape, in the thread that scrapes."""

    def __init__(self, ledger: Ledger, read: Callable[[], Readings], rate: Callable[[], float]) -> None:
        self._ledger, self._read, self._rate = ledger, read, rate

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: else the registry would ask for everything when this is added to it."""
        return ()

    def collect(self) -> Iterator[Metric]:
        readings = self._read()  # which may tell the ledger something
        page = self._ledger.page()
        yield from _repos(page)
        yield from _jobs(page)
        yield from _gauges(_SCHEDULE, (((name,), due) for name, due in readings.jobs.items()), _JOB)
        yield from _published(page, readings)
        yield _held(page, readings)
        yield from _trusted(page, readings)
        yield from _versions(page, readings)
        yield from _care(page)
        yield from _targets(page, readings)
        yield from _gauges(_BUDGETS, _by_two(readings.budgets), ("upstream", "kind"))
        yield from _gauges(_SPEEDS, _by_two(readings.speeds), ("upstream", "endpoint"))
        yield from _gauges(_DISKS, (((name,), disk) for name, disk in readings.disks.items()), ("disk",))
        yield from _gauges(_REPLICAS, readings.replicas.items(), ("target", "replica"))
        yield from _gauges(_LEASES, (((name,), one) for name, one in readings.ha.items()), ("target",))
        yield from front_families(readings.front)
        for name, help_text, value_of in _DAEMON:
            yield _gauge(name, help_text, [((), value_of(page, readings))])
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


def _gauges(
    figures: Iterable[Figure], things: Iterable[tuple[tuple[str, ...], object]], labels: tuple[str, ...]
) -> Iterator[GaugeMetricFamily]:
    """One for each figure, with a sample for each of the things, which come with the values of their labels."""
    known = list(things)
    for name, help_text, value_of in figures:
        yield _gauge(name, help_text, [(values, value_of(thing)) for values, thing in known], labels)


def _repos(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    repos = [(key.parts, state) for key, state in page.repos.items()]
    yield from _gauges(_TIMES_OF_REPOS, repos, _REPO)
    yield _gauge(
        "repo_outcome",
        "1 for what came of the last attempt at a repo's revision, and the code of why; other outcomes have no series.",
        (((*key, state.outcome, state.code), 1.0) for key, state in repos),
        (*_REPO, "outcome", "code"),
    )
    yield _gauge(
        "repo_lag_seconds",
        "How long readers waited for the commit that was published last; no series while nobody can say.",
        ((key, state.lag) for key, state in repos),
        _REPO,
    )


def _jobs(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    jobs = page.jobs.items()
    yield from _gauges(_TIMES_OF_JOBS, (((name,), job) for name, job in jobs), _JOB)
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


def _trusted(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    """What is known of the trust in what is published; each of its names once, however many jobs ask for it."""
    targets, there = _scheduled(readings), _there(page, readings)
    signed = Counter(target for (target, _), state in there.items() if state.assurance.signed)
    unsigned = Counter(target for (target, _), state in there.items() if state.assurance.signed is False)
    gone = Counter(target for target, _ in {(key[0], key[1][:2]) for key, state in there.items() if state.withdrawn})
    keys = readings.signing
    yield _gauge(
        "target_signed_snapshots",
        "Snapshots that branches and tags of scheduled jobs lead to and that are signed.",
        (((name,), float(signed[name])) for name in targets),
        ("target",),
    )
    yield _gauge(
        "target_unsigned_snapshots",
        "Those of them that are not signed; no series where jobs.yaml names no key to sign with.",
        (((name,), float(unsigned[name])) for name in targets if name in keys),
        ("target",),
    )
    yield _gauge(
        "signing_key_since_timestamp_seconds",
        "Since when the key with this fingerprint signs what this machine does in a target.",
        (((name, key), seconds_of(since)) for name, (key, since) in keys.items() if since),
        ("target", "fingerprint"),
    )
    yield _gauge(
        "target_withdrawn_repos",
        "Repos of scheduled jobs that a person has taken down.",
        (((name,), float(gone[name])) for name in targets),
        ("target",),
    )
    yield _gauge(
        "target_oldest_scan_timestamp_seconds",
        "When the least lately scanned snapshot was scanned: as it was published, or in a clean rescan of all.",
        (((name,), _oldest_scan(page, there, name)) for name in targets),
        ("target",),
    )


def _versions(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    """Which version readers get, as a look at the target found it a minute ago; nothing of repos without such names."""
    targets = _scheduled(readings)
    seen = [((target, *_of(one.repo)), one) for target in targets for one in page.names.get(target, ())]
    yield _gauge(
        "repo_pinned_timestamp_seconds",
        "Since when main of a repo is pinned; 0 where nobody can tell, no series where it is not.",
        ((key, one.pinned) for key, one in seen),
        _IN_TARGET,
    )
    yield _gauge(
        "channel_moved_timestamp_seconds",
        "When a channel of a repo came to stand where it does.",
        (((*key, name), at) for key, one in seen for name, at in one.channels),
        (*_IN_TARGET, "channel"),
    )
    yield _gauge(
        "repo_share_ratio",
        "How much of the readers of main are given a channel instead, from 0 to 1; no series without a grey release.",
        (((*key, one.shared[0]), one.shared[1]) for key, one in seen if one.shared is not None),
        (*_IN_TARGET, "channel"),
    )
    yield _gauge(
        "rollout_state",
        "1 for what came of the last look at a grey release of a job that has a rollout; other states have no series.",
        (
            ((target, job, *_of(repo), state), 1.0)
            for target in targets
            for job, repo, state in page.rollouts.get(target, ())
        ),
        ("target", "mirror_job", "kind", "repo", "state"),
    )


def _of(repo: Repo) -> tuple[str, str]:
    return repo.kind, repo.id


def _oldest_scan(
    page: MetricsSnapshot, there: Mapping[tuple[str, tuple[str, ...]], RepoFigures], target: str
) -> float | None:
    """None where nothing is scanned."""
    again = page.tended.get((target, Care.RESCAN))
    least = 0.0 if again is None or again.faults else seconds_of(again.at)
    scans = [one.assurance.scanned_at for (name, _), one in there.items() if name == target]
    return min((max(least, seconds_of(at)) for at in scans if at is not None), default=None)


def _there(page: MetricsSnapshot, readings: Readings) -> dict[tuple[str, tuple[str, ...]], RepoFigures]:
    """By target, kind, repo and revision: two jobs may publish one revision, which is there once."""
    return {
        (readings.jobs[key.job].target, key.parts[1:]): state
        for key, state in page.repos.items()
        if key.job in readings.jobs
    }


def _published(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    there = _there(page, readings)
    files, size = Counter[str](), Counter[str]()
    for (target, _), state in there.items():
        files[target] += state.files
        size[target] += state.bytes
    targets = _scheduled(readings)
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


def _held(page: MetricsSnapshot, readings: Readings) -> GaugeMetricFamily:
    # several jobs may wait for one repo, and for several of its revisions: it is one for who decides
    held = {
        (readings.jobs[key.job].target, key_of(state.code) or state.code, key.parts[1:3])
        for key, state in page.repos.items()
        if state.outcome is RepoOutcome.HELD and key.job in readings.jobs
    }
    counts = Counter((target, rule) for target, rule, _ in held)
    return _gauge(
        "target_held_repos",
        "Repos of scheduled jobs that are held by a rule, or withdrawn, at the last attempt at them.",
        ((key, float(count)) for key, count in sorted(counts.items())),
        ("target", "rule"),
    )


def _care(page: MetricsSnapshot) -> Iterator[GaugeMetricFamily]:
    for care in Care:
        ended = [((name,), event) for (name, kind), event in page.tended.items() if kind is care]
        yield _gauge(
            f"last_{care}_timestamp_seconds",
            f"When the last {care} of a target came to its end; no series before the first.",
            ((name, seconds_of(event.at)) for name, event in ended),
            ("target",),
        )
        yield _gauge(
            f"last_{care}_faults",
            f"What the last {care} of a target found that needs a person.",
            ((name, float(event.faults)) for name, event in ended),
            ("target",),
        )


_KEEPS = (
    ("limit", "target_keep_limit_bytes", "What a target may store, as its keep says, at its last prune."),
    ("left", "target_keep_bytes", "What a target with a keep stored after its last prune."),
    ("repos", "target_keep_let_go_repos", "Repos that the last prune of a target let go of."),
    (
        "since",
        "target_keep_counted_since_timestamp_seconds",
        "Since when reads of a target are counted without a gap, at its last prune; no series where they are not.",
    ),
)


def _targets(page: MetricsSnapshot, readings: Readings) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "traffic_unusual_clients",
        "Clients that the last traffic report of a target found unusual on its last day, by what they did.",
        ((key, float(count)) for key, count in readings.unusual.items()),
        ("target", "kind"),
    )
    yield _gauge(
        "traffic_refused_requests",
        "Requests that the last traffic report of a target found refused: for want of a good token, or of a role.",
        ((key, float(count)) for key, count in readings.refused.items()),
        ("target", "reason"),
    )
    yield _gauge(
        "traffic_last_request_timestamp_seconds",
        "The last request of a target's front that a traffic report has counted.",
        (((name,), at) for name, at in readings.counted.items()),
        ("target",),
    )
    for word, name, said in _KEEPS:
        yield _gauge(
            name,
            said,
            (((target,), keep[word]) for target, keep in readings.keeps.items() if word in keep),
            ("target",),
        )
    yield _gauge(
        "target_tier_bytes",
        "Bytes of blobs that the last pass over a target's tiers found, or left, in each: warm, cold.",
        (((target, tier), size) for target, tiers in readings.tiers.items() for tier, size in tiers.items()),
        ("target", "tier"),
    )
    yield _gauge(
        "wishes",
        "Repos that readers of a target have asked for, and that are not mirrored; no series before the first.",
        (((name,), float(count)) for name, count in readings.wishes.items()),
        ("target",),
    )
    yield _gauge(
        "target_up",
        "1 when a target answered the last time it was asked, which happens twice a minute.",
        (((name,), float(page.up[name])) for name in _scheduled(readings) if name in page.up),
        ("target",),
    )


def _scheduled(readings: Readings) -> list[str]:
    """The targets of jobs that have a schedule."""
    return sorted({due.target for due in readings.jobs.values()})


def _by_two(told: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[tuple[str, str], object]]:
    for name, kinds in told.items():
        yield from (((name, kind), state) for kind, state in kinds.items())
