"""What was published in a target and is not there any more is missed: an empty place is not an empty mirror."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.errors import Vanished
from tests.cli.program import CONFIG, Program
from tests.test_catalogue_runs import mirror, site, upstream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A target with two repos, of one machine that remembers them."""
    upstream(tmp_path, "x")
    upstream(tmp_path, "y")
    with mirror(tmp_path) as it:
        assert it.sync(BY_DAEMON).ok
    return tmp_path


def empty(folder: Path) -> None:
    """The disk is not mounted any more: the folder below its mount point is there, and empty."""
    shutil.rmtree(folder / "mirror")
    (folder / "mirror").mkdir()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in (folder / "mirror").rglob("*") if path.is_file())


def refs(folder: Path, name: str) -> Path:
    return folder / "mirror" / "hub" / "models" / f"acme--{name}" / "refs.json"


def test_every_repo_of_an_emptied_target_is_a_fault(folder: Path) -> None:
    empty(folder)
    with mirror(folder) as it:
        report = it.verify(BY_DAEMON)
        assert not report.ok
        assert [(fault.repo, fault.code) for fault in report.faults] == [
            ("acme/x", Vanished.code),
            ("acme/y", Vanished.code),
        ]
        assert [each.faults for each in it.tended()] == [2]


def test_a_sync_writes_nothing_into_an_emptied_target_unless_it_is_told_to(folder: Path) -> None:
    empty(folder)
    with mirror(folder) as it:
        assert {plan.code for plan in it.plan().repos} == {Vanished.code}
        report = it.sync(BY_DAEMON)
        assert {repo.outcome for repo in report.repos} == {RepoOutcome.FAILED}
        assert {repo.code for repo in report.repos} == {Vanished.code}
        assert "is it mounted, and is its url right?" in report.repos[0].reason
        assert files(folder) == []
        assert not it.sync(BY_DAEMON).ok, "a failure is no reason to forget what was published"
        assert it.sync(BY_DAEMON, anew=True).ok
        assert it.verify(BY_DAEMON).ok
        assert it.sync(BY_DAEMON).ok


def test_neither_verify_nor_prune_writes_into_an_emptied_target(folder: Path) -> None:
    empty(folder)
    with mirror(folder) as it:
        it.tend(BY_DAEMON, Care.VERIFY)
        it.tend(BY_DAEMON, Care.PRUNE)
    assert files(folder) == []


def test_one_repo_that_is_gone_is_a_fault_and_the_next_sync_publishes_it(folder: Path) -> None:
    refs(folder, "x").unlink()
    with mirror(folder) as it:
        assert [(fault.repo, fault.code) for fault in it.verify(BY_DAEMON).faults] == [("acme/x", Vanished.code)]
        assert it.sync(BY_DAEMON).ok
        assert it.verify(BY_DAEMON).ok


def test_the_one_repo_of_a_mirror_is_published_again_where_its_blobs_are_there(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        assert it.sync(BY_DAEMON).ok
        refs(tmp_path, "x").unlink()
        assert it.sync(BY_DAEMON).ok
        empty(tmp_path)
        assert not it.sync(BY_DAEMON).ok


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_prune_removes_nothing_while_a_repo_that_was_published_is_missing(folder: Path, dry_run: bool) -> None:
    refs(folder, "x").unlink()
    before = files(folder)
    with mirror(folder) as it:
        report = it.prune(BY_DAEMON, dry_run=dry_run)
    (problem,) = report.problems
    assert "it lacks acme/x: is it mounted" in problem
    assert report.blobs == 0
    assert [name for name in files(folder) if "/site/" not in name] == [name for name in before if "/site/" not in name]


def test_what_no_job_names_any_more_was_taken_down_on_purpose(folder: Path) -> None:
    refs(folder, "x").unlink()
    with mirror(folder, jobs=[{"name": "a", "repos": ["acme/y"]}]) as it:
        assert it.verify(BY_DAEMON).ok
        assert it.prune(BY_DAEMON).ok


def test_a_machine_that_remembers_nothing_takes_the_target_as_it_is(folder: Path) -> None:
    empty(folder)
    shutil.rmtree(folder / "state")
    with mirror(folder) as it:
        assert it.verify(BY_DAEMON).ok
        assert it.sync(BY_DAEMON).ok
        assert site(folder)


def test_another_place_is_not_missed(folder: Path) -> None:
    with mirror(folder, targets={"it": {"url": str(folder / "other")}}) as it:
        assert it.verify(BY_DAEMON).ok
        assert it.sync(BY_DAEMON).ok


def test_the_program_says_what_is_gone_and_ends_with_one(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write(CONFIG.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", ""))
    program.add_repo("acme/one")
    assert program("sync").code == 0
    empty(tmp_path)
    ended = program("verify")
    assert ended.code == 1
    assert "Of what was published 1 repo is gone: is the target mounted, and is its url right?" in ended.out
    assert (program("verify", "acme/one").code, program("prune").code, program("sync").code) == (1, 1, 1)
    assert json.loads(program("verify", "--json").out)["faults"][0]["code"] == "vanished"
    assert program("sync", "--anew").code == 0
    assert program("verify").code == 0
