"""`doctor`: what keeps the mirror from its work, and what to do."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_jobs
from mirror_sync.cli.exits import end
from mirror_sync.cli.interrupts import stopped_by_signals
from mirror_sync.cli.invocation import Invocation, Options
from mirror_sync.cli.options import Json, Target, chosen, command
from mirror_sync.errors import ConfigError, Fault, UsageError

if TYPE_CHECKING:
    from mirror_sync.app.looking.patient import Patient

_OURS = re.compile(r"(?<!\S)mirror-sync (?=[a-z])")


@command
def doctor(
    invocation: Invocation,
    target: Target = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job", metavar="JOB", help="Only what this job needs; may be repeated.", autocompletion=names_of_jobs
        ),
    ] = None,
    front: Annotated[
        str | None, typer.Option("--front", metavar="URL", help="The front to ask; front.url if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check all that the mirror needs, and say what to do.

    Asks jobs.yaml, folders, disks, clocks, targets, upstreams, the front, the daemon and systemd, each within seconds.
    Puts one object of ours into each target, and removes it. Exits with 1 where there is a fault; a warning is none.
    """
    from mirror_sync.app.looking.checkup import CheckReport, examine
    from mirror_sync.app.looking.table import CHECKS
    from mirror_sync.cli.output.check_text import doctor_sum, doctor_text

    patient = _patient(invocation, target, tuple(job or ()), front)
    found = []
    with stopped_by_signals(invocation.stop, invocation.say):
        for line in examine(CHECKS, patient, invocation.stop):
            found.append(replace(line, command=_typed(line.command, invocation.options)))
            if not as_json:
                invocation.print(doctor_text(found[-1], invocation.page))
    report = CheckReport(tuple(found))
    invocation.answer(report, lambda page: doctor_sum(report, page), as_json=as_json)
    end(report.ok and not invocation.stop.is_set())


def _typed(said: str, options: Options) -> str:
    """A command as it is to be typed here: for the same jobs.yaml."""
    if options.config == Options().config:
        return said
    return _OURS.sub(f"mirror-sync -c {shlex.quote(str(options.config))} ", said)


def _patient(invocation: Invocation, target: str | None, jobs: tuple[str, ...], front: str | None) -> Patient:
    """UsageError for a job or a target that jobs.yaml has not, and for a front that is no address."""
    from mirror_sync.app.looking.patient import Patient
    from mirror_sync.domain.nearest import jobs_instead
    from mirror_sync.domain.url import Url
    from mirror_sync.wiring.impatient import ImpatientOpener

    if front is not None:
        try:
            Url.parse(front)
        except ValueError as error:
            raise UsageError(f"--front is the address of a front, https://...: {error}") from None
    path = invocation.options.config
    settings, unfit = None, ""
    faults: tuple[Fault, ...] = ()
    try:
        settings = invocation.settings()
    except ConfigError as error:
        faults = error.faults
    else:
        if target is not None:
            chosen(settings, target)
        for name in jobs:
            if all(one.name != name for one in settings.jobs):
                raise UsageError(f"{settings.path.name} has no job {name!r}{jobs_instead(name, settings.jobs)}")
        try:
            invocation.owned(reading=True)
        except UsageError as error:
            unfit = str(error)
    state_dir = path.absolute().parent if settings is None else settings.state_dir
    ways = ImpatientOpener(state_dir, invocation.redaction.rotate)
    return Patient(path, settings, faults, ways, front, jobs, target, unfit)
