"""A night shift: what goes wrong at three o'clock is found by one command, which names the next; and that one mends it.

Nobody here reads a manual: each test goes by what `doctor` says alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from mirror_sync.app.looking.checkup import CheckLine, Health, examine
from mirror_sync.app.looking.patient import Patient
from mirror_sync.app.looking.table import CHECKS
from mirror_sync.config.load import load
from mirror_sync.wiring.impatient import ImpatientOpener
from tests.cli.program import PATIENCE, ROOT, Program
from tests.disks import small_disk
from tests.standin import Hub

CONFIG = """\
version: 1
state_dir: state
upstreams:
  hub: {kind: huggingface, endpoints: [HUB]TOKEN}
targets:
  disk: {url: "file://FOLDER/mirror", grace: 24h}
defaults: {upstream: hub, target: disk}
licenses: {allow: [mit]}
http: {listen: none}
jobs:
  - {name: models, repos: [acme/one], retention: {snapshots: 1, days: 0}}
"""
CARD = b"---\nlicense: mit\n---\n"


@dataclass
class Shift:
    """A mirror of one repo of a hub, and whoever watches over it."""

    program: Program
    hub: Hub

    def doctor(self) -> list[CheckLine]:
        """The faults that it finds, each with what to do."""
        path = self.program.folder / "jobs.yaml"
        settings = load(path, {})
        patient = Patient(path, settings, (), ImpatientOpener(settings.state_dir, lambda _: None))
        return [line for line in examine(CHECKS, patient, Event()) if line.health is Health.FAULT]

    def type(self, command: str) -> None:
        """A command of the program's words, in a shell."""
        words = self.program.folder / "bin"
        words.mkdir(exist_ok=True)
        script = words / "mirror-sync"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m mirror_sync "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=self.program.folder,
            env={"PATH": f"{words}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)


@pytest.fixture
def shift(tmp_path: Path, hub: Hub) -> Shift:
    hub.model("acme/one", license="mit").commit({"README.md": CARD, "weights": os.urandom(1000)})
    program = Program(tmp_path)
    return Shift(program, hub)


def begin(shift: Shift, token: str = "") -> None:
    shift.program.write(CONFIG.replace("HUB", shift.hub.url).replace("TOKEN", token))
    assert shift.program("sync").code == 0


def test_an_outage_of_the_hub_is_seen_and_over_when_it_is_back(shift: Shift) -> None:
    begin(shift)
    shift.hub.__exit__(None, None, None)
    (fault,) = shift.doctor()
    assert (fault.check, fault.where) == ("upstream", f"hub {shift.hub.url}")
    assert "does not answer" in fault.said
    shift.hub.__enter__()
    shift.hub.model("acme/one").commit({"README.md": CARD, "weights": b"new"})
    shift.type(fault.command)
    assert shift.doctor() == []
    assert "complete: 1 of 1 repo" in shift.program("status").out


def test_an_expired_token_is_seen_and_where_the_new_one_goes(shift: Shift, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(shift.hub.token("hf_old_and_gone"), encoding="utf-8")
    file.chmod(0o600)
    begin(shift, f", token_file: {file}")
    shift.hub.world.tokens.clear()
    (fault,) = shift.doctor()
    assert fault.check == "token"
    assert str(file) in fault.advice
    assert "hf_old_and_gone" not in str(fault)
    file.write_text(shift.hub.token("hf_new_and_good"), encoding="utf-8")
    shift.type(fault.command)
    assert shift.doctor() == []


def test_a_full_disk_is_seen_and_what_did_not_fit_comes_once_there_is_room(shift: Shift, tmp_path: Path) -> None:
    with small_disk(tmp_path / "mirror", "8m"):
        repo = shift.hub.model("acme/one")
        for _ in range(2):
            repo.commit({"README.md": CARD, "weights": os.urandom(3 << 20)})
            shift.program.write(CONFIG.replace("HUB", shift.hub.url).replace("TOKEN", ""))
            assert shift.program("sync").code == 0
        repo.commit({"README.md": CARD, "weights": os.urandom(3 << 20)})
        assert shift.program("sync").code == 1
        (fault,) = shift.doctor()
        assert (fault.check, fault.where) == ("room", "disk")
        assert "where that frees too little, give it a larger disk" in fault.advice  # as here: all of it is young
        subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path / "mirror")], check=True)
        shift.type(fault.command)
        assert shift.doctor() == []


def test_a_corrupted_blob_is_seen_and_fetched_again(shift: Shift, tmp_path: Path) -> None:
    begin(shift)
    blob = max((tmp_path / "mirror/blobs/sha256").glob("*/*"), key=lambda path: path.stat().st_size)
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert shift.program("verify").code == 1  # as the daemon does at night
    faults = {fault.check: fault for fault in shift.doctor()}
    assert faults.keys() <= {"bytes", "verify"}  # it may be among the few blobs that are read
    assert faults["verify"].where == "disk"
    shift.type(faults["verify"].command)
    assert shift.doctor() == []
