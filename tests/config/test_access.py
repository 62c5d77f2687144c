"""Laws of `access`: what it comes to, what a job opens, and what each fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.domain.access.rights import AccessRules, Sight
from mirror_sync.domain.repo import Repo
from tests.config.texts import JOBS, REST, fault, settings

BASE = REST + JOBS


def test_left_out_everybody_reads_what_is_public_upstream_and_there_are_no_tokens() -> None:
    found = settings(BASE)
    assert (found.access, found.tokens, found.access_to("disk")) == (AccessRules(), None, AccessRules())


def test_the_file_of_tokens_lies_beside_jobs_yaml_or_where_its_path_says(tmp_path: Path) -> None:
    assert settings(BASE + "access: {tokens: t.yaml}\n", tmp_path).tokens == tmp_path / "t.yaml"


def test_a_job_that_says_so_opens_its_repos_in_its_target_alone() -> None:
    jobs = (
        "jobs: [{name: one, repos: ['acme/*'], target: a, readers: everyone}, {name: two, repos: [x/y], target: b}]\n"
    )
    found = settings(REST.replace("{disk: {url: ./mirror}}", "{a: {url: ./a}, b: {url: ./b}}") + jobs)
    repo = Repo.parse("acme/one")
    sights = [found.access_to(target).decide("", repo, closed=True) for target in ("a", "b")]
    assert sights == [Sight.READ, Sight.HIDDEN]
    assert [found.access_to(target).all_opened for target in ("a", "b")] == [True, False]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("{anonymous: ['ac*']}", "8:22: access.anonymous[0]: 'ac*' must name one owner before its wildcard"),
        (
            "{roles: {dev: {read: [spaces:acme/*]}}}",
            "'spaces' is no kind of repo; write model:, dataset:, space: or kernel:",
        ),
        ("{roles: {dev: {reads: []}}}", "did you mean read?"),
        ("{roles: {a b: {}}}", "'a b' is no name"),
        ("{networks: {allow: [10.0.0.1/8]}}", "'10.0.0.1/8' is no network; write 10.0.0.0/8"),
        ("{networks: {proxies: [proxy]}}", "'proxy' is no network"),
    ],
)
def test_a_fault_says_what_would_be_right(said: str, wrong: str) -> None:
    assert wrong.removeprefix("8:22: ") in fault(f"{BASE}access: {said}\n")


def test_a_job_opens_to_everyone_or_not_at_all() -> None:
    assert "everyone" in fault(REST + "jobs: [{name: one, repos: [acme/small], readers: dev}]\n")
