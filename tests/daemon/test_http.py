"""The daemon over HTTP: it tells machines whether it lives, whether it serves, and all that it counts."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirror_sync.config.load import load
from mirror_sync.daemon import watch
from mirror_sync.daemon.health import LONGEST, Pulse, Readiness, readiness
from mirror_sync.daemon.http import make_app
from mirror_sync.daemon.timetable import Timetable
from mirror_sync.daemon.watch import DaemonWatch, overdue
from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.job.job import Cron, Every, Job, Schedule
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import Tended
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.observe.metrics.ledger import JobFigures, JobOutcome, MetricsSnapshot
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.observe.metrics.readings import Due
from mirror_sync.state.records import RunRecord
from tests.daemon.living import living, write_jobs
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

HOURLY = "name: hourly, schedule: {every: 1h}"
DAILY = "name: daily, schedule: {every: 1d}"


def ask(url: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def get(port: int, path: str) -> tuple[int, str]:
    status, _, text = ask(f"http://127.0.0.1:{port}{path}")
    return status, text


def value(text: str, name: str, **labels: str) -> float:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (found,) = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    return float(found)


def daemon_of(path: Path) -> list[str]:
    return ["-m", "mirror_sync", "--config", str(path), "daemon"]


def test_a_daemon_answers_while_it_lives_also_after_a_reload(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, HOURLY, listen=f"127.0.0.1:{port}")
    with living(daemon_of(path), tmp_path) as daemon:
        daemon.until_logged("event=run.finished")
        status, text = get(port, "/metrics")
        assert status == 200
        assert value(text, "mirror_sync_job_outcome", mirror_job="hourly", outcome="complete") == 1
        assert value(text, "mirror_sync_stored_files_total", mirror_job="hourly") == 1
        assert value(text, "mirror_sync_job_next_run_timestamp_seconds", mirror_job="hourly") > time.time()
        assert get(port, "/healthz") == (200, "ok\n")
        write_jobs(tmp_path, DAILY, listen="127.0.0.1:1")
        daemon.signal(signal.SIGHUP)
        daemon.until_logged("http has changed")
        assert value(get(port, "/metrics")[1], "mirror_sync_runs_total", mirror_job="daily") in (0, 1)
        path.write_text("nonsense: 1", encoding="utf-8")
        daemon.signal(signal.SIGHUP)
        daemon.until_logged("daemon.not-reloaded")
        assert value(get(port, "/metrics")[1], "mirror_sync_config_last_reload_successful") == 0
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    with pytest.raises(OSError, match="refused"):
        get(port, "/healthz")


def test_a_daemon_is_ready_once_its_jobs_have_run_and_remembers_that(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, HOURLY, listen=f"127.0.0.1:{port}")
    for _ in range(2):
        with living(daemon_of(path), tmp_path) as daemon:
            daemon.until_logged("event=run.finished")
            status, text = get(port, "/readyz")
            while "it was not asked yet" in text:
                status, text = get(port, "/readyz")
            assert (status, json.loads(text)) == (200, {"ready": True, "missing": {}})
            text = get(port, "/metrics")[1]
            assert value(text, "mirror_sync_target_up", target="disk") == 1
            while "mirror_sync_disk_free_bytes{" not in text:
                text = get(port, "/metrics")[1]
            for disk in ("target:disk", "state_dir"):
                free, size = (value(text, f"mirror_sync_disk_{name}_bytes", disk=disk) for name in ("free", "size"))
                assert 0 < free < size
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0


def test_a_run_that_cannot_even_begin_is_aborted(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, HOURLY, listen=f"127.0.0.1:{port}")
    (tmp_path / "state").write_text("a file where the state folder should be", encoding="utf-8")
    with living(daemon_of(path), tmp_path) as daemon:
        daemon.until_logged("event=job.failed")
        text = get(port, "/metrics")[1]
        assert value(text, "mirror_sync_job_outcome", mirror_job="hourly", outcome="aborted") == 1
        assert value(text, "mirror_sync_job_running", mirror_job="hourly") == 0
        assert get(port, "/readyz")[0] == 503
        assert get(port, "/healthz")[0] == 200
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_an_address_that_is_taken_ends_the_start_with_one_clear_line(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, HOURLY, listen=f"127.0.0.1:{port}")
    other = tmp_path / "other"
    other.mkdir()
    with living(daemon_of(path), tmp_path) as first:
        first.until_logged("http.listening")
        with living(daemon_of(path), other) as second:
            assert second.wait() == 1
            (line,) = second.log.splitlines()
    said = f"http.listen: 127.0.0.1:{port}: another program listens there already"
    assert line == f"mirror-sync: {said}; choose another address in jobs.yaml, or none"


def test_a_daemon_that_is_told_none_listens_nowhere(tmp_path: Path) -> None:
    path = write_jobs(tmp_path, HOURLY, listen="none")
    with living(daemon_of(path), tmp_path) as daemon:
        daemon.until_logged("event=daemon.started")
        assert "http.listening" not in daemon.log
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_it_is_dead_when_the_scheduler_shows_no_life() -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    with serving(make_app(Metrics().registry, pulse, Readiness)) as url:
        now[0] = LONGEST
        assert ask(f"{url}/healthz")[0] == 200
        now[0] += 1
        assert ask(f"{url}/healthz")[::2] == (503, "no heartbeat of the scheduler for 31 s\n")
        pulse.beat()
        assert ask(f"{url}/healthz")[0] == 200


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    with serving(make_app(Metrics().registry, Pulse(), Readiness)) as url:
        assert ask(f"{url}/metrics")[1].startswith("text/plain")
        _, kind, text = ask(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


DONE = JobFigures(0.0, attempt=1.0, success=2.0, duration=1.0, outcome=JobOutcome.COMPLETE)
NEVER = JobFigures(0.0)


@pytest.mark.parametrize(
    ("page", "due", "missing"),
    [
        (MetricsSnapshot(jobs={"a": DONE}, up={"t": True}), Due("t"), {}),
        (MetricsSnapshot(jobs={"a": DONE}, up={"t": True}), Due("t", overdue=9.0), {}),
        (
            MetricsSnapshot(jobs={"a": replace(DONE, outcome=JobOutcome.FAILED)}, up={"t": True}),
            Due("t", overdue=9.0),
            {},
        ),
        (MetricsSnapshot(jobs={"a": NEVER}, up={"t": True}), Due("t"), {}),
        (
            MetricsSnapshot(jobs={"a": NEVER}, up={"t": True}),
            Due("t", overdue=9.0),
            {"job a": "no run of it has ended yet"},
        ),
        (MetricsSnapshot(jobs={"a": DONE}, up={"t": False}), Due("t"), {"target t": "it does not answer"}),
        (MetricsSnapshot(jobs={"a": DONE}), Due("t"), {"target t": "it was not asked yet"}),
    ],
)
def test_it_is_ready_when_what_was_due_has_run_and_the_targets_answer(
    page: MetricsSnapshot, due: Due, missing: dict[str, str]
) -> None:
    stop = threading.Event()
    assert readiness(page, {"a": due}, stop).missing == missing
    stop.set()
    assert readiness(page, {"a": due}, stop).missing == {"daemon": "it is stopping", **missing}


class Hanging:
    """A mirror one of whose targets never answers, until it is let go."""

    def replica_states(self) -> tuple[ReplicaStatus, ...]:
        return ()

    def tended(self) -> tuple[Tended, ...]:
        raise OSError("no state folder")

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def remembered(self) -> tuple[tuple[RepoStatus, ...], tuple[RunRecord, ...]]:
        raise OSError("no state folder")

    def status(self) -> tuple[RepoStatus, ...]:
        return ()

    def signing_since(self, target: str) -> tuple[str, str]:
        return "", ""

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        return {}

    def speeds(self) -> Mapping[str, Mapping[str, WayPace]]:
        return {}

    def probe(self, target: str) -> bool:
        self.asked.set()
        return self.let_go.wait(PATIENCE)


def test_a_target_that_hangs_counts_as_down_and_holds_up_no_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    metrics, stop, mirror = Metrics(), threading.Event(), Hanging()
    watching = DaemonWatch(metrics, Timetable(lambda _: None), frozenset, stop)
    watching.take(load(write_jobs(tmp_path, HOURLY), {}), mirror)
    watching.start()
    assert mirror.asked.wait(PATIENCE)
    up = metrics.registry.get_sample_value("mirror_sync_target_up", {"target": "disk"})
    assert (up, watching.readiness().missing["target disk"]) == (0, "it does not answer")
    mirror.let_go.set()
    stop.set()


START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "state", "hours"),
    [
        (Every(timedelta(hours=6)), JobFigures(START.timestamp()), 0),
        (Every(timedelta(hours=6)), JobFigures(0.0, ended=START.timestamp() + 60, took=60.0), 6),
        (Every(timedelta(hours=6), timedelta(hours=1)), JobFigures(0.0, ended=START.timestamp()), 7),
        (Cron("0 3 * * *"), JobFigures(START.timestamp()), 15),
        (Cron("0 3 * * *"), JobFigures(0.0, ended=START.timestamp()), 15),
        (Cron("0 3 1 * 1", jitter=timedelta(hours=1)), JobFigures(0.0, ended=START.timestamp()), 88),
    ],
)
def test_a_job_is_overdue_once_it_should_have_run_again(schedule: Schedule, state: JobFigures, hours: int) -> None:
    job = Job("a", (), "hub", "disk", schedule=schedule)
    due = START.timestamp() + hours * 3600
    assert overdue(job, state, due) == 0
    assert overdue(job, state, due + 60) == 60
    assert overdue(replace(job, schedule=None), state, due + 60) == 0
