"""What a user reads about each fault of `policy`, and what sound lists come to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror_sync.domain.formats.file_class import FileClass
from mirror_sync.domain.policy.rules import Outcome
from mirror_sync.domain.policy.scan_policy import OnFailure, ScanCommand, ScanLimits, ScanPolicy
from tests.config.texts import JOBS, LICENSES, REST, TARGETS, UPSTREAMS, fault, settings, warnings

FAULTS = [
    ("{format: {}}", "5:10: policy.format: this key is not known; did you mean formats?"),
    (
        "{formats: {hold: [pickles]}}",
        (
            "5:27: policy.formats.hold[0]: 'pickles' is not data, text, container, unknown, pickle, code or "
            "executable; did you mean pickle?"
        ),
    ),
    (
        "{formats: {hold: [pickle], allow: [pickle]}}",
        "5:44: policy.formats.allow[0]: 'pickle' is under hold as well; keep one of them",
    ),
    (
        "{formats: {hold: [pickle, pickle]}}",
        "5:35: policy.formats.hold[1]: 'pickle' is above already; keep one of them",
    ),
    ("{scan: {hub: refuse}}", "5:22: policy.scan.hub: 'refuse' is not hold"),
    (
        "{scan: {command: [/usr/bin/scanner]}}",
        "5:26: policy.scan.command: does not say which file; write [/usr/bin/scanner, '{file}']",
    ),
    ("{scan: {hub: hold, on_failure: allow}}", "5:40: policy.scan.on_failure: 'allow' is not hold or refuse"),
    (
        "{scan: {timeout: 5m}}",
        "5:16: policy.scan: names no scanner; write hub: hold, picklescan: true or command: [...]",
    ),
    ("{scan: {hub: hold, memory: 4}}", "5:36: policy.scan.memory: '4' is no size; write 500MB, 16GiB or 0"),
]


@pytest.mark.parametrize(("value", "message"), FAULTS)
def test_each_fault_of_a_policy_is_told_with_its_place(value: str, message: str) -> None:
    assert fault(f"{UPSTREAMS}{TARGETS}\n\npolicy: {value}\n{LICENSES}{JOBS}") == message


COMMON = 'policy: {formats: {refuse: [executable], allow: [data, text]}, scan: {command: [a, "{file}"]}}\n'
STRICT = (
    'policy: {scan: {command: [a, "{file}"], version: [a], picklescan: true, on_failure: refuse, timeout: 5m, '
    "memory: 1GiB}}\n"
)
ALL = "which holds for all jobs; remove it here"


@pytest.mark.parametrize(
    ("own", "where", "message"),
    [
        (
            "{formats: {allow: [executable]}}",
            "formats.allow[0]",
            "'executable' is refused by policy.formats, which holds for all jobs; remove it here",
        ),
        (
            "{formats: {allow: [data, code]}}",
            "formats.allow[1]",
            "'code' is held by policy.formats, which holds for all jobs; remove it here",
        ),
        (
            '{scan: {command: [b, "{file}"]}}',
            "scan.command",
            "policy.scan has a command already, which holds for all jobs; remove it here",
        ),
    ],
)
def test_a_job_takes_nothing_away_from_what_holds_for_all(own: str, where: str, message: str) -> None:
    said = fault(f"{REST}{COMMON}jobs:\n- name: one\n  repos: [a/b]\n  policy: {own}\n")
    assert said.endswith(f": jobs[0].policy.{where}: {message}")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ('command: [a, "{file}"], version: [b]', f"version: policy.scan has a version already, {ALL}"),
        ("hub: hold, picklescan: false", f"picklescan: policy.scan asks picklescan, {ALL}"),
        ("hub: hold, on_failure: hold", f"on_failure: policy.scan.on_failure is refuse, {ALL}"),
        ('command: [a, "{file}"], timeout: 6m', f"timeout: is more than policy.scan.timeout, {ALL}"),
        ("picklescan: true, memory: 2GiB", f"memory: is more than policy.scan.memory, {ALL}"),
        ("picklescan: true, memory: 0", f"memory: is more than policy.scan.memory, {ALL}"),
    ],
)
def test_a_job_lets_no_scanner_of_all_jobs_take_more_and_no_failure_pass(own: str, message: str) -> None:
    said = fault(f"{REST}{STRICT}jobs:\n- name: one\n  repos: [a/b]\n  policy: {{scan: {{{own}}}}}\n")
    assert said.endswith(f": jobs[0].policy.scan.{message}")


def test_a_job_gives_a_scanner_of_all_jobs_less_and_what_it_is_silent_of_is_as_for_all() -> None:
    def of(own: str, common: str = STRICT) -> ScanPolicy:
        (job,) = settings(f"{REST}{common}jobs:\n- {{name: one, repos: [a/b], policy: {{scan: {{{own}}}}}}}\n").jobs
        assert job.scan is not None
        return job.scan

    less, words = ScanLimits(timedelta(seconds=1), 1 << 30), ("a", "{file}")
    assert of('command: [a, "{file}"], timeout: 1s').command == ScanCommand(words, less, ("a",))
    assert of("picklescan: true, timeout: 1s").limits == less
    assert of("picklescan: true, memory: 1MiB").limits == ScanLimits(timedelta(minutes=5), 1 << 20)
    assert of("hub: hold").command == ScanCommand(words, ScanLimits(timedelta(minutes=5), 1 << 30), ("a",))
    unbounded = "policy: {scan: {hub: hold, memory: 0}}\n"
    assert of("picklescan: true", unbounded).limits == ScanLimits(memory=0)
    assert of('command: [a, "{file}"], version: [b]', COMMON).command == ScanCommand(words, version=("b",))
    assert of("hub: hold, on_failure: refuse", COMMON).on_failure is OnFailure.REFUSE


def test_what_is_on_no_list_is_held_and_a_job_adds_to_the_lists_of_all() -> None:
    jobs = "jobs:\n- {name: one, repos: [a/b], policy: {formats: {refuse: [text], allow: [data]}, scan: {hub: hold}}}\n"
    (plain,) = settings(f"{REST}{COMMON}{JOBS}").jobs
    assert plain.formats is not None
    assert {of: plain.formats.outcome(of) for of in FileClass} == {
        FileClass.DATA: Outcome.ALLOWED,
        FileClass.TEXT: Outcome.ALLOWED,
        FileClass.CONTAINER: Outcome.HELD,
        FileClass.UNKNOWN: Outcome.HELD,
        FileClass.PICKLE: Outcome.HELD,
        FileClass.CODE: Outcome.HELD,
        FileClass.EXECUTABLE: Outcome.REFUSED,
    }
    command = ScanCommand(("a", "{file}"), ScanLimits(timedelta(minutes=10), 4 << 30))
    assert plain.scan == ScanPolicy(command=command)
    (job,) = settings(f"{REST}{COMMON}{jobs}").jobs
    assert job.formats is not None
    assert (job.formats.outcome(FileClass.TEXT), job.formats.outcome(FileClass.CODE)) == ("refused", "held")
    assert job.scan == ScanPolicy(hub=True, command=command, on_failure=OnFailure.HOLD)


def test_a_scanner_that_is_not_installed_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{REST}policy: {{scan: {{picklescan: true}}}}\n{JOBS}"
    find = "mirror_sync.config.keys.format_entries.find_spec"
    monkeypatch.setattr(find, lambda name: object())
    assert warnings(text) == []
    monkeypatch.setattr(find, lambda name: None)
    (said,) = warnings(text)
    assert said.startswith("4:29: policy.scan.picklescan: picklescan is not installed here")


def test_a_command_that_would_not_start_where_it_is_started_is_a_warning() -> None:
    def told(program: str) -> list[str]:
        return warnings(f'{REST}policy: {{scan: {{command: ["{program}", "{{file}}"]}}}}\n{JOBS}')

    assert told("/bin/sh") == told("sh") == []
    for program in ("/nowhere/scanner", "nobody-has-this-scanner", "../../../../../../../../../bin/sh"):
        (said,) = told(program)
        assert said.startswith(f"4:26: policy.scan.command: {program} is no program here")


def test_without_a_policy_nobody_looks() -> None:
    (job,) = settings(f"{REST}{JOBS}").jobs
    assert (job.formats, job.scan) == (None, None)
