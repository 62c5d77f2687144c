"""A reader: looks for a model, finds none, asks for it, and downloads it once the operator has granted it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.program import ROOT, Program
from tests.requirements import need
from tests.servers.bucket import S3Server
from tests.servers.child import child
from tests.servers.nginx import nginx
from tests.servers.ports import LOOPBACK, answers, free_ports
from tests.standin import Hub
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.catalogue.reader import Reader

WANTED = "acme/two"
FILES = {"README.md": b"---\nlicense: mit\n---\n", "config.json": b"{}", "model.safetensors": os.urandom(10_000)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    need("chromium")
    from tests.catalogue.browser import chromium
    from tests.catalogue.reader import Reader

    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield Reader(running)


@pytest.fixture(params=["serve", "nginx"])
def url(request: pytest.FixtureRequest, hub: Hub, moto: S3Server, tmp_path: Path) -> Iterator[str]:
    """A mirror of one repo with its daemon, and where its front answers: serve over a folder, nginx over a bucket."""
    for name in ("acme/one", WANTED):
        hub.model(name, license="mit").commit(FILES)
    port, http = free_ports(2)
    path = tmp_path / "jobs.yaml"
    target = moto.place() if request.param == "nginx" else {"url": (tmp_path / "mirror").as_uri()}
    path.write_text(json.dumps(_settings(hub, port, http, target)), encoding="utf-8")
    path.chmod(0o600)
    program = Program(tmp_path)
    assert program("sync").code == 0
    with ExitStack() as running:
        run: list[str | Path] = [sys.executable, "-m", "mirror_sync", "-c", path]
        environ = {"PYTHONPATH": str(ROOT)}
        daemon = running.enter_context(child([*run, "daemon"], tmp_path / "daemon.log", environ))
        daemon.wait_until(lambda: answers(http))
        (tmp_path / "daemon.pid").write_text(str(daemon.pid), encoding="utf-8")
        if request.param == "nginx":
            need("nginx")
            assert program("front", "nginx", "-o", "front").code == 0
            conf = tmp_path / "front/nginx.conf"  # its workers enter no folder of a test unless they are its owner's
            conf.write_text(re.sub(r"(?m)^user [^;]+;", "", conf.read_text(encoding="utf-8")), encoding="utf-8")
            running.enter_context(nginx(conf, port))
        else:
            front = running.enter_context(child([*run, "serve", "--processes", "1"], tmp_path / "front.log", environ))
            front.wait_until(lambda: answers(port))
        yield f"http://{LOOPBACK}:{port}"


def _settings(hub: Hub, port: int, http: int, target: dict[str, str]) -> dict[str, Any]:
    return {
        "version": 1,
        "state_dir": "state",
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"main": target},
        "licenses": {"allow": ["mit"]},
        "front": {"listen": f"{LOOPBACK}:{port}", "miss": "ask"},
        "http": {"listen": f"{LOOPBACK}:{http}", "front_secret": "secret-of-fronts"},
        "site": {"name": "Example models", "ask": {"form": True}},
        "jobs": [{"name": "models", "repos": ["acme/one"], "schedule": {"cron": "0 0 29 2 *"}}],
    }


def test_what_a_reader_finds_nowhere_is_asked_for_granted_and_downloaded(
    url: str, reader: Reader, tmp_path: Path
) -> None:
    operator = Program(tmp_path)
    reader.forget()
    reader.open(f"{url}/-/index.html")
    _search(reader, "0")
    assert reader.seen("#nothing").startswith("No repo matches.")
    assert reader.attribute("#wish-unfound", "value") == WANTED, "what was looked for stands in the form already"
    reader.find("#unfound button[type=submit]").click()
    reader.wait(lambda: reader.run("return location.pathname") == "/-/asked.html")
    reader.wait(lambda: reader.find("#allowed").is_displayed())

    listed = operator("wishes").out
    assert f"{WANTED}\n" in listed
    assert "allowed: licence mit is in licenses.allow" in listed
    assert operator("sync").code == 0
    _opened_with(reader, f"{url}/-/wanted.html", WANTED)
    granted = operator("grant", WANTED, "--job", "models")
    assert (granted.code, "1 reader had asked for it" in granted.out) == (0, True), granted
    assert "systemctl reload mirror-sync; mirror-sync trigger" in granted.out
    os.kill(int((tmp_path / "daemon.pid").read_text(encoding="utf-8")), signal.SIGHUP)  # as its unit reloads it
    reader.wait(lambda: operator("trigger", WANTED).code == 0)

    _opened_with(reader, f"{url}/-/index.html", WANTED)
    _search(reader, "1")
    reader.find("#repos tbody a").click()
    reader.wait(lambda: reader.seen("h1") == WANTED)
    _download(reader.seen("#get-1"), tmp_path / "reader")
    _opened_with(reader, f"{url}/-/wanted.html", WANTED, there=False)
    assert operator("wishes").out.startswith("Nobody has asked for anything that is not mirrored")
    assert reader.complaints() == []
    assert reader.asked_elsewhere() == []


def _search(reader: Reader, found: str) -> None:
    reader.find("#query").send_keys(WANTED)
    reader.wait(lambda: reader.seen("#found").startswith(f"{found} of"))


def _opened_with(reader: Reader, address: str, words: str, *, there: bool = True) -> None:
    """The page once it says so: a run publishes it, and a front keeps the one before for a moment."""

    def seen() -> bool:
        reader.open(address)
        return (words in reader.seen()) is there

    reader.wait(seen)


def _download(command: str, home: Path) -> None:
    """The command as the page shows it, in the shell of somebody with `hf` and nothing else."""
    home.mkdir()
    places = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=home,
        env={"PATH": places, "HOME": str(home), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, command + done.stdout + done.stderr
    [got] = home.glob(".cache/huggingface/hub/*/snapshots/*")
    assert {path.name: path.read_bytes() for path in got.iterdir()} == FILES
