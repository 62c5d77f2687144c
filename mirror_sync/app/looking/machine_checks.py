"""What is asked of this machine: jobs.yaml, folders and whose they are, disks, what runs remember, daemon, systemd."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mirror_sync.app.looking.checkup import Health, Saying
from mirror_sync.app.looking.local_doubts import certificate_doubt, unwritable
from mirror_sync.app.looking.patient import Patient, ask
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.report import RepoState, TargetPlan
from mirror_sync.domain.url import own_address
from mirror_sync.errors import MAY_PASS, Gated, StoreFull, TokenRejected, Unreachable
from mirror_sync.observe.figures import age, counted, in_bytes
from mirror_sync.owners import hindrance, is_there, state_hindrance, unread_cause
from mirror_sync.state.history import HISTORY_FILE

_LEAST_ROOM, _LITTLE_ROOM = 8 << 20, 128 << 20  # bytes for the state folder: its files grow, and SQLite needs some
_VERIFIED = 35  # days after which a verify is old: a month's, and some
_UNITS = ("mirror-sync", "mirror-front", "mirror-sync-worker")
_ASKED = "Id,LoadState,ActiveState,SubState,Result,UnitFileState"
_PATIENCE = 5.0  # seconds
_BOOTED = Path("/run/systemd/system")  # sd_booted(3)


def look_at_config(patient: Patient, _: str) -> Saying:
    """Every fault, each with its place; warnings, too."""
    command = "mirror-sync check"
    for fault in patient.faults:
        yield Health.FAULT, str(fault), "mend it; what else is asked here goes by the rest", command
    settings = patient.settings
    if settings is None:
        return
    for warning in settings.warnings:
        yield Health.WARNING, str(warning), "", command
    if settings.trust.keys:
        from mirror_sync.app.trust.signing_keys import key_faults

        for fault in key_faults(settings, patient.path):
            yield Health.FAULT, str(fault), "", command
    if not patient.faults and not settings.warnings:
        jobs, targets = counted(len(settings.jobs), "job"), counted(len(settings.targets), "target")
        yield Health.OK, f"{jobs}, {targets}"


def look_at_folders(patient: Patient, _: str) -> Saying:
    """Whether the daemon's user, as whom we run, could write what it has to."""
    if patient.unfit:
        yield Health.FAULT, patient.unfit, "give the folder to the user who runs the daemon", "mirror-sync check"
    if patient.settings is None:
        folder = patient.state_dir
        why = "" if folder is None else hindrance(folder)
        yield (Health.FAULT, why, "", "") if why else (Health.SKIPPED, "which they are says jobs.yaml alone")
        return
    barred = [*unwritable(patient.settings)]
    if not any(name == "state_dir" for name, _ in barred) and (why := state_hindrance(patient.settings.state_dir)):
        barred.append(("state_dir", f"state_dir: {why}"))
    for name, why in barred:
        if name == "state_dir" or name.removeprefix("target ") in patient.targets:
            yield Health.FAULT, why, "run it as the user who runs the daemon, or give the folder to that user", ""
    if not barred and not patient.unfit:
        yield Health.OK, "all that a sync writes can be written"


def look_at_state(patient: Patient, _: str) -> Saying:
    """Room for the history, and whether it can be read."""
    folder = patient.state_dir
    if folder is None:
        yield Health.SKIPPED, "where it is says jobs.yaml alone"
        return
    if not is_there(folder):
        yield Health.SKIPPED, f"{folder} is not there yet: the first sync makes it"
        return
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < _LITTLE_ROOM:
        worst = Health.FAULT if free < _LEAST_ROOM else Health.WARNING
        yield (
            worst,
            f"{in_bytes(free)} are free for {folder}",
            "make room on its disk",
            f"df -h {shlex.quote(str(folder))}",
        )
    history = folder / HISTORY_FILE
    if is_there(history) and not os.access(history, os.R_OK):
        denied = PermissionError(13, os.strerror(13), str(history))
        yield Health.FAULT, f"{history}: {unread_cause(denied, history)}", "run it as the user who runs the daemon", ""
        return
    known = len(patient.known())  # reads it
    yield Health.OK, f"{folder}: {counted(known, 'repo')} remembered, {in_bytes(free)} free"


def look_at_runs(patient: Patient, _: str) -> Saying:
    """What failed in the last runs, by its cause."""
    from mirror_sync.app.next_runs import job_line_of

    statuses, runs = patient.known(), patient.remembered.repos_and_runs()[1]
    failed = [one for one in statuses if one.state is RepoState.FAILED and one.code not in _ELSEWHERE]
    for code, count in Counter(one.code for one in failed).most_common():
        first = next(one for one in failed if one.code == code)
        more = f"; and {count - 1:,} more" if count > 1 else ""
        advice = _AGAIN if code in MAY_PASS else "look at what status says of each"
        command = "mirror-sync sync" if code in MAY_PASS else "mirror-sync status --gaps"
        yield Health.FAULT, f"{first.spoken} failed: {first.reason}{more}", advice, command
    now, late = patient.now(), False
    for job in patient.sound.jobs:
        if job.target in patient.targets and (not patient.jobs or job.name in patient.jobs):
            last = next((run.of(job.name) for run in runs if job.name in run.jobs), None)
            for note in job_line_of(job, last, now).notes:
                if "is late" in note or "interrupted" in note:
                    late = True
                    yield Health.WARNING, note, "", f"mirror-sync sync {shlex.quote(job.name)}"
    gated = sum(one.code == Gated.code for one in statuses)
    if gated:
        advice = "accept their terms upstream with the account of the token"
        yield Health.WARNING, f"{counted(gated, 'repo')} not open to our token", advice, "mirror-sync status --gaps"
    if not failed and not late and not gated:
        yield Health.OK, f"nothing failed, of {counted(len(statuses), 'repo')}" if statuses else "nothing has run yet"


_ELSEWHERE = frozenset({StoreFull.code, TokenRejected.code})  # of which other checks say more
_AGAIN = "it may have passed: try again (the daemon does so by itself)"


def look_at_care(patient: Patient, target: str) -> Saying:
    """When a target was verified, and what was found."""
    if not patient.published(target):
        yield Health.SKIPPED, "no run of this machine has published in it yet"
        return
    known = {each.care: each for each in patient.remembered.tended() if each.target == target}
    verified, now = known.get(Care.VERIFY), patient.now()
    if verified is None:
        advice = "nobody knows whether what is published is whole: verify it, best by maintenance.verify"
        yield Health.WARNING, "never verified", advice, "mirror-sync verify"
    elif verified.faults:
        wrong = f"{counted(verified.faults, 'blob')} wrong or not readable, {age(verified.at, now)} ago"
        yield Health.FAULT, wrong, "have what is wrong fetched again", "mirror-sync verify --repair"
    elif (now - datetime.fromisoformat(verified.at)).days > _VERIFIED:
        yield Health.WARNING, f"verified {age(verified.at, now)} ago", "verify it again", "mirror-sync verify"
    else:
        yield Health.OK, f"verified {age(verified.at, now)} ago: nothing wrong"


def look_at_room(patient: Patient, target: str) -> Saying:
    """Whether a disk has room for what its jobs keep, by the rule that `plan` goes by."""
    full = [one for one in patient.known() if one.code == StoreFull.code and _in(patient, one.job, target)]
    if full:
        more = f"; and {len(full) - 1:,} more" if len(full) > 1 else ""
        advice = "let old snapshots go; where that frees too little, give it a larger disk"
        command = "mirror-sync prune && mirror-sync sync"
        yield Health.FAULT, f"{full[0].spoken} did not fit: {full[0].reason}{more}", advice, command
        return
    free = patient.ways.store(patient.targets[target]).free()
    if free is None:
        yield Health.SKIPPED, "a bucket does not say how much room there is"
        return
    sizes = {(one.repo, one.kind, one.revision): one.bytes for one in patient.published(target)}
    published = sum(sizes.values())
    jobs = [job for job in patient.sound.jobs if job.target == target]
    versions = max((job.retention.snapshots for job in jobs), default=0)
    advised = TargetPlan(target, 0, 0, 0, free, published, versions).advised_bytes
    kept = f"{counted(versions, 'version')} of {in_bytes(published)} x 1.2 want {in_bytes(advised)}"
    if not free:
        yield Health.FAULT, "the disk is full", "let old snapshots go", "mirror-sync prune"
    elif free + published < advised:
        advice = "a larger disk, or fewer versions (retention)"
        yield Health.WARNING, f"{in_bytes(free)} free: {kept}", advice, "mirror-sync plan"
    else:
        yield Health.OK, f"{in_bytes(free)} free; {kept}"


def _in(patient: Patient, job: str, target: str) -> bool:
    return any(one.name == job and one.target == target for one in patient.sound.jobs)


def look_at_daemon(patient: Patient, _: str) -> Saying:
    """What the daemon says of itself at http.listen."""
    settings = patient.sound
    listen = settings.http.listen
    if listen is None:
        yield Health.SKIPPED, "the daemon has no http.listen"
        return
    host = own_address(listen.host)
    place = f"[{host}]:{listen.port}" if ":" in host else f"{host}:{listen.port}"
    try:
        reply = ask(f"http://{place}/readyz", direct=True)
    except Unreachable:
        scheduled = any(job.schedule is not None for job in settings.jobs)
        said = f"no daemon answers at http.listen, {place}"
        if scheduled:
            yield Health.WARNING, f"{said}: nothing runs by its schedule here", "start it", _start()
        else:
            yield Health.SKIPPED, f"{said}, and no job has a schedule"
        return
    try:
        found = json.loads(reply.body)
        ready, missing = bool(found["ready"]), dict(found["missing"])
    except (ValueError, KeyError, TypeError, RecursionError):
        advice = "give one of the two another address"
        yield (
            Health.FAULT,
            f"another program answers at http.listen, {place}",
            advice,
            f"ss -ltnp sport = :{listen.port}",
        )
        return
    for what, why in missing.items():  # of a job, that its first run goes on
        yield Health.WARNING if what.startswith("job ") else Health.FAULT, f"{what}: {why}", "", "mirror-sync status"
    if ready:
        yield Health.OK, f"ready, at {place}"


def _start() -> str:
    by_systemd = shutil.which("systemctl") and _BOOTED.is_dir()
    return "systemctl start mirror-sync.service" if by_systemd else "mirror-sync daemon"


def look_at_certificate(patient: Patient, _: str) -> Saying:
    """The files by which a front of ours speaks TLS."""
    if doubt := certificate_doubt(patient.sound, patient.now()):
        unusable = "cannot be used" in doubt
        advice = "put both files there, for the front's user to read, or mend front.tls" if unusable else ""
        yield Health.FAULT if unusable or " ended " in doubt else Health.WARNING, doubt, advice, ""
    else:
        yield Health.OK, "its files can be used, and end in more than a month"


def look_at_systemd(_patient: Patient, _: str) -> Saying:
    """Units of ours: whether they are installed, run, and have failed. Not to be run by systemd is no fault."""
    program = shutil.which("systemctl")
    if program is None:
        yield Health.SKIPPED, "there is no systemctl here"
        return
    units = [f"{unit}.service" for unit in _UNITS]
    try:
        ended = subprocess.run(  # noqa: S603  of the system's own, no shell
            [program, "show", "--no-pager", f"--property={_ASKED}", *units],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Health.FAULT, f"systemctl does not answer within {_PATIENCE:.0f} s", "", "systemctl status"
        return
    if ended.returncode:
        yield (
            Health.SKIPPED,
            f"systemctl cannot be asked here: {(ended.stderr.strip().splitlines() or ['no answer'])[-1]}",
        )
        return
    found = [
        dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in ended.stdout.split("\n\n")
    ]
    installed = [unit for unit in found if unit.get("LoadState") == "loaded"]
    for unit in installed:
        yield _unit(unit)
    if not installed:
        yield Health.SKIPPED, "no unit of ours is installed: not run by systemd here"


def _unit(unit: Mapping[str, str]) -> tuple[Health, str] | tuple[Health, str, str, str]:
    name = unit.get("Id", "a unit")
    state, sub = unit.get("ActiveState", "unknown"), unit.get("SubState", "")
    if state == "failed":
        why = f"{name} has failed ({unit.get('Result', 'no cause told')})"
        return Health.FAULT, why, "see why, then start it again", f"journalctl -n 50 -u {name}"
    if sub == "auto-restart":
        return Health.FAULT, f"{name} ends again and again", "see why", f"journalctl -n 50 -u {name}"
    if state == "active":
        return Health.OK, f"{name} runs"
    if unit.get("UnitFileState") == "enabled":
        return Health.WARNING, f"{name} is enabled and does not run ({state})", "start it", f"systemctl start {name}"
    return Health.SKIPPED, f"{name} is installed, not enabled, and does not run"


def by_systemd(_patient: Patient) -> list[str]:
    """A subject where systemd is there to be asked."""
    return ["systemd"] if shutil.which("systemctl") else []


def answering(patient: Patient) -> list[str]:
    """The daemon, where it is to answer at all."""
    return ["daemon"] if patient.settings is not None and patient.settings.http.listen is not None else []


def certified(patient: Patient) -> list[str]:
    """The front's certificate, where jobs.yaml names one."""
    return ["front.tls"] if patient.settings is not None and patient.settings.front.tls is not None else []


def remembering(patient: Patient) -> bool:
    """Whether there is a history to ask."""
    return patient.memory is not None
