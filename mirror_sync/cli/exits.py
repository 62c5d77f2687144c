"""The one place that turns errors into words and exit codes: 0 complete, 1 something failed, 2 bad usage or
configuration."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.domain.bounds import plain
from mirror_sync.errors import ConfigError, MirrorError, UsageError
from mirror_sync.owners import with_hindrance

FAILED, MISUSED = 1, 2
COMPLETING = "_MIRROR_SYNC_COMPLETE"  # set by a shell that asks how a line could go on


def main(app: typer.Typer) -> None:
    """Run the program; ends with SystemExit."""
    invocation = Invocation()
    try:
        _survive_any_encoding()
        if COMPLETING in os.environ:
            from typer.completion import completion_init  # type: ignore[attr-defined]  # a re-export

            completion_init()
        app(obj=invocation, prog_name="mirror-sync")
    except SystemExit:
        raise
    except BaseException as error:
        sys.exit(explain(error, invocation))
    finally:
        _let_go()


def end(ok: bool) -> None:
    """Exit with 1 unless all is well."""
    if not ok:
        raise typer.Exit(FAILED)


def explain(error: BaseException, invocation: Invocation) -> int:
    """Say on stderr what went wrong, free of secrets, and return the exit code."""
    if isinstance(error, BrokenPipeError):
        return FAILED
    if invocation.options.debug:
        import traceback

        trace = invocation.redaction.text("".join(traceback.format_exception(error)).rstrip())
        invocation.lines.msg("\n".join(map(plain, trace.splitlines())))
    match error:
        case ConfigError():
            for fault in error.faults:
                invocation.lines.msg(plain(invocation.redaction.text(str(fault))))
            for warning in error.warnings:
                invocation.lines.msg(plain(invocation.redaction.text(f"warning: {warning}")))
        case MirrorError():
            invocation.say(plain(str(error)))
        case OSError():
            invocation.say(_spoken(error))
        case _:
            hint = "" if invocation.options.debug else "; run it again with --debug to see where"
            invocation.say(f"internal error: {plain(f'{type(error).__name__}: {error}')}{hint}")
    return MISUSED if isinstance(error, ConfigError | UsageError) else FAILED


def _spoken(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens on that address already; choose one with --port, or with front.listen"
    if error.strerror is None or error.filename is None:
        return plain(str(error))
    return plain(with_hindrance(f"{error.filename}: {error.strerror}", *_written(error)))


def _written(error: OSError) -> list[Path]:
    """What may have been meant to be written, where it was not allowed."""
    return [Path(str(error.filename))] if error.errno in (errno.EACCES, errno.EPERM) else []


def _let_go() -> None:
    """What is still buffered for a reader that has gone, or a full disk, must not raise again at the very end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _survive_any_encoding() -> None:
    """Names hold any character; a terminal that cannot show one shows a question mark."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
