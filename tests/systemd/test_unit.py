"""What systemd's own tools say about the files in systemd/."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions, write_nginx
from tests.parts import program
from tests.requirements import need
from tests.servers.ports import answers as listens
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

FOLDER = Path(__file__).parents[2] / "systemd"
FRONT = FOLDER / "mirror-front.service"
UNITS = sorted(FOLDER.glob("*.service"))
TRACKER = FOLDER / "mirror-tracker-list.service"
OURS = [unit for unit in UNITS if unit not in (FRONT, TRACKER)]
INSTALLED = {"mirror-front.service": "/usr/sbin/nginx", "mirror-tracker-list.service": "/usr/bin/curl"}
EACH = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
EACH_OF_OURS = pytest.mark.parametrize("unit", OURS, ids=lambda path: path.name)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(command[0]), *command[1:]], capture_output=True, text=True, check=False)


@EACH
def test_systemd_finds_no_fault_in_the_unit(unit: Path, tmp_path: Path) -> None:
    need("systemd")
    text = unit.read_text(encoding="utf-8")
    installed = INSTALLED.get(unit.name, "/opt/mirror-sync/bin/mirror-sync")
    assert installed in text
    copy = tmp_path / unit.name
    # the program need not be installed where the unit expects it, but something must be there
    copy.write_text(text.replace(installed, "/bin/true"), encoding="utf-8")
    checked = run("systemd-analyze", "verify", str(copy))
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@EACH
def test_the_unit_is_hardly_exposed(unit: Path) -> None:
    """Two of ten at most; the front is root's, who gives its work away, and may have half a point more."""
    need("systemd")
    judged = run("systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit))
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert overall is not None, judged.stderr
    assert float(overall[1]) <= (2.5 if unit == FRONT else 2.0)


@EACH_OF_OURS
def test_the_unit_needs_no_capability_and_runs_as_its_own_user(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    for line in ("User=mirror-sync", "CapabilityBoundingSet=", "NoNewPrivileges=yes", "StateDirectory=mirror-sync"):
        assert line in lines


@EACH_OF_OURS
def test_the_unit_leaves_the_machine_some_memory_whatever_an_upstream_sends(unit: Path) -> None:
    assert "MemoryMax=75%" in unit.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_nginx_needs_no_more_privileges_than_its_unit_leaves_it() -> None:
    need("nginx")
    (kept,) = re.findall("^CapabilityBoundingSet=(.*)$", FRONT.read_text(encoding="utf-8"), re.MULTILINE)
    bounds = ",".join(["-all", *(name.replace("CAP_", "+").lower() for name in kept.split())])
    with open_folder() as folder:
        (folder / "bucket").mkdir()
        port = free_port()
        written = write_nginx(folder / "front", NginxOptions(DirectoryTarget(folder / "bucket"), port=port))
        command = ("setpriv", f"--bounding-set={bounds}", "--inh-caps=-all", "--no-new-privs", program("nginx"))
        running = subprocess.Popen([*command, "-c", written, "-g", "daemon off;"])
        try:
            answers = [_status(running, port, "/healthz"), _status(running, port, "/api/models/acme/none")]
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait(PATIENCE)
        assert answers == [200, 404], (folder / "front/logs/error.log").read_text(encoding="utf-8")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that nginx's workers may enter."""
    with TemporaryDirectory(prefix="front-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _status(running: subprocess.Popen[bytes], port: int, path: str) -> int:
    while not listens(port):
        assert running.poll() is None, "nginx ended"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_user_that_the_unit_names_is_made_by_sysusers(tmp_path: Path) -> None:
    need("systemd")
    (tmp_path / "etc").mkdir()
    made = run("systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "mirror-sync.sysusers"))
    assert made.returncode == 0, made.stderr
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert re.search(r"^mirror-sync:.*:/usr/sbin/nologin$", users, re.MULTILINE)
