"""What a shell is told of a word that was begun: names of jobs.yaml, and of repos that runs have found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
import typer.core

from mirror_sync.cli.completing import names_of_jobs_and_repos, names_of_repos, names_of_targets
from mirror_sync.domain.outcome.events import RepoFinished, RunStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind
from mirror_sync.state.history import History
from tests.cli.program import PATIENCE, ROOT

JOBS = """\
version: 1
upstreams: {hub: {kind: huggingface}}
targets: {disk: {url: ./mirror}, deep: {url: ./deep}}
licenses: {allow: [mit]}
jobs:
  - {name: nightly, target: disk, repos: [acme/spelt, dataset:acme/rows, "acme/found-*"]}
"""


@pytest.fixture
def context(tmp_path: Path) -> typer.Context:
    """Beside a jobs.yaml that does not say where the state lies, and a run that has found two repos for its glob."""
    path, state = tmp_path / "jobs.yaml", tmp_path / "var/state"
    path.write_text(JOBS, encoding="utf-8")
    state.mkdir(parents=True)
    history = History(state / "history.db")
    history(RunStarted("r", ("nightly",), "2026-01-01T00:00:00Z"))
    for kind, name in ((Kind.MODEL, "acme/found-1"), (Kind.DATASET, "acme/found-2")):
        history(RepoFinished("r", RepoReport("nightly", kind, name, "main", RepoOutcome.UNCHANGED, "c" * 40, "")))
    history.close()
    made = typer.Context(typer.core.TyperCommand("status"))
    made.params["config"] = str(path)
    return made


def test_repos_that_a_job_names_and_that_runs_have_found_are_named(context: typer.Context) -> None:
    assert names_of_repos(context, "acme/") == ["acme/found-1", "acme/spelt"]
    assert names_of_repos(context, "dataset:acme/") == ["dataset:acme/found-2", "dataset:acme/rows"]
    assert names_of_jobs_and_repos(context, "n") == ["nightly"]
    assert [*names_of_targets(context, "d")] == ["disk", "deep"]


def test_what_cannot_be_read_has_no_names(context: typer.Context) -> None:
    path = Path(str(context.params["config"]))
    (path.parent / "var/state/history.db").write_bytes(b"no database")
    assert names_of_repos(context, "acme/") == ["acme/spelt"]
    path.write_text("jobs: [", encoding="utf-8")
    assert (names_of_repos(context, ""), names_of_jobs_and_repos(context, "")) == ([], [])


def test_bash_puts_in_what_comes_behind_a_colon(context: typer.Context, tmp_path: Path) -> None:
    program = tmp_path / "bin/mirror-sync"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mirror_sync "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    line = f"mirror-sync -c {context.params['config']} status dataset:acme/r"
    script = f"""
source <(mirror-sync completion bash)
COMP_WORDBREAKS=$' :='; COMP_LINE='{line}'; COMP_POINT={len(line)}
_mirror_sync_completion mirror-sync
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    ended = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{program.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("acme/rows\n", "")
