"""How the program ends when something does not go as planned."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.cli.program import CONFIG, PATIENCE, Program

SLOW = ("-m", "tests.cli.slow")


def test_ctrl_c_once_ends_cleanly_and_says_what_is_left(program: Program) -> None:
    slow = Program(program.folder, SLOW)
    with slow.started("sync", "--json") as child:
        assert child.stderr is not None
        assert "run.started" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 1
    assert "mirror-sync: stopping cleanly; press Ctrl-C again to stop at once\n" in err
    document = json.loads(out)
    assert (document["ok"], document["interrupted"]) == (False, True)
    assert (document["left"], document["jobs_left"]) == (7, 1)


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("sync", "mirror_sync.cli.app"),
        ("sync", "mirror_sync.config.load"),
        ("sync", "mirror_sync.wiring.program"),
        ("serve", "mirror_sync.front.serve.asgi"),
        ("daemon", "mirror_sync.daemon.service"),
        ("status", "mirror_sync.cli.output.status_text"),
    ],
)
def test_ctrl_c_before_anybody_can_stop_in_order_is_said_in_a_line(program: Program, command: str, module: str) -> None:
    """An exception in the midst of an import is printed by Python, which goes on then, or keeps a lock for ever."""
    with Program(program.folder, ("-m", "tests.cli.importing")).started(command, AT=module) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "importing\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (1, "", "mirror-sync: stopped\n")


def test_the_summary_of_an_interrupted_sync_says_what_is_left(program: Program) -> None:
    slow = Program(program.folder, SLOW)
    with slow.started("sync") as child:
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=PATIENCE)
    assert out.endswith(
        "Stopped before the end: 7 repos left and 1 job not begun; "
        "what was done is kept: run the same command again to go on.\n"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_part_of_a_plan_is_shown_as_a_part(program: Program, as_json: bool) -> None:
    with Program(program.folder, SLOW).started("plan", *["--json"] * as_json) as child:
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 1
    if as_json:
        document = json.loads(out)
        assert (document["ok"], document["interrupted"]) == (False, True)
        assert [repo["repo"] for repo in document["repos"]] == ["acme/one"]
    else:
        assert "publish      2   26 B      0       0  acme/one@main (good)\n" in out
        assert out.endswith("\nStopped before the end: this is a part of the plan; there may be more to do.\n")


def test_ctrl_c_twice_stops_at_once_even_when_nothing_listens(program: Program) -> None:
    slow = Program(program.folder, SLOW)
    with slow.started("sync", STUBBORN="1") as child:
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(signal.SIGINT)
        assert "stopping cleanly" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (1, "")
    assert err.endswith("mirror-sync: stopped\n")


RESTLESS = """
import sys, threading
from mirror_sync.cli.interrupts import _end_now

def draw():  # as bars are: the lines below are wiped out and written anew
    while True:
        sys.stderr.write("\\r\\x1b[2K\\x1b[1A\\x1b[2Kbars")
        sys.stderr.flush()
        drawn.set()

drawn = threading.Event()
threading.Thread(target=draw, daemon=True).start()
drawn.wait()
_end_now()
"""


def test_the_last_word_stays_on_a_terminal_whatever_is_drawn_meanwhile() -> None:
    for _ in range(5):
        leader, follower = pty.openpty()
        child = subprocess.Popen([sys.executable, "-c", RESTLESS], stderr=follower)
        os.close(follower)
        with open(leader, "rb", buffering=0) as screen:  # noqa: PTH123  a descriptor, not a path
            shown = b""
            with suppress(OSError):
                while chunk := screen.read(65536):
                    shown += chunk
        assert child.wait(PATIENCE) == 1
        assert shown.endswith(b"bars\x1b[?25h\r\nmirror-sync: stopped\r\n")


@pytest.mark.parametrize("command", ["status", "plan", "check --schema"])
def test_a_reader_that_goes_away_early_is_no_traceback(program: Program, command: str) -> None:
    with program.started(*command.split()) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        errors = child.stderr.read()
    assert child.returncode == 1
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_a_disk_without_space_is_one_line(program: Program) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, program.started("status", streams=full.fileno()) as child:  # noqa: PTH123  a device
        child.communicate(timeout=PATIENCE)
    assert child.returncode == 1


def test_a_log_that_nobody_reads_any_more_does_not_stop_a_sync(program: Program) -> None:
    with program.started("sync", "good") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stderr.close()
        out = child.stdout.read()
    assert child.returncode == 0
    assert "1 repo: 1 published." in out


def test_an_error_of_the_system_is_one_line(program: Program) -> None:
    (program.folder / "state").write_text("a file where a folder should be", encoding="utf-8")
    ended = program("status")
    assert ended.code == 1
    assert ended.err.startswith("mirror-sync: ")
    assert ended.err.count("\n") == 1


def test_an_unexpected_error_is_one_line_and_a_traceback_when_asked_for(program: Program) -> None:
    slow = Program(program.folder, SLOW, {"BROKEN": "no such thing"})
    ended = slow("sync")
    assert ended.code == 1
    assert ended.err == (
        "mirror-sync: internal error: LookupError: no such thing; run it again with --debug to see where\n"
    )
    assert "Traceback" in slow("sync", "--debug").err


def test_a_secret_never_leaves_not_even_with_a_traceback(program: Program) -> None:
    config = CONFIG.replace("upstreams:", "upstreams:\n  hub: {kind: huggingface, token: '${TOKEN}'}")
    program.write(config)
    slow = Program(program.folder, SLOW, {"TOKEN": "hf_very/secret"})
    for arguments in ("sync", "sync --debug", "sync --json", "sync -v --log-format json"):
        ended = slow(*arguments.split(), LEAK="1")
        assert "hf_very" not in ended.out + ended.err
        assert "[secret]" in ended.out + ended.err
    for arguments in ("sync", "sync --debug"):
        ended = slow(*arguments.split(), BROKEN="hf_very/secret")
        assert "hf_very" not in ended.out + ended.err
        assert "LookupError: [secret]" in ended.err


@pytest.mark.parametrize(("environ", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_a_terminal_gets_colour_unless_it_is_declined(program: Program, environ: dict[str, str], colored: bool) -> None:
    program("sync")
    shown = on_terminal(program, "status", **environ)
    assert ("\x1b[32mpublished\x1b[0m" in shown) is colored
    assert "acme/one@main" in shown


def on_terminal(program: Program, *arguments: str, **environ: str) -> str:
    """What the program writes to a terminal."""
    leader, follower = pty.openpty()
    with program.started(*arguments, streams=follower, TERM="xterm", **environ) as child:
        os.close(follower)
        shown = b""
        # EIO is how Linux says that nobody has the other end open any more
        with suppress(OSError), open(leader, "rb", buffering=0) as screen:  # noqa: PTH123  a descriptor, not a path
            while chunk := screen.read(65536):
                shown += chunk
    assert child.returncode == 0
    return shown.decode()
