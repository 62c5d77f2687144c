"""All checks, in the order in which they are shown: what is added is a row here and its function."""

from __future__ import annotations

from collections.abc import Callable

from mirror_sync.app.looking import front_checks as front
from mirror_sync.app.looking import machine_checks as machine
from mirror_sync.app.looking import place_checks as place
from mirror_sync.app.looking.byte_sample import look_at_bytes
from mirror_sync.app.looking.checkup import Check
from mirror_sync.app.looking.patient import Patient


def _once(what: str) -> Callable[[Patient], list[str]]:
    return lambda _: [what]


def _remembering(names: Callable[[Patient], list[str]]) -> Callable[[Patient], list[str]]:
    return lambda patient: names(patient) if machine.remembering(patient) else []


CHECKS: tuple[Check[Patient], ...] = (
    Check("config", lambda patient: [patient.path.name], machine.look_at_config),
    Check("permissions", _once("folders"), machine.look_at_folders),
    Check("state", _once("state_dir"), machine.look_at_state),
    Check("target", place.place_names, place.look_at_target),
    Check("write", place.place_names, place.look_at_writing, after="target"),
    Check("bytes", place.place_names, look_at_bytes, after="target"),
    Check("clock", place.buckets, place.look_at_bucket_clock),
    Check("room", place.target_names, machine.look_at_room),
    Check("verify", _remembering(place.target_names), machine.look_at_care),
    Check("upstream", place.upstream_names, place.look_at_upstream),
    Check("clock", place.asked_upstreams, place.look_at_upstream_clock, after="upstream"),
    Check("token", place.upstreams_with_token, place.look_at_token, after="upstream"),
    Check("budget", place.asked_upstreams, place.look_at_budget, after="upstream"),
    Check("runs", _remembering(_once("jobs")), machine.look_at_runs),
    Check("daemon", machine.answering, machine.look_at_daemon),
    Check("front", front.fronts, front.look_at_front),
    Check("unknown", front.fronts, front.look_at_unknown, after="front"),
    Check("cors", front.fronts, front.look_at_cors, after="front"),
    Check("pages", front.fronts, front.look_at_pages, after="front"),
    Check("tls", front.secure_fronts, front.look_at_tls),
    Check("certificate", machine.certified, machine.look_at_certificate),
    Check("systemd", machine.by_systemd, machine.look_at_systemd),
)
