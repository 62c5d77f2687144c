"""What operators ask of the daemon, or do in its place."""

from __future__ import annotations

import signal

import pytest

from tests.cli.program import CONFIG, Program
from tests.daemon.living import living

GOOD = "  - {name: good, repos: [acme/one]}"
SCHEDULED = CONFIG.replace(GOOD, "  - {name: good, repos: [acme/one], schedule: {cron: '0 3 1 1 *'}}")


def test_once_runs_every_scheduled_job_now_and_no_other(program: Program) -> None:
    program.write(SCHEDULED)
    ended = program("daemon", "--once")
    assert ended.code == 0
    assert "acme/one@main (good)" in ended.out
    assert "bad" not in ended.out


def test_once_ends_with_the_exit_code_of_sync(program: Program) -> None:
    program.write(SCHEDULED.replace("[acme/closed, acme/gone]", "[acme/gone], schedule: {every: 1h}"))
    assert program("daemon", "--once").code == 1


def test_once_without_a_schedule_is_bad_usage(program: Program) -> None:
    ended = program("daemon", "--once")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "mirror-sync: jobs.yaml: no job has a schedule; run mirror-sync sync\n"


def test_a_trigger_without_a_daemon_is_one_clear_line(program: Program) -> None:
    ended = program("trigger", "good")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"mirror-sync: no daemon runs with state_dir {program.folder}/state; start one with mirror-sync daemon\n"
    )


def test_a_trigger_has_the_daemon_publish_at_once(program: Program) -> None:
    path = program.write(SCHEDULED + "http: {listen: none}\n")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], program.folder) as daemon:
        daemon.until_logged("event=daemon.started")
        ended = program("trigger", "acme/one")
        assert (ended.code, ended.out) == (0, "job good, acme/one: started\n")
        daemon.until_logged("event=repo.published job=good repo=acme/one@main")
        refused = program("trigger", "goof")
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == "mirror-sync: jobs.yaml has no job goof; it has: good, bad\n"
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


@pytest.mark.parametrize("name", ["good", "bad"])
def test_a_trigger_starts_jobs_that_have_a_schedule_and_jobs_that_have_none(program: Program, name: str) -> None:
    path = program.write(SCHEDULED + "http: {listen: none}\n")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], program.folder) as daemon:
        daemon.until_logged("event=daemon.started")
        assert program("trigger", name).out == f"job {name}: started\n"
        daemon.until_logged("event=run.finished")
