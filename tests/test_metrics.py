"""However a run ends, every metric says so: real syncs from a stand-in Hub, and what is left to be scraped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.outcome.events import (
    AuditFailed,
    ConfigRead,
    RepoFinished,
    RunAborted,
    RunFinished,
    RunStarted,
    TargetProbed,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.observe.metrics.ledger import JobOutcome, Ledger
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.observe.metrics.readings import Due, Readings
from mirror_sync.state.history import History
from mirror_sync.wiring.program import Mirror
from tests.standin import LFS, Hub, faults

CARD = b"---\nlicense: mit\n---\n"
WEIGHTS = b"w" * 1000
ALL = len(CARD) + len(WEIGHTS)
NOW = 2_000_000_000.0


@dataclass
class Site:
    """One job over one repo, and the metrics that are told of its runs."""

    hub: Hub
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    metrics: Metrics = field(default_factory=lambda: Metrics(now=lambda: NOW))

    def __post_init__(self) -> None:
        document = {
            "state_dir": str(self.folder / "state"),
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [self.hub.url]}},
            "targets": {"disk": {"url": str(self.folder / "mirror")}},
            "licenses": {"allow": ["mit"]},
            "jobs": [{"name": "job", "repos": ["acme/one"]}],
        }
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        self.mirror = Mirror(load(path, {}), (self.metrics,), self.stop)
        self.metrics(ConfigRead(("job",)))
        self.metrics.read = lambda: Readings(jobs={"job": Due("disk")}, budgets=self.mirror.budgets())

    def publish(self) -> None:
        self.hub.model("acme/one", license="mit").commit({"README.md": CARD, "weights.bin": LFS(WEIGHTS)})

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"mirror_sync_{name}", labels)

    def of_job(self, name: str, **labels: str) -> float | None:
        return self.value(name, mirror_job="job", **labels)

    def of_repo(self, name: str, **labels: str) -> float | None:
        return self.of_job(name, kind="model", repo="acme/one", revision="main", **labels)

    @property
    def outcome(self) -> list[str]:
        return [one for one in JobOutcome if self.of_job("job_outcome", outcome=one) == 1]


@pytest.fixture
def site(hub: Hub, tmp_path: Path) -> Iterator[Site]:
    site = Site(hub, tmp_path)
    site.publish()
    yield site
    site.mirror.close()


def nothing(_: Site) -> None:
    """The run is the first, and goes well."""


def again(site: Site) -> None:
    site.mirror.sync(BY_DAEMON)


def new_commit(site: Site) -> None:
    site.mirror.sync(BY_DAEMON)
    site.hub.model("acme/one").commit({"more.bin": LFS(b"m" * 500)})


def gone(site: Site) -> None:
    site.hub.world.remove("model", "acme/one")


def forbidden(site: Site) -> None:
    site.hub.model("acme/one").set(license="gpl-3.0")


def forbidden_later(site: Site) -> None:
    site.mirror.sync(BY_DAEMON)
    forbidden(site)
    site.hub.model("acme/one").commit({"more.bin": LFS(b"m" * 500)})


def wrong_bytes(site: Site) -> None:
    site.hub.faults.add(faults.wrong_bytes(3), origin="cdn")


def wrong_bytes_once(site: Site) -> None:
    site.hub.faults.add(faults.wrong_bytes(3), origin="cdn", times=1)


def busy_once(site: Site) -> None:
    site.hub.faults.add(faults.status(503), "/api/*", times=1)


def stopped(site: Site) -> None:
    site.hub.faults.before(lambda _: site.stop.set(), "*/resolve/*")


@dataclass(frozen=True)
class Left:
    """What there is to be scraped after the run that `before` prepared."""

    before: Callable[[Site], None]
    job: str
    repo: str | None
    code: str = ""
    success: bool = True
    """Whether the job has ever succeeded."""
    stored: tuple[int, int] = (2, ALL)
    """Files and bytes."""
    reused: tuple[int, int] = (0, 0)
    verifications: tuple[int, int] = (2, 0)
    """Those made, and those failed."""
    discarded: int = 0
    failed_files: int = 0
    retries: str = ""
    runs: int = 1
    published: tuple[int, int] = (2, ALL)


PATHS = {
    "success": Left(nothing, "complete", "published"),
    "unchanged": Left(again, "complete", "unchanged", runs=2),
    "changed": Left(
        new_commit,
        "complete",
        "published",
        stored=(3, ALL + 500),
        reused=(2, ALL),
        verifications=(3, 0),
        runs=2,
        published=(3, ALL + 500),
    ),
    "failed upstream": Left(
        gone,
        "failed",
        "failed",
        "not-found-or-private",
        success=False,
        stored=(0, 0),
        verifications=(0, 0),
        published=(0, 0),
    ),
    "refused": Left(forbidden, "complete", "refused", "license", stored=(0, 0), verifications=(0, 0), published=(0, 0)),
    "held": Left(forbidden_later, "complete", "held", "license", runs=2),
    "wrong bytes": Left(
        wrong_bytes,
        "failed",
        "failed",
        "integrity",
        success=False,
        stored=(1, len(CARD)),
        verifications=(4, 3),
        discarded=3 * len(WEIGHTS),
        failed_files=1,
        retries="integrity",
        published=(0, 0),
    ),
    "wrong bytes once": Left(
        wrong_bytes_once,
        "complete",
        "published",
        verifications=(3, 1),
        discarded=len(WEIGHTS),
        retries="integrity",
    ),
    "busy once": Left(busy_once, "complete", "published", retries="unreachable"),
    "interrupted": Left(
        stopped, "interrupted", None, success=False, stored=(0, 0), verifications=(0, 0), published=(0, 0)
    ),
}


@pytest.mark.parametrize("left", PATHS.values(), ids=PATHS.keys())
def test_every_end_of_a_run_leaves_every_metric_as_it_is_true(site: Site, left: Left) -> None:
    left.before(site)
    site.mirror.sync(BY_DAEMON)
    counts = {name: site.of_job(f"{name}_total") for name in ("stored_files", "stored_bytes", "discarded_bytes")}
    assert site.outcome == [left.job]
    assert site.of_job("job_last_attempt_timestamp_seconds") is not None
    assert (site.of_job("job_last_success_timestamp_seconds") is not None) is left.success
    assert (site.of_job("job_last_success_duration_seconds") is not None) is left.success
    assert (site.of_job("job_repos_pending"), site.of_job("transfers_in_flight")) == (0, 0)
    assert (site.of_job("runs_total"), site.of_job("failed_files_total")) == (left.runs, left.failed_files)
    published = [site.value(f"target_published_{unit}", target="disk") for unit in ("files", "bytes")]
    assert tuple(published) == left.published
    assert (site.of_job("reused_files_total"), site.of_job("reused_bytes_total")) == left.reused
    if left.repo is not None:  # what an interrupted run has begun may be thrown away or not
        assert (site.of_job("verifications_total"), site.of_job("verification_failures_total")) == left.verifications
        assert counts == {
            "stored_files": left.stored[0],
            "stored_bytes": left.stored[1],
            "discarded_bytes": left.discarded,
        }
        assert site.of_repo("repo_last_attempt_timestamp_seconds") == NOW
        assert site.of_repo("repo_outcome", outcome=left.repo, code=left.code) == 1
        assert site.of_job("job_repos", outcome=left.repo) == 1
    assert site.of_job("fetched_bytes_total") == (counts["stored_bytes"] or 0) + (counts["discarded_bytes"] or 0)
    assert site.of_job("job_repos_by_code", code=left.code) == (1 if left.code else None)
    for cause in ("integrity", "unreachable"):
        assert bool(site.value("retries_total", cause=cause)) is (left.retries == cause)


def test_what_is_held_is_counted_by_target_and_by_the_rule_that_a_person_would_name(site: Site) -> None:
    forbidden_later(site)
    assert site.value("target_held_repos", target="disk", rule="licence") is None
    site.mirror.sync(BY_DAEMON)
    assert site.value("target_held_repos", target="disk", rule="licence") == 1


def test_what_fails_of_a_target_is_counted_from_zero_once_it_was_asked() -> None:
    metrics = Metrics()
    metrics(TargetProbed("disk", answered=False))
    for name in ("site_failures", "audit_failures"):
        assert metrics.registry.get_sample_value(f"mirror_sync_{name}_total", {"target": "disk"}) == 0
    metrics(AuditFailed("disk", "target-denied", "no right to put"))
    assert metrics.registry.get_sample_value("mirror_sync_audit_failures_total", {"target": "disk"}) == 1


def test_calls_and_the_budget_are_counted_by_endpoint_and_kind(site: Site) -> None:
    busy_once(site)
    site.mirror.sync(BY_DAEMON)
    counted = {
        (kind, result): site.value("upstream_calls_total", endpoint=site.hub.url, kind=kind, result=result)
        for kind, result in (("api", "5xx"), ("resolvers", "2xx"), ("resolvers", "3xx"), ("elsewhere", "2xx"))
    }
    assert counted == {("api", "5xx"): 1, ("resolvers", "2xx"): 1, ("resolvers", "3xx"): 1, ("elsewhere", "2xx"): 1}
    assert (
        site.value("upstream_calls_total", endpoint=site.hub.url, kind="api", result="2xx")
        == site.hub.calls("GET", "/api/*") - 1
    )
    left = site.value("upstream_budget_remaining_calls", upstream="hub", kind="api")
    quota = site.value("upstream_budget_quota_calls", upstream="hub", kind="api")
    assert left is not None
    assert quota is not None
    assert 0 < left < quota


def test_an_upstream_that_is_not_there_is_counted_as_no_answer(site: Site) -> None:
    site.hub.faults.add(faults.refuse(), "/api/*", times=1)
    site.mirror.sync(BY_DAEMON)
    assert site.value("upstream_calls_total", endpoint=site.hub.url, kind="api", result="none") == 1
    assert site.outcome == ["complete"]


def test_a_run_that_ends_by_an_exception_is_aborted_until_the_next_one(site: Site) -> None:
    site.metrics(RunAborted("job", "internal"))
    assert site.outcome == ["aborted"]
    assert site.of_job("job_last_attempt_timestamp_seconds") == NOW
    site.mirror.sync(BY_DAEMON)
    assert site.outcome == ["complete"]


def test_a_new_process_remembers_what_the_one_before_it_knew(site: Site, tmp_path: Path) -> None:
    new_commit(site)
    wrong_bytes(site)
    site.mirror.sync(BY_DAEMON)
    later = Metrics()
    later(ConfigRead(("job",)))
    later.ledger.remember(*site.mirror.remembered())
    before, after = site.metrics.ledger.page(), later.ledger.page()
    assert after.jobs["job"].outcome == before.jobs["job"].outcome == JobOutcome.FAILED
    assert after.jobs["job"].success == before.jobs["job"].success
    assert after.jobs["job"].duration == before.jobs["job"].duration
    assert [(key, row.outcome, row.code, row.files, row.bytes) for key, row in after.repos.items()] == [
        (key, row.outcome, row.code, row.files, row.bytes) for key, row in before.repos.items()
    ]


def test_of_two_runs_that_began_in_one_second_the_later_one_is_remembered(site: Site) -> None:
    at, failed = "2026-01-01T00:00:00Z", RepoReport("job", Kind.MODEL, "acme/one", "main", RepoOutcome.FAILED)
    for run, repos in (("first", ()), ("second", (failed,))):
        site.mirror.history(RunStarted(run, ("job",), at))
        site.mirror.history(RunFinished(RunReport(run, at, at, repos)))
    site.metrics.ledger.remember(*site.mirror.remembered())
    assert site.outcome == ["failed"]


@pytest.mark.parametrize(
    ("interrupted", "left", "outcomes"),
    [(False, (), ("failed", "complete", "complete")), (True, ("c",), ("failed", "complete", "interrupted"))],
)
def test_each_job_of_a_run_has_its_own_outcome_live_and_remembered(
    site: Site, interrupted: bool, left: tuple[str, ...], outcomes: tuple[str, ...]
) -> None:
    at, jobs = "2026-01-01T00:00:00Z", ("a", "b", "c")
    failed = RepoReport("a", Kind.MODEL, "acme/one", "main", RepoOutcome.FAILED)
    report = RunReport("run", at, at, (failed,), interrupted, done=tuple(job for job in jobs if job not in left))
    live, later = Ledger(), Ledger()
    for ledger in (live, later):
        ledger(ConfigRead(jobs))
    for event in (RunStarted("run", jobs, at), RunFinished(report)):
        site.mirror.history(event)
        live(event)
    later.remember((), site.mirror.history.runs())
    for ledger in (live, later):
        assert tuple(ledger.page().jobs[job].outcome for job in jobs) == outcomes


def test_a_run_whose_process_was_killed_is_interrupted_to_the_next_one(site: Site) -> None:
    history = site.mirror.history
    assert isinstance(history, History)
    history(RunStarted("killed", ("job",), "2026-01-01T00:00:00Z"))
    history._connection.execute("UPDATE runs SET owner = '1:0' WHERE run = 'killed'")  # a process that is gone
    site.metrics.ledger.remember(*site.mirror.remembered())
    assert site.outcome == ["interrupted"]
    assert site.of_job("job_last_success_timestamp_seconds") is None
    assert site.of_job("job_first_seen_timestamp_seconds") == 1767225600


def test_a_repo_that_a_job_names_no_more_is_no_series_any_more(site: Site, tmp_path: Path) -> None:
    site.mirror.sync(BY_DAEMON)
    path = tmp_path / "jobs.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("acme/one", "acme/two"), encoding="utf-8")
    site.hub.model("acme/two", license="mit").commit({"README.md": CARD})
    other = Mirror(load(path, {}), (site.metrics,), site.stop)
    assert other.remembered()[0] == ()
    other.sync(BY_DAEMON)
    assert site.of_repo("repo_outcome", outcome="published", code="") is None
    other.close()


def test_a_job_that_jobs_yaml_has_no_more_is_no_series_any_more(site: Site) -> None:
    site.mirror.sync(BY_DAEMON)
    site.metrics(ConfigRead(None))
    assert (site.value("config_last_reload_successful"), site.outcome) == (0, ["complete"])
    site.metrics(ConfigRead(("other",)))
    assert (site.value("config_last_reload_successful"), site.outcome) == (1, [])
    assert site.of_repo("repo_outcome", outcome="published", code="") is None
    assert site.value("job_outcome", mirror_job="other", outcome="complete") == 0


def test_a_lag_stands_until_the_next_publication_whatever_comes_between(site: Site) -> None:
    assert site.of_repo("repo_lag_seconds") is None
    good = RepoReport("job", Kind.MODEL, "acme/one", "main", RepoOutcome.PUBLISHED, lag_seconds=42.0)
    site.metrics(RepoFinished("run", good))
    assert site.of_repo("repo_lag_seconds") == 42
    for outcome in set(RepoOutcome) - {RepoOutcome.PUBLISHED}:
        site.metrics(RepoFinished("run", replace(good, outcome=outcome, lag_seconds=None)))
        assert site.of_repo("repo_lag_seconds") == 42
    site.metrics(RepoFinished("run", replace(good, lag_seconds=None)))
    assert site.of_repo("repo_lag_seconds") is None


def test_a_repo_has_four_series_whatever_happens_to_it(site: Site) -> None:
    for outcome in RepoOutcome:
        report = RepoReport("job", Kind.MODEL, "acme/one", "main", outcome, lag_seconds=1.0)
        site.metrics(RepoFinished("run", report))
        samples = [sample for family in site.metrics.registry.collect() for sample in family.samples]
        assert sum("repo" in sample.labels for sample in samples) == 4


def test_a_run_of_single_repos_says_nothing_of_the_whole_job(site: Site, tmp_path: Path) -> None:
    site.mirror.sync(BY_DAEMON, [], [Repo.parse("acme/one")])
    assert site.of_repo("repo_outcome", outcome="published", code="") == 1
    assert (site.outcome, site.of_job("job_last_success_timestamp_seconds")) == ([], None)
    assert site.of_job("job_repos_pending") == 0
    assert [run.jobs for run in site.mirror.history.runs()] == [()], "nor does it to a new process"
