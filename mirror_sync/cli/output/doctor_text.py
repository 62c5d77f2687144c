"""`doctor`, for a person: a line for each check, and under what is not well what to do about it."""

from __future__ import annotations

from mirror_sync.app.doctor.checkup import CheckLine, CheckReport, Health
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.observe.figures import counted

_NAME = 11  # columns: the longest name of a check


def doctor_text(line: CheckLine, page: TextLayout) -> str:
    """fault    token        hub https://...: it is rejected; below it what to do, and a command to be typed."""
    told = [page.item(line.health, f"{line.check:<{_NAME}}", f"{line.where}: {line.said}")]
    if line.advice:
        told.append(page.note(f"{line.advice}:" if line.command else line.advice))
    if line.command:
        told.append(f"      {line.command}")
    return "\n".join(told)


def doctor_sum(report: CheckReport, page: TextLayout) -> str:
    """2 faults, 1 warning; 14 ok, 3 skipped."""
    faults, warnings = report.count(Health.FAULT), report.count(Health.WARNING)
    bad = f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}"
    return page.sentence(f"{bad}; {report.count(Health.OK):,} ok, {report.count(Health.SKIPPED):,} skipped.")
