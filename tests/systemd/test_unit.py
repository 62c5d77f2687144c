"""What systemd's own tools say about the files in systemd/."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.parts import program
from tests.requirements import need

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
INSTALLED = "/opt/mirror-sync/bin/mirror-sync"
EACH = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(command[0]), *command[1:]], capture_output=True, text=True, check=False)


@EACH
def test_systemd_finds_no_fault_in_the_unit(unit: Path, tmp_path: Path) -> None:
    need("systemd")
    text = unit.read_text(encoding="utf-8")
    assert INSTALLED in text
    copy = tmp_path / unit.name
    # the program need not be installed where the unit expects it, but something must be there
    copy.write_text(text.replace(INSTALLED, "/bin/true"), encoding="utf-8")
    checked = run("systemd-analyze", "verify", str(copy))
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@EACH
def test_the_unit_is_exposed_by_two_of_ten_at_most(unit: Path) -> None:
    need("systemd")
    judged = run("systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit))
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert overall is not None, judged.stderr
    assert float(overall[1]) <= 2.0


@EACH
def test_the_unit_needs_no_capability_and_runs_as_its_own_user(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    for line in ("User=mirror-sync", "CapabilityBoundingSet=", "NoNewPrivileges=yes", "StateDirectory=mirror-sync"):
        assert line in lines


def test_the_user_that_the_unit_names_is_made_by_sysusers(tmp_path: Path) -> None:
    need("systemd")
    (tmp_path / "etc").mkdir()
    made = run("systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "mirror-sync.sysusers"))
    assert made.returncode == 0, made.stderr
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert re.search(r"^mirror-sync:.*:/usr/sbin/nologin$", users, re.MULTILINE)
