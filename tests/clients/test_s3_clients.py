"""rclone and s5cmd, unmodified, find at the S3 door all that is published, on both fronts over both targets. Others are
run by `make clients`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from mirror_sync.domain.doors.ways import by_s5cmd
from tests.clients.conftest import COMBINATIONS
from tests.clients.mirror import FrontName, Mirror, Synced, serving
from tests.clients.truth import RepoTruth
from tests.requirements import need
from tests.servers.ports import LOOPBACK, free_port

BIN = Path(sys.executable).parent
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Doors:
    """A mirror with the S3 door open, and the address where all is S3's."""

    mirror: Mirror
    own: str


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    front, target = cast("tuple[FrontName, str]", request.param)
    if front == "nginx":
        need("nginx")
    synced: Synced = request.getfixturevalue(f"synced_{target}")
    port = free_port()
    with serving(synced, front, s3=True, s3_listen=f"{LOOPBACK}:{port}") as mirror:
        yield Doors(mirror, f"http://{LOOPBACK}:{port}")


def run(words: list[str], home: Path, environ: Mapping[str, str] = KEYS) -> str:
    own = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "NO_PROXY": "*",
        **environ,
    }
    done = subprocess.run(words, env=own, cwd=home, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (words, done.stdout[-500:], done.stderr[-2000:])
    return done.stdout


def assert_same(folder: Path, repo: RepoTruth) -> None:
    """What a client copied is the repo, and nothing else."""
    found = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_file()}
    assert sorted(found) == sorted(repo.files)
    for path, one in found.items():
        repo.files[path].check(one)


def test_the_command_of_a_repos_page_copies_all_of_it(doors: Doors, tmp_path: Path) -> None:
    for repo in (doors.mirror.truth.model, doors.mirror.truth.tagged, doors.mirror.truth.dataset):
        folder = tmp_path / repo.revision
        folder.mkdir(exist_ok=True)
        before, after = by_s5cmd(f"{repo.kind}s", repo.id, repo.revision)
        run(["sh", "-c", before + doors.mirror.url + after], folder)
        assert_same(folder / repo.id.rpartition("/")[2], repo)


def test_s5cmd_without_keys_lists_at_the_doors_own_port(doors: Doors, tmp_path: Path) -> None:
    words = [str(BIN / "s5cmd"), "--no-sign-request", "--endpoint-url", doors.own]
    assert [line.split()[-1] for line in run([*words, "ls"], tmp_path, {}).splitlines()] == [
        "s3://models",
        "s3://datasets",
    ]
    for repo in (doors.mirror.truth.model, doors.mirror.truth.many):
        said = run([*words, "ls", f"s3://models/{repo.id}/main/*"], tmp_path, {})
        assert len(said.splitlines()) == len(repo.files)


def test_rclone_lists_copies_and_checks(doors: Doors, tmp_path: Path) -> None:
    words = [str(BIN / "rclone"), "--config", "", "--s3-provider", "Other", "--s3-endpoint", doors.mirror.url]
    words += ["--s3-env-auth", "--retries", "1", "--low-level-retries", "1"]
    repo = doors.mirror.truth.model
    place = f":s3:models/{repo.id}/main"
    listed = run([*words, "lsf", "-R", "--files-only", place], tmp_path).splitlines()
    assert sorted(listed) == sorted(repo.files)
    run([*words, "copy", place, str(tmp_path / "copy")], tmp_path)
    assert_same(tmp_path / "copy", repo)
    run([*words, "check", "--download", place, str(tmp_path / "copy")], tmp_path)
    every = run([*words, "lsf", "-R", "--files-only", f":s3:models/{doors.mirror.truth.many.id}"], tmp_path)
    assert len(every.splitlines()) == len(doors.mirror.truth.many.files)
