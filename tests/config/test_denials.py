"""`!org/x` under `repos`: a denial wins over whatever names a repo, wherever it stands."""

from __future__ import annotations

import pytest

from mirror_sync.domain.job.job import owners
from mirror_sync.domain.repo import Repo
from tests.config.texts import REST, fault, faults, settings, warnings

BESIDE = "stands beside repos, where only one can be; remove it or repos, or make it a job of its own"


def job(keys: str) -> str:
    return f"{REST}jobs: [{{name: one, {keys}}}]\n"


@pytest.mark.parametrize("order", [1, -1])
def test_a_denial_wins_wherever_it_stands_and_over_names_and_globs_of_its_kind(order: int) -> None:
    entries = ["acme/*", "acme/x", "dataset:acme/*", "!acme/x", "!acme/*-test", "!dataset:acme/rows"][::order]
    text = job(f"repos: {entries}")
    (one,) = settings(text).jobs
    named = ("acme/y", "acme/test-y", "dataset:acme/x", "dataset:acme/y-test")
    denied = ("acme/x", "acme/y-test", "dataset:acme/rows")
    assert [one.names(Repo.parse(name)) for name in (*named, *denied)] == [True] * 4 + [False] * 3
    assert [str(one.denied_by(Repo.parse(name))) for name in denied] == ["acme/x", "acme/*-test", "dataset:acme/rows"]
    assert "acme/x" not in map(str, one.asked)
    assert owners([one], one.target, Repo.parse("acme/x")) == ()


def test_beside_a_select_a_denied_repo_takes_no_place() -> None:
    (one,) = settings(job("select: {author: Qwen, without: [big]}, repos: ['!Qwen/*-GGUF', '!dataset:Qwen/x']")).jobs
    assert one.ranking is not None
    assert [one.ranking.takes(Repo.parse(f"Qwen/{name}")) for name in ("x", "big", "x-GGUF")] == [True, False, False]
    assert not one.names(Repo.parse("Qwen/x-GGUF"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("repos: ['!acme/x']", "4:27: jobs[0].repos: only denies; write beside it what the job mirrors, like owner/*"),
        (
            "repos: [acme/*, '!*/x']",
            "4:36: jobs[0].repos[1]: '*/x' must name one owner before its wildcard; write owner/*",
        ),
        (
            "repos: [acme/*, 'dataset:!acme/x']",
            "4:36: jobs[0].repos[1]: 'dataset:!acme/x' denies at the wrong place; write !dataset:acme/x",
        ),
        (
            "repos: [Qwen/x, '!Qwen/y'], select: {author: Qwen}",
            f"4:48: jobs[0].select: {BESIDE}",
        ),
    ],
)
def test_what_cannot_be_a_denial_is_a_fault_that_says_what_is_right(keys: str, message: str) -> None:
    assert fault(job(keys)) == message


def test_check_tells_what_is_named_and_denied_at_once_and_what_denies_nothing() -> None:
    assert warnings(
        job("repos: ['!acme/x', acme/x, acme/y, '!acme/z', 'acme/b*', '!acme/*-test', '!dataset:acme/*']")
    ) == [
        "4:39: jobs[0].repos[1]: 'acme/x' is not mirrored: '!acme/x' denies it, which always wins",
        "4:55: jobs[0].repos[3]: '!acme/z' denies nothing: the job names no repo that it could match",
        "4:93: jobs[0].repos[6]: '!dataset:acme/*' denies nothing: the job names no repo that it could match",
    ]


def test_two_jobs_do_not_meet_at_a_repo_that_one_of_them_denies() -> None:
    one, two = "{name: one, repos: [acme/x]}", "{name: two, repos: ['acme/*', '!acme/x'], include: ['*.json']}"
    assert warnings(f"{REST}jobs: [{one}, {two}]\n") == []


@pytest.mark.parametrize(
    ("repos", "place"),
    [
        (" [acme/*, !acme/x ]", "6:19"),
        (" [!acme/x, acme/*]", "6:11"),
        (" [acme/*, !acme/x]", "6:19"),
        ("\n  - !acme/x\n  - acme/*", "7:5"),
        ("\n  - acme/*\n  - !acme/x", "8:5"),
    ],
)
def test_a_denial_without_quotes_is_told_to_get_them_and_nothing_else_is_said(repos: str, place: str) -> None:
    """Nobody is told to take the mark away, which would mirror what was to be denied."""
    (told,) = faults(f"{REST}jobs:\n- name: one\n  repos:{repos}\n")
    assert told.startswith(f'jobs.yaml:{place}: a value that begins with ! wants quotes, as in "!org/name"')
