"""What Prometheus is told: an observer that counts, beside families.py, which reads.

Jobs have the label `mirror_job`, since Prometheus gives `job` to what it scrapes. All series that an alert watches are
there from the start, at 0: an increase from nothing is none to Prometheus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from mirror_sync import __version__
from mirror_sync.domain.outcome.events import (
    AuditFailed,
    AuditPut,
    BytesFetched,
    Called,
    CatalogueFailed,
    CataloguePublished,
    ConfigRead,
    Disproved,
    Event,
    FileFinished,
    FilesScanned,
    FileStarted,
    RepoFinished,
    ReposListed,
    Retrying,
    RoadLeft,
    RoadTaken,
    RolloutStopped,
    RunFinished,
    RunStarted,
    TargetProbed,
)
from mirror_sync.observe.metrics.families import Families
from mirror_sync.observe.metrics.ledger import Ledger
from mirror_sync.observe.metrics.readings import Readings
from mirror_sync.observe.tally import Progress, Tally

# what a retry can be for: errors that are retryable, and the budget's own word
CAUSES = ("unreachable", "rate-limited", "rate-limit-budget", "bad-answer", "integrity", "target-unavailable")
MISSES = ("redirected", "noted", "fetching", "refused", "thawing", "thaw-bounded")
WEBHOOKS = ("started", "merged", "ignored", "refused")
_BY_JOB = (
    ("fetched_bytes", "Bytes that came from upstreams, also those of attempts that were thrown away."),
    ("discarded_bytes", "Bytes that came and were thrown away, as their attempt failed or was interrupted."),
    ("stored_bytes", "Bytes of files that were fetched, proved and stored."),
    ("stored_files", "Files that were fetched, proved and stored."),
    ("failed_files", "Files that could not be brought, after all attempts."),
    ("reused_bytes", "Bytes of published files that did not have to be fetched."),
    ("reused_files", "Published files that did not have to be fetched."),
    ("verifications", "Attempts at files that were judged by their digest, size or both."),
    ("verification_failures", "Of these, those whose bytes were not the promised ones."),
    ("runs", "Runs that have begun."),
)


class Metrics:
    """An observer. Safe for many threads; `read` may be exchanged by who knows more, before the first scrape.

    `tally` is one that is told the same events; `now` gives seconds since 1970.
    """

    def __init__(self, tally: Tally | None = None, now: Callable[[], float] = time.time) -> None:
        # else each counter has a second series, which tells when it began
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the package types most of itself
        self.registry = CollectorRegistry()
        self.ledger = Ledger(now)
        self.read: Callable[[], Readings] = Readings
        self._tally, self._own_tally = tally or Tally(), tally is None
        self._job_of: dict[str, str] = {}
        self._counts = {name: self._counter(name, text, "mirror_job") for name, text in _BY_JOB}
        self._retries = self._counter("retries", "Calls that failed and were made again, by cause.", "cause")
        self._waits = self._counter("retry_wait_seconds", "How long such calls waited before.", "cause")
        self._calls = self._counter(
            "upstream_calls", "Requests to upstreams by kind and class of answer.", "endpoint", "kind", "result"
        )
        self._roads = self._counter(
            "road_bytes",
            "Bytes of files that a road has, too, by the upstream they came from.",
            "mirror_job",
            "upstream",
        )
        self._left_roads = self._counter(
            "roads_left", "Files that a road gave not at all, not to the end, or wrong.", "mirror_job", "upstream"
        )
        self.webhooks = self._counter("webhooks", "Webhooks that came, by what was done about them.", "outcome")
        self.misses = self._counter(
            "misses",
            "Questions of fronts about repos that are not mirrored, or lie in a cold tier, by what was said.",
            "outcome",
        )
        self._in_flight = Gauge(
            "mirror_sync_transfers_in_flight", "Files on their way.", ["mirror_job"], registry=self.registry
        )
        self._site_failures = self._counter("site_failures", "Publications of the catalogue that failed.", "target")
        self._site_success = Gauge(
            "mirror_sync_site_last_success_timestamp_seconds",
            "When the catalogue of a target was last brought up to date.",
            ["target"],
            registry=self.registry,
        )
        self._stopped_rollouts = self._counter(
            "rollouts_stopped", "Grey releases that were taken back, as something said that they are bad.", "target"
        )
        self._audit_records = self._counter("audit_records", "Acts that were written into the audit.", "target")
        self._audit_failures = self._counter(
            "audit_failures", "Runs whose acts a target's audit did not take, or had lost: see the log.", "target"
        )
        self._scans = self._counter(
            "scanned_files", "Files that a scanner was asked about, by what it said.", "scanner", "outcome"
        )
        self._failed_scans = self._counter(
            "failed_scans", "Scans of a commit that came to no verdict on some of its files.", "target"
        )
        self._now = now
        self._start(now)

    def __call__(self, event: Event) -> None:  # noqa: C901  one line for each kind of event
        self.ledger(event)
        if self._own_tally:
            self._tally(event)
        match event:
            case BytesFetched():
                self._add("fetched_bytes" if event.count > 0 else "discarded_bytes", event.run, abs(event.count))
            case FileStarted():
                self._in_flight.labels(self._job(event.run)).inc()
            case FileFinished():
                self._finish_file(event)
            case Disproved():
                self._add("verifications", event.run)
                self._add("verification_failures", event.run)
            case RepoFinished():
                self._add("reused_bytes", event.run, event.report.reused_bytes)
                self._add("reused_files", event.run, event.report.reused_files)
            case Retrying():
                self._retries.labels(event.cause).inc()
                self._waits.labels(event.cause).inc(event.wait)
            case Called() | RoadTaken() | RoadLeft():
                self._call(event)
            case ConfigRead() if event.jobs is not None:
                self._keep(event.jobs)
            case (
                CataloguePublished()
                | CatalogueFailed()
                | AuditPut()
                | AuditFailed()
                | FilesScanned()
                | RolloutStopped()
            ):
                self._write(event)
            case TargetProbed():  # before anything of it fails
                self._stopped_rollouts.labels(event.target)
                self._failed_scans.labels(event.target)
                self._site_failures.labels(event.target)
                self._audit_failures.labels(event.target)
            case RunStarted() | ReposListed() | RunFinished():
                self._follow(event)

    def _start(self, now: Callable[[], float]) -> None:
        for cause in CAUSES:
            self._retries.labels(cause)
            self._waits.labels(cause)
        for outcome in WEBHOOKS:
            self.webhooks.labels(outcome)
        for outcome in MISSES:
            self.misses.labels(outcome)
        build = Gauge("mirror_sync_build_info", "1, and which version runs.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        start = Gauge("mirror_sync_start_timestamp_seconds", "When this process began.", registry=self.registry)
        start.set(now())
        self.registry.register(Families(self.ledger, self._read, lambda: self._tally.now().rate))
        ProcessCollector(registry=self.registry)

    def progress(self) -> Progress:
        """How far the runs are that these are told of."""
        return self._tally.now()

    def _read(self) -> Readings:
        return self.read()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mirror_sync_{name}", text, labels, registry=self.registry)

    def _job(self, run: str) -> str:
        return self._job_of.get(run, "")

    def _add(self, name: str, run: str, count: float = 1) -> None:
        self._counts[name].labels(self._job(run)).inc(count)

    def _finish_file(self, event: FileFinished) -> None:
        self._in_flight.labels(self._job(event.run)).dec()
        if event.stored:
            self._add("verifications", event.run)
            self._add("stored_files", event.run)
            self._add("stored_bytes", event.run, event.size)
        elif not event.interrupted:
            self._add("failed_files", event.run)

    def _scan(self, event: FilesScanned) -> None:
        clean = event.files - event.found - event.failed
        for outcome, count in (("clean", clean), ("found", event.found), ("failed", event.failed)):
            self._scans.labels(event.scanner, outcome).inc(count)
        self._failed_scans.labels(event.target).inc(bool(event.failed))

    def _call(self, event: Called | RoadTaken | RoadLeft) -> None:
        match event:
            case Called():
                self._calls.labels(event.endpoint, event.kind, event.result).inc()
            case RoadTaken():
                self._roads.labels(event.job, event.road or "own").inc(event.bytes)
            case RoadLeft():
                self._left_roads.labels(event.job, event.road).inc()

    def _write(
        self, event: CataloguePublished | CatalogueFailed | AuditPut | AuditFailed | FilesScanned | RolloutStopped
    ) -> None:
        """What is written into a target beside what is mirrored, and what is scanned there."""
        match event:
            case RolloutStopped():
                self._stopped_rollouts.labels(event.target).inc()
            case CataloguePublished():
                self._site_failures.labels(event.target)
                self._site_success.labels(event.target).set(self._now())
            case CatalogueFailed():
                self._site_failures.labels(event.target).inc()
            case AuditPut():
                self._audit_failures.labels(event.target)
                self._audit_records.labels(event.target).inc(event.records)
            case AuditFailed():
                self._audit_failures.labels(event.target).inc()
            case FilesScanned():
                self._scan(event)

    def _follow(self, event: RunStarted | ReposListed | RunFinished) -> None:
        """The jobs of a run come one after the other; the daemon's runs have one each."""
        match event:
            case RunStarted():
                self._job_of[event.run] = event.jobs[0] if len(event.jobs) == 1 else ""
                for job in event.jobs:
                    self._counts["runs"].labels(job).inc()
            case ReposListed():
                self._job_of[event.run] = event.job
            case RunFinished():
                self._job_of.pop(event.report.run, None)

    def _keep(self, jobs: Iterable[str]) -> None:
        for counter in (*self._counts.values(), self._in_flight):
            for job in jobs:
                counter.labels(job)
