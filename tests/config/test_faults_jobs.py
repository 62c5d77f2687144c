"""What a user reads about each fault of a job, whole."""

from __future__ import annotations

import pytest

from tests.config.texts import JOBS, LICENSES, NOTHING, REST, fault, faults, job_fault

WORKERS = "must be a whole number from 1 to 64, like 8"
REVISION = "is no branch, tag, glob or commit id; write main, v1.0 or v1.*"
BRACKET = "has a [ without its ]"
JOB_FAULTS = [
    ("workers: 0", f"10: workers: {WORKERS}"),
    ("workers: 65", f"10: workers: {WORKERS}"),
    ("workers: 1.5", f"10: workers: {WORKERS}"),
    ("workers: true", f"10: workers: {WORKERS}"),
    ("workers: many", f"10: workers: {WORKERS}"),
    ("guard: {max_removed: 101%}", "22: guard.max_removed: '101%' is no share from 0% to 100%; write 10%"),
    (
        "guard: {accept: [acme/x]}",
        "18: guard.accept[0]: 'acme/x' is no _id of a repo; write it as the reason of the hold does, or '*' for any",
    ),
    (
        "guard: {accept: [1a2b..3c4d]}",
        "18: guard.accept[0]: '1a2b..3c4d' is no move of a name; write both commits whole, as the reason does",
    ),
    ("on_gone: delete", "10: on_gone: 'delete' is not keep, freeze or withdraw"),
    ("retention: {days: -1}", "19: retention.days: '-1' is no whole number from 0 to 999999"),
    ("upstream: hubb", "11: upstream: 'hubb' is not under upstreams; did you mean hub?"),
    ("target: nowhere", "9: target: 'nowhere' is not under targets; targets has disk"),
    ("target:", "8: target: is empty; write target: mirror, or remove it"),
    ("revisions: []", "12: revisions: is empty; write revisions: [main]"),
    ("revisions: main", "12: revisions: must be a list, not text; write revisions: [main]"),
    ("revisions: [1.0]", "13: revisions[0]: must be text, not a number; put it in quotes"),
    ("revisions: [a b]", f"13: revisions[0]: 'a b' {REVISION}"),
    ("revisions: [a..b]", f"13: revisions[0]: 'a..b' {REVISION}"),
    ("revisions: ['v[']", f"13: revisions[0]: 'v[' {BRACKET}; write v1.*, or v[12] for one of some characters"),
    (
        "revisions: ['v[12].[!]']",
        f"13: revisions[0]: 'v[12].[!]' {BRACKET}; write v1.*, or v[12] for one of some characters",
    ),
    ("revisions: [v1.lock]", f"13: revisions[0]: 'v1.lock' {REVISION}"),
    ("include: []", '10: include: is empty; write include: ["*"]'),
    ("include: [/a]", "11: include[0]: '/a' matches no path; write *.safetensors, onnx/* or onnx/"),
    ("exclude: ['']", "11: exclude[0]: '' matches no path; write *.safetensors, onnx/* or onnx/"),
    ("exclude: [~]", "11: exclude[0]: is empty; write a value"),
    ("revison: [x]", "1: revison: this key is not known; did you mean revisions?"),
]


@pytest.mark.parametrize(("line", "message"), JOB_FAULTS)
def test_job(line: str, message: str) -> None:
    assert job_fault(line) == message


LETTERS = "the letters a-z and A-Z, digits, '-', '_' and '.' are all that may stand in a name"
REPO_FAULTS = [
    ("[]", "10: repos: is empty; write repos: [sentence-transformers/all-MiniLM-L6-v2]"),
    ("acme/x", "10: repos: must be a list, not text; write repos: [sentence-transformers/all-MiniLM-L6-v2]"),
    ("[acme//x]", "11: repos[0]: 'acme//x' is no repo id; write org/name"),
    ("['*']", "11: repos[0]: '*' must name one owner before its wildcard; write owner/*"),
    ("['*/x']", "11: repos[0]: '*/x' must name one owner before its wildcard; write owner/*"),
    ("['spaces:acme/x']", "11: repos[0]: 'spaces' is no kind of repo; write model:, dataset:, space: or kernel:"),
    ("['acme/x[']", f"11: repos[0]: 'acme/x[' {BRACKET}; write owner/*"),
    (
        f"[acme/{'x' * 92}]",
        f"11: repos[0]: 'acme/{'x' * 92}' is no repo id: it is longer than 96 characters; write org/name",
    ),
    ("[Qwen/通义]", f"11: repos[0]: 'Qwen/通义' is no repo id: {LETTERS}; write org/name"),
    ("['Qwen/通义*']", f"11: repos[0]: 'Qwen/通义*' is no glob of repos: {LETTERS}; write owner/*"),
    ("[a--b/c]", "11: repos[0]: 'a--b/c' is no repo id: no -- and no .. may stand in a name; write org/name"),
    ("['BAAI/x:main']", "11: repos[0]: 'BAAI/x:main' names a revision; write BAAI/x, and main in revisions"),
    ("[BAAI/x@v1/a]", "11: repos[0]: 'BAAI/x@v1/a' names a revision; write BAAI/x, and v1/a in revisions"),
    ("['dataset:a/x:v1']", "11: repos[0]: 'dataset:a/x:v1' names a revision; write dataset:a/x, and v1 in revisions"),
    ("[a: b]", "11: repos[0]: must be text, not a mapping"),
]


@pytest.mark.parametrize(("value", "message"), REPO_FAULTS)
def test_repos(value: str, message: str) -> None:
    assert fault(f"{REST}jobs:\n- name: one\n  repos: {value}\n") == f"6:{message.replace('repos', 'jobs[0].repos', 1)}"


def test_two_jobs_of_one_name_are_a_fault_even_when_they_have_others() -> None:
    assert faults(f"{REST}jobs: [{{name: one}}, {{name: one, repos: [a/b]}}]\n") == [
        f"jobs.yaml:4:8: jobs[0].{NOTHING}",
        "jobs.yaml:4:28: jobs[1].name: jobs[0] is named 'one' already; give each job its own name",
    ]


SIDES = "upstreams: {a: {kind: huggingface}, b: {kind: huggingface}}\ntargets: {c: {url: c}, d: {url: d}}\n" + LICENSES


def test_with_several_upstreams_or_targets_a_job_must_choose() -> None:
    assert faults(SIDES + JOBS) == [
        "jobs.yaml:4:8: jobs[0].target: is missing, and there are c and d; write target: c here or under defaults",
        "jobs.yaml:4:8: jobs[0].upstream: is missing, and there are a and b; write upstream: a here or under defaults",
    ]
