"""Arguments, options and help."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mirror_sync.observe.log.log import Format
from tests.cli.program import CONFIG, Program

COMMANDS = [
    "check",
    "plan",
    "sync",
    "daemon",
    "worker",
    "trigger",
    "pause",
    "resume",
    "status",
    "diff",
    "verify",
    "rescan",
    "prune",
    "traffic",
    "serve",
    "completion",
    "front",
    "front nginx",
    "webhooks",
    "webhooks create",
    "webhooks list",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself_within_80_columns(program: Program, command: str) -> None:
    ended = program(*command.split(), "--help", COLUMNS="80")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "..." not in re.sub(r"(\[ARGS\]|\[JOB\]|LOG)\.\.\.", "", ended.out), "something is cut off"


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("grant", "grant [OPTIONS] REPO"),
        ("push", "push [OPTIONS] DIR REPO"),
        ("diff", "diff [OPTIONS] REPO [A] [B]"),
        ("traffic", "traffic [OPTIONS] LOG..."),
        ("status", "status [OPTIONS] [REPO]"),
    ],
)
def test_usage_names_arguments_as_the_manual_does(program: Program, command: str, usage: str) -> None:
    assert program(command, "--help").out.splitlines()[0] == f"Usage: mirror-sync {usage}"


def test_the_version_is_one_line(program: Program) -> None:
    ended = program("--version")
    assert ended.code == 0
    assert ended.out.startswith("mirror-sync ")
    assert ended.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synk"], "Error: No such command 'synk'. Did you mean 'sync'?\n"),
        (["sync", "--zzzz"], "Error: No such option: --zzzz\n"),
        (["sync", "-v", "-q"], "Error: Invalid value: --verbose and --quiet exclude each other\n"),
        (["plan", "god"], "mirror-sync: jobs.yaml has no job 'god'; it has: good, bad; did you mean good?\n"),
        (["sync", "acme/one"], "jobs.yaml has no job 'acme/one'; it has: good, bad; acme/one is a repo of good\n"),
        (["sync", "acme/none"], "jobs.yaml has no job 'acme/none'; it has: good, bad\n"),
        (["serve", "--target", "tape"], "mirror-sync: jobs.yaml has no target 'tape'; it has: disk\n"),
        (["--log-format", "xml", "check"], "Error: Invalid value for '--log-format'"),
        (["serve", "--port", "70000"], "Error: Invalid value for '--port'"),
        (["verify", "--sample", "7"], "'7' is no share above 0% and up to 100%; write 5% or 0.5%"),
        (["verify", "--sample", "0%"], "'0%' is no share above 0% and up to 100%; write 5% or 0.5%"),
        (["verify", "--sample", "101%"], "'101%' is no share above 0% and up to 100%; write 5% or 0.5%"),
        (["verify", "--rate", "fast"], "is no rate; write 500B/s, 10KB/s or 1MB/s"),
        (["verify", "--rate", "0B/s"], "nothing would ever be read; write 500B/s, 10KB/s or 50MB/s"),
        (["verify", "--since", "soon"], "'soon' is no date and no duration; write 20"),
        (["verify", "--since", "2999-01-01"], "'2999-01-01' is still to come; write a date that has been, like 20"),
        (["front", "nginx"], "Error: Missing option '--output' / '-o'."),
    ],
)
def test_bad_usage_is_exit_code_2_and_says_what_would_be_right(
    program: Program, arguments: list[str], message: str
) -> None:
    ended = program(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [["-c", "other.yaml", "check"], ["check", "-c", "other.yaml"], ["check", "--config", "other.yaml"]],
)
def test_common_options_stand_before_the_command_or_after_it(program: Program, arguments: list[str]) -> None:
    program.write(name="other.yaml")
    assert program(*arguments).out.startswith("other.yaml: ok, ")


def test_the_configuration_can_be_named_by_the_environment_and_an_option_wins(program: Program) -> None:
    program.write(name="other.yaml")
    assert program("check", MIRROR_SYNC_CONFIG="other.yaml").out.startswith("other.yaml: ok, ")
    assert program("-c", "jobs.yaml", "check", MIRROR_SYNC_CONFIG="other.yaml").out.startswith("jobs.yaml: ok, ")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\nsys.argv = ['mirror-sync', '--help']\nfrom mirror_sync.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()\n"
        "print([name for name in ('boto3', 'huggingface_hub', 'apscheduler', 'uvicorn') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_the_help_names_every_log_format(program: Program) -> None:
    shown = program("sync", "--help").out
    assert all(name in shown for name in Format)


def test_check_reads_the_limits_back(program: Program) -> None:
    limits = (
        "connections: 16\nbandwidth: {limit: 200MB/s, timezone: Asia/Shanghai, windows: "
        "[{hours: '08:00-20:00', days: mon-wed, limit: 20MiB/s}, {hours: '22:00-24:00', limit: 0}]}\n"
    )
    first, second = "{name: good, repos: [acme/one]", "{name: bad, repos: [acme/closed, acme/gone]"
    config = CONFIG.replace(first, f"{first}, connections: 1").replace(second, f"{second}, bandwidth: {{limit: 5KB/s}}")
    program.write(config + limits)
    assert program("check").out.splitlines()[1:] == [
        (
            "all jobs: 200MB/s, 20MiB/s at 08:00-20:00 mon,tue,wed, a pause at 22:00-24:00 (Asia/Shanghai); "
            "at most 16 connections"
        ),
        "job good: at most 1 connection",
        "job bad: 5KB/s",
    ]
