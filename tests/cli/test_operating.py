"""What operators ask of the daemon, or do in its place."""

from __future__ import annotations

import re
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
        assert refused.err == "mirror-sync: jobs.yaml has no job goof; it has: good, bad; did you mean good?\n"
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


@pytest.mark.parametrize("name", ["good", "bad"])
def test_a_trigger_starts_jobs_that_have_a_schedule_and_jobs_that_have_none(program: Program, name: str) -> None:
    path = program.write(SCHEDULED + "http: {listen: none}\n")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], program.folder) as daemon:
        daemon.until_logged("event=daemon.started")
        assert program("trigger", name).out == f"job {name}: started\n"
        daemon.until_logged("event=run.finished")


def test_a_trigger_of_what_is_paused_says_so_and_exits_with_1(program: Program) -> None:
    path = program.write(SCHEDULED + "http: {listen: none}\n")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], program.folder) as daemon:
        daemon.until_logged("event=daemon.started")
        program("pause", "good")
        for name, spoken in (("good", "job good"), ("acme/one", "job good, acme/one")):
            ended = program("trigger", name)
            said = f"{spoken}: is paused: nothing is started; see mirror-sync resume\n"
            assert (ended.code, ended.out) == (1, said)


def test_a_pause_is_shown_by_check_and_status_until_it_is_resumed(program: Program) -> None:
    program.write(SCHEDULED)
    ended = program("pause", "good")
    assert (ended.code, ended.out) == (0, "job good is paused until mirror-sync resume\n")
    assert program("check").out.endswith(ended.out)
    assert "paused" in program("status").out
    once = program("daemon", "--once")
    assert (once.code, once.out) == (2, "")
    assert program("resume", "good").out == "job good: runs again when it is due\n"
    assert program("resume", "good").out == "job good: was not paused\n"
    assert "paused" not in program("check").out


def test_a_pause_of_some_time_says_until_when(program: Program) -> None:
    assert re.fullmatch(
        r"job good is paused until \d{4}-\d\d-\d\d \d\d:\d\d UTC\n", program("pause", "good", "--for", "2h").out
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["pause", "goof"], "jobs.yaml has no job 'goof'; it has: good, bad; did you mean good?"),
        (["resume", "goof"], "jobs.yaml has no job 'goof'; it has: good, bad; did you mean good?"),
        (["pause", "good", "--for", "2"], "'2' is no duration; write 6h, 90m, 1d12h or 30s"),
        (["pause", "good", "--for", "0s"], "'0s' is no time at all; write 6h, 90m, 1d12h or 30s"),
    ],
)
def test_a_pause_of_nothing_is_bad_usage(program: Program, arguments: list[str], reason: str) -> None:
    ended = program(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"mirror-sync: {reason}\n")
