"""What failed for a reason that may pass is run again after a minute, not when its job is due."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mirror_sync.app.inventory import Memory, take_inventory
from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.daemon.notify import Notifier
from mirror_sync.daemon.retries import Ladder, Retries
from mirror_sync.daemon.service import Daemon
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import MAY_PASS, MirrorError, StoreUnavailable
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from mirror_sync.state.tries import read_tries
from mirror_sync.wiring.assembly import Assembly
from mirror_sync.wiring.program import Mirror
from tests.daemon.before import Before
from tests.daemon.living import write_jobs
from tests.standin import Hub, faults
from tests.waiting import PATIENCE, until

NAMES = tuple(f"acme/repo-{number:02}" for number in range(24))
AT = "2026-01-01T00:00:00Z"
ONE, TWO = Repo(Kind.MODEL, "acme/one"), Repo(Kind.MODEL, "acme/two")
LONG = Ladder((1000.0, 2000.0), spread=0.5)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        for name in NAMES:
            hub.model(name).commit({"README.md": "---\nlicense: mit\n---\n", "config.json": f"{{{name}}}".encode()})
        yield hub


class Short(Assembly):
    """Its calls are given up at once, as those of a run are that met an outage of two minutes."""

    def _source(self, limited: Source, tell: Observer) -> Source:
        policy = RetryPolicy(attempts=2, first_wait=0.01, patience=0.0)
        return RetryingSource(limited, policy, tell, self._sleep, random.random)


class ShortMirror(Mirror):
    def _assembly(self) -> Assembly:
        return Short(self.settings, self.stop, self._learn)


def write(folder: Path, hub: Hub) -> Path:
    path = folder / "jobs.yaml"
    upstream = f"{{kind: huggingface, endpoints: ['{hub.url}'], allow_private: true}}"
    path.write_text(
        f"version: 1\nstate_dir: state\nupstreams: {{hub: {upstream}}}\n"
        f"targets: {{disk: {{url: 'file://{folder}/mirror'}}}}\ndefaults: {{upstream: hub, target: disk}}\n"
        "http: {listen: none}\nlicenses: {allow: [mit]}\n"
        f"jobs: [{{name: often, schedule: {{every: 6h}}, repos: [{', '.join(NAMES)}]}}]\n",
        encoding="utf-8",
    )
    return path


def test_every_repo_is_published_soon_after_an_outage_though_its_job_is_due_in_hours(tmp_path: Path, hub: Hub) -> None:
    path, mirrors = write(tmp_path, hub), list[Mirror]()
    hub.faults.add(faults.refuse())

    def make(settings: Settings, stop: threading.Event) -> Mirror:
        mirrors.append(ShortMirror(settings, (), stop))
        return mirrors[-1]

    ladder = Ladder((0.3,) * 1000)
    daemon = Daemon(lambda: load(path, {}), make, Notifier({}), Metrics(), ladder)
    with ExitStack() as stack:
        daemon.start(stack)
        until(lambda: any(one.number > 1 for one in read_tries(tmp_path / "state")))
        settings, statuses = mirrors[0].settings, mirrors[0].status()
        memory = Memory(statuses, (), {}, tries=read_tries(tmp_path / "state"))
        shown = take_inventory(settings.jobs, memory, datetime.now(UTC))
        waiting = {one.repo.id for one in memory.tries if one.repo is not None}
        assert {line.repo for line in shown.lines if line.next_try} == waiting
        hub.faults.clear()
        until(lambda: {status.outcome for status in mirrors[0].status()} == {RepoOutcome.PUBLISHED})
        until(lambda: not read_tries(tmp_path / "state"))
        assert daemon.end(PATIENCE)
    assert len(list((tmp_path / "mirror" / "hub" / "models").iterdir())) == len(NAMES)


class Breaking(Mirror):
    """Its first runs end without a report, each for another reason."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        super().__init__(settings, (), stop)
        self.errors = [OSError("no folder"), StoreUnavailable("no answer"), RuntimeError("a fault of our own")]
        self.ran = 0
        self.sync = Before(self.sync, self._fail)

    def _fail(self, _until: datetime | None) -> None:
        self.ran += 1
        if self.errors:
            raise self.errors.pop(0)


def test_a_run_that_ends_without_a_report_is_said_in_a_line_and_run_again_by_the_same_ladder(tmp_path: Path) -> None:
    path, mirrors = write_jobs(tmp_path, "name: often, schedule: {every: 6h}"), list[Breaking]()

    def make(settings: Settings, stop: threading.Event) -> Breaking:
        mirrors.append(Breaking(settings, stop))
        return mirrors[-1]

    with capture_logs() as lines, ExitStack() as stack:
        daemon = Daemon(lambda: load(path, {}), make, Notifier({}), Metrics(), Ladder((0.05,) * 3))
        daemon.start(stack)
        until(lambda: [status.outcome for status in mirrors[0].status()] == [RepoOutcome.PUBLISHED])
        until(lambda: not read_tries(tmp_path / "state"))
        assert daemon.end(PATIENCE)
    said = [line["reason"] for line in lines if line["event"] == "job.failed"]
    assert said == ["no folder", "no answer", "internal error: RuntimeError: a fault of our own"]
    assert mirrors[0].ran == 4


class Started:
    """Notes what is to be run, and says whether it will be."""

    def __init__(self, *, will: bool = True) -> None:
        self.will, self.asked = will, list[tuple[str, Collection[Repo] | None]]()

    def __call__(self, job: str, repos: Collection[Repo] | None) -> bool:
        self.asked.append((job, repos))
        return self.will


def failed(*repos: str, code: str = "unreachable") -> RunReport:
    reports = (RepoReport("job", Kind.MODEL, repo, "main", RepoOutcome.FAILED, code=code) for repo in repos)
    return RunReport("run", AT, AT, tuple(reports))


def told(code: str, outcome: RepoOutcome, repo: str) -> RunReport:
    return RunReport("run", AT, AT, (RepoReport("job", Kind.MODEL, repo, "main", outcome, code=code),))


def fine(*repos: str) -> RunReport:
    reports = (RepoReport("job", Kind.MODEL, repo, "main", RepoOutcome.UNCHANGED) for repo in repos)
    return RunReport("run", AT, AT, tuple(reports))


def retries(folder: Path, ladder: Ladder = LONG, started: Started | None = None) -> Retries:
    made = Retries(ladder, started or Started(), lambda: 0.5)
    made.take(folder, {"job": False})
    return made


def numbers(folder: Path) -> dict[Repo | None, int]:
    return {one.repo: one.number for one in read_tries(folder)}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("second-hand", RepoOutcome.UNCHANGED),
        ("second-hand", RepoOutcome.PUBLISHED),
        ("stale-endpoint", RepoOutcome.HELD),
    ],
)
def test_what_another_endpoint_said_in_place_of_the_first_is_asked_again(
    code: str, outcome: RepoOutcome, tmp_path: Path
) -> None:
    made = retries(tmp_path)
    made.learn("job", None, told(code, outcome, "acme/one"))
    assert numbers(tmp_path) == {Repo.parse("acme/one"): 1}


def test_a_refusal_that_rests_on_unconfirmed_answers_is_asked_again(tmp_path: Path) -> None:
    made = retries(tmp_path)
    first, second = (told("license", RepoOutcome.HELD, f"acme/{name}").repos[0] for name in ("one", "two"))
    made.learn("job", None, RunReport("run", AT, AT, (replace(first, unconfirmed=True), second)))
    assert numbers(tmp_path) == {Repo.parse("acme/one"): 1}


def run_until_asked(made: Retries, started: Started, times: int) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=made.keep_trying, args=(stop,))
    thread.start()
    until(lambda: len(started.asked) >= times)
    stop.set()
    made.wake()
    thread.join()


def test_what_may_pass_is_tried_again_after_a_minute_and_ever_later_and_not_for_ever() -> None:
    ladder = Ladder()
    waits = [ladder.wait(number, 0.0) for number in range(1, 6)]
    assert waits == [60, 300, 900, 3600, None]
    assert ladder.wait(1, 0.999) == pytest.approx(72, abs=0.1)


def test_what_does_not_pass_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    made = retries(tmp_path)
    made.learn("job", None, failed("acme/one", code="not-found-or-private"))
    made.learn("job", None, failed("acme/two", code="target-full"))
    assert numbers(tmp_path) == {}


def test_a_repo_is_tried_again_by_itself_and_a_pattern_that_was_not_listed_with_all_of_its_job(tmp_path: Path) -> None:
    made = retries(tmp_path)
    made.learn("job", None, failed("acme/one", "acme/two"))
    assert numbers(tmp_path) == {ONE: 1, TWO: 1}
    assert len({one.at for one in read_tries(tmp_path)}) == 1  # one run for both
    made.learn("job", None, failed("acme/one", "acme/*"))
    assert numbers(tmp_path) == {None: 1}


def test_a_success_ends_it_and_a_whole_run_begins_it_anew(tmp_path: Path) -> None:
    made = retries(tmp_path)
    made.learn("job", None, failed("acme/one", "acme/two"))
    made.learn("job", [ONE], fine("acme/one"))
    assert numbers(tmp_path) == {TWO: 1}
    made.learn("job", None, fine("acme/one", "acme/two"))
    assert numbers(tmp_path) == {}


def test_a_try_that_fails_is_followed_by_a_later_one_until_there_are_no_more(tmp_path: Path) -> None:
    started = Started()
    made = retries(tmp_path, Ladder((0.0, 0.0)), started)
    for times in (1, 2):
        made.learn("job", None if times == 1 else [ONE], failed("acme/one"))
        assert numbers(tmp_path) == {ONE: times}
        run_until_asked(made, started, times)
    made.learn("job", [ONE], failed("acme/one"))
    assert numbers(tmp_path) == {}
    assert started.asked == [("job", [ONE])] * 2


def test_a_try_that_ends_without_a_report_is_followed_by_a_later_one(tmp_path: Path) -> None:
    started = Started()
    made = retries(tmp_path, Ladder((0.0, 0.0)), started)
    made.learn("job", None, failed("acme/one"))
    run_until_asked(made, started, 1)
    made.learn("job", [ONE], OSError("the target is away"))
    assert numbers(tmp_path) == {ONE: 2}
    run_until_asked(made, started, 2)
    made.learn("job", [ONE], OSError("the target is away"))
    assert numbers(tmp_path) == {}


def test_a_run_of_a_whole_job_that_ends_without_a_report_is_tried_again_as_a_whole(tmp_path: Path) -> None:
    made = retries(tmp_path)
    made.learn("job", None, failed("acme/one"))
    made.learn("job", None, OSError("the target is away"))
    assert numbers(tmp_path) == {ONE: 1, None: 1}
    made.learn("job", None, fine("acme/one"))
    assert numbers(tmp_path) == {}


def test_a_try_that_did_not_begin_is_none_and_the_next_failure_is_a_first_one(tmp_path: Path) -> None:
    started = Started()
    made = retries(tmp_path, Ladder((0.0, 1000.0)), started)
    made.learn("job", None, failed("acme/one"))
    run_until_asked(made, started, 1)
    made.learn("job", [ONE], None)
    assert numbers(tmp_path) == {}
    made.learn("job", None, failed("acme/one"))
    assert numbers(tmp_path) == {ONE: 1}


class Refusing(Started):
    """The first times nothing can be started at all."""

    def __call__(self, job: str, repos: Collection[Repo] | None) -> bool:
        super().__call__(job, repos)
        if len(self.asked) < 3:
            raise LookupError("no such thing")
        return True


def test_what_cannot_be_started_is_tried_later_and_the_others_are_still_tried(tmp_path: Path) -> None:
    started = Refusing()
    made = retries(tmp_path, Ladder((0.0,) * 3), started)
    made.learn("job", None, failed("acme/one"))
    with capture_logs() as lines:
        run_until_asked(made, started, 3)
    assert started.asked == [("job", [ONE])] * 3
    told = [line for line in lines if line["event"] == "tries.failed"]
    assert [(line["job"], line["reason"]) for line in told] == [("job", "LookupError: no such thing")] * 2


def test_what_is_not_started_as_its_job_is_paused_waits_for_the_next_time_of_the_job(tmp_path: Path) -> None:
    started = Started(will=False)
    made = retries(tmp_path, Ladder((0.0,)), started)
    made.learn("job", None, failed("acme/one"))
    run_until_asked(made, started, 1)
    assert numbers(tmp_path) == {}


def test_what_waits_is_gone_on_with_after_a_restart_but_for_jobs_that_run_at_the_start(tmp_path: Path) -> None:
    retries(tmp_path).learn("job", None, failed("acme/one"))
    again = Retries(LONG, Started(), lambda: 0.5)
    again.take(tmp_path, {"job": False})
    assert numbers(tmp_path) == {ONE: 1}
    again = Retries(LONG, Started(), lambda: 0.5)
    again.take(tmp_path, {"job": True})
    assert numbers(tmp_path) == {}


def test_the_codes_that_may_pass_are_those_of_the_errors_that_say_so() -> None:
    def below(kind: type[MirrorError]) -> Iterator[type[MirrorError]]:
        yield kind
        for other in kind.__subclasses__():
            yield from below(other)

    assert {kind.code for kind in below(MirrorError) if kind.retryable} == MAY_PASS
