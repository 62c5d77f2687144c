"""`prove` of what is given no more says who took it down and why; and one that is stopped says neither yes nor no."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Repo
from tests.front.mirrors import by_either
from tests.signing.mirrors import REPO, SignedMirror
from tests.signing.test_at_a_front import ROOT, prove, served
from tests.waiting import PATIENCE

SAID = "acme/one was taken down on {day} by J. Doe, legal: its licence was withdrawn"


@pytest.fixture
def signed(tmp_path: Path) -> SignedMirror:
    """Whose take-down waits for nobody."""
    made = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri(), "grace": "0s"})
    made.sync()
    return made


@pytest.fixture
def stranger(signed: SignedMirror, tmp_path: Path) -> Path:
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "signers").write_bytes(signed.signers.encode())
    return folder


def take_down(signed: SignedMirror) -> str:
    """What is said of it from then on."""
    with closing(signed.mirror()) as mirror:
        why, by = "its licence was withdrawn", "J. Doe, legal"
        report = mirror.taking_down.withdraw(BY_DAEMON, "mirror", Repo.parse(REPO), why=why, by=by)
    assert report.ok
    return SAID.format(day=report.at[:10])


def test_at_a_target_it_is_not_proved_and_the_line_says_who_took_it_down_and_why(
    signed: SignedMirror, stranger: Path, tmp_path: Path
) -> None:
    said = take_down(signed)
    found = prove(stranger, "--from", (tmp_path / "mirror").as_uri())
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1] == f"mirror-sync: not proved: {said}"


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_at_a_front_nobody_can_look_and_the_line_says_the_same(
    signed: SignedMirror, stranger: Path, tmp_path: Path, front: str
) -> None:
    said = take_down(signed)
    with by_either(front, DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as mirror:
        found = prove(stranger, "--from", mirror.url)
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line.endswith(f"answers 403: {said}"), line


def test_a_proof_that_is_stopped_is_no_proof_and_no_refutation(signed: SignedMirror, stranger: Path) -> None:
    statement = "/-/trust/models/acme/one/statement.json"
    front = served(signed, by_digest=False)
    front.endless.add(statement)
    with front.running():
        command = [sys.executable, "-m", "mirror_sync", "prove", REPO, "--signers", "signers", "--from", front.url]
        environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(command, cwd=stranger, env=environ, stderr=subprocess.PIPE, text=True) as proving:
            while statement not in front.asked and proving.poll() is None:
                time.sleep(0.05)
            proving.send_signal(signal.SIGINT)
            assert proving.wait(PATIENCE) == 130
            assert proving.stderr is not None
            assert proving.stderr.read() == "mirror-sync: stopped before it was proved\n"
