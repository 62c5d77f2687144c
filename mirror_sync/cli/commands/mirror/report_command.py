"""`report`: what a target holds, under which licence, by whose word, and how it can be proved."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Target, chosen, command
from mirror_sync.observe.figures import counted

_TOLD = 5  # repos


class ReportFormat(StrEnum):
    """What is written."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"


@command
def report(
    invocation: Invocation,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="A page to print, a table for a spreadsheet, or one document.")
    ] = ReportFormat.HTML,
    target: Target = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead, once it is whole.")
    ] = None,
) -> None:
    """Write a report for an auditor: all that a target serves.

    Of each repo and commit its licence, verdicts and decisions, its classes of files, what signs it, how fresh it is,
    what is held or withdrawn, and who reads it. What cannot be read is said in its place; then it exits with 1.
    """
    from mirror_sync.catalogue.compliance_writers import WRITERS
    from mirror_sync.domain.outcome.compliance import ReportTotals

    totals = ReportTotals()
    with invocation.mirror(None, reading=True) as mirror, _opened(output) as file:
        found = mirror.report(chosen(mirror.settings, target))
        for piece in WRITERS[form](found.head, totals.counting(found), totals, invocation.redaction.value):
            file.write(piece)
    if not totals.ok:
        where = ", ".join(totals.unread[:_TOLD]) + (" and more" if len(totals.unread) > _TOLD else "")
        invocation.say(f"{counted(totals.problems, 'problem')}: not all could be read of {where}")
    end(totals.ok)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that stands in the place of an older one once all of it is written. OSError.

    What is no plain file, like a pipe, is written to as it is.
    """
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    if output.exists() and not output.is_file():
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    young = output.with_name(f".{output.name}.{os.urandom(8).hex()}")
    try:
        with young.open("x", encoding="utf-8", newline="") as file:
            yield file
        young.replace(output)
    except BaseException:
        young.unlink(missing_ok=True)
        raise
