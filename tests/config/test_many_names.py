"""What one repo more in jobs.yaml costs a start, counted and not timed: calls of our code, and of PyYAML's parser.

A bound is a fifth above what was counted. Who raises one has seen by docs/lab/scale.md what for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mirror_sync.config.load import load
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import RepoPattern
from tests.call_counter import OURS, calls_counted

FEW, MANY = 100, 600  # repos, half of them in each of two jobs
CALLS = 30
HEAD = """
version: 1
state_dir: ./state
upstreams: {hub: {kind: huggingface}}
targets: {mirror: {url: "file:///srv/mirror"}}
licenses: {allow: [mit]}
jobs:
"""


def written(folder: Path, repos: int) -> Path:
    path = folder / f"{repos}.yaml"
    text = HEAD
    for job in range(2):
        text += f"  - name: job-{job}\n    repos:\n"
        text += "".join(f"      - author-{number % 7}/Repo-{number}\n" for number in range(job, repos, 2))
    path.write_text(text, encoding="utf-8")
    return path


def calls(path: Path, below: str) -> int:
    load(path, {})  # what is imported or compiled at first is not counted
    with calls_counted(below) as found:
        load(path, {})
    return sum(found.values())


def test_a_repo_more_in_jobs_yaml_costs_few_calls(tmp_path: Path) -> None:
    few, many = (calls(written(tmp_path, repos), OURS) for repos in (FEW, MANY))
    assert (many - few) / (MANY - FEW) <= CALLS


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
def test_a_plain_jobs_yaml_is_read_without_pyyamls_own_parser(tmp_path: Path) -> None:
    few, many = (calls(written(tmp_path, repos), str(Path(yaml.__file__).parent)) for repos in (FEW, MANY))
    assert many - few <= MANY - FEW  # an event each is made


def test_what_a_jobs_names_come_to_is_right_whatever_it_is_replaced_by() -> None:
    first = Job("job", tuple(map(RepoPattern.parse, ("acme/Big", "zoo/*"))), "hub", "mirror")
    for job in (first, replace(first, workers=3)):
        assert job.names(RepoPattern.parse("acme/Big").repo)
        assert job.names(RepoPattern.parse("zoo/any").repo)
        assert job.means(RepoPattern.parse("ACME/big").repo)
    other = replace(first, repos=(RepoPattern.parse("acme/small"),))
    assert not other.names(RepoPattern.parse("acme/Big").repo)
    assert other.names(RepoPattern.parse("acme/small").repo)
    assert other.shares_no_name_with(replace(other, repos=(RepoPattern.parse("acme/Small"),)))
    assert not other.shares_no_name_with(other)
    assert not first.shares_no_name_with(other)  # a glob may catch anything
