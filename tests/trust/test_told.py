"""What is known of the trust in what is published is told alike: by `status`, a daemon's metrics and the catalogue."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror_sync.config.load import load
from mirror_sync.domain.content.keys import site_key
from mirror_sync.ports.store import read_all
from mirror_sync.signing.private_keys import read_ed25519
from mirror_sync.signing.sshsig import PublicKey
from mirror_sync.wiring.program import Mirror
from tests.cli.program import Program
from tests.daemon.living import living
from tests.daemon.test_http import daemon_of, get, value
from tests.servers.ports import free_port
from tests.signing.keys import ssh_key


@pytest.fixture(params=["directory", "moto"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Program:
    """Two repos in a folder, one of them with files that run code, over both kinds of targets; neither is mirrored."""
    made = Program(tmp_path)
    target = {"url": (tmp_path / "mirror").as_uri()}
    if request.param == "moto":
        target = request.getfixturevalue("moto").place("some/prefix/")
    document = {
        "state_dir": "state",
        "upstreams": {"local": {"kind": "directory", "url": (tmp_path / "upstream").as_uri()}},
        "targets": {"it": target},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "all", "repos": ["acme/plain", "acme/code"]}],
    }
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    for name in ("plain", "code"):
        made.add_repo(f"acme/{name}")
    for name in ("modeling.py", "pytorch_model.bin"):
        (tmp_path / "upstream" / "acme" / "code" / name).write_text("x = 1\n", encoding="utf-8")
    folder = tmp_path / "upstream" / "acme" / "plain" / "named.bin"  # a folder runs nothing, whatever it is called
    folder.mkdir()
    (folder / "words.txt").write_text("words", encoding="utf-8")
    return made


def changed(mirror: Program, change: Callable[[dict[str, Any]], object]) -> None:
    path = mirror.folder / "jobs.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def lines(mirror: Program) -> dict[str, dict[str, Any]]:
    """Of `status --json`, by the names of repos."""
    found = json.loads(mirror("status", "--json").out)["repos"]
    return {one["repo"].removeprefix("acme/"): one for one in found}


def scanner(folder: Path, text: str) -> str:
    path = folder / "scanner"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_status_names_the_files_that_run_code_without_any_policy(mirror: Program) -> None:
    assert mirror("sync").code == 0
    told = lines(mirror)["code"]
    assert (told["class"], told["code_files"], told["code_paths"]) == ("code", 2, ["modeling.py", "pytorch_model.bin"])
    assert (told["signed"], told["scanned"]) == (False, False)
    plain = lines(mirror)["plain"]
    assert (plain["class"], plain["code_files"], plain["code_paths"]) == (None, 0, [])
    said = " ".join(mirror("status").out.split())
    assert "2 files of acme/code@main run code when they are loaded (code): modeling.py, pytorch_model.bin" in said
    assert "signed:" not in said, "nothing is"
    assert mirror("sync").code == 0
    assert lines(mirror)["code"]["code_files"] == 2, "a run that finds nothing new forgets nothing"


def test_status_says_what_is_signed_and_scanned_and_the_catalogue_says_the_same(mirror: Program) -> None:
    assert mirror("sync").code == 0
    key = ssh_key(mirror.folder)
    changed(mirror, lambda document: document.update(trust={"key": str(key)}, site={"name": "m"}))
    assert mirror("sign", "--all").code == 0
    assert mirror("sync").code == 0
    assert {name: one["signed"] for name, one in lines(mirror).items()} == {"plain": True, "code": True}
    said = " ".join(mirror("status").out.split())
    assert "signed: 2 of 2, scanned: 0 of 2" in said
    scan = {
        "scan": {"command": [scanner(mirror.folder, "exit 0"), "{file}"]},
        "formats": {"allow": ["text", "code", "pickle"]},
    }
    changed(mirror, lambda document: document.update(policy=scan))
    (mirror.folder / "upstream" / "acme" / "code" / "more.txt").write_text("more", encoding="utf-8")
    assert mirror("sync").code == 0
    told = lines(mirror)["code"]
    assert (told["signed"], told["scanned"], told["class"], told["code_files"]) == (True, True, "code", 2)
    assert told["scanned_at"] <= told["published"], "before that moment"
    with closing(Mirror(load(mirror.folder / "jobs.yaml", {}), reading=True)) as reader:
        document = json.loads(read_all(reader.store("it"), site_key("status.json"), 1 << 20))
        page = read_all(reader.store("it"), site_key("models/acme--code.html"), 1 << 20).decode()
    names = ("signed", "scanned", "scanned_at", "class", "code_files")
    (line,) = [one for one in document["repos"] if one["repo"] == "acme/code"]
    assert {name: line[name] for name in names} == {name: told[name] for name in names}
    assert "scanned" in page


def test_what_is_held_by_its_next_commit_is_known_to_be_signed_as_soon_as_it_is(mirror: Program) -> None:
    assert mirror("sync").code == 0
    key = ssh_key(mirror.folder)
    scan = {"scan": {"command": [scanner(mirror.folder, "exit 1"), "{file}"]}}
    changed(mirror, lambda document: document.update(trust={"key": str(key)}, site={"name": "m"}, policy=scan))
    (mirror.folder / "upstream" / "acme" / "code" / "more.txt").write_text("more", encoding="utf-8")
    assert mirror("sync").code == 0
    assert (lines(mirror)["code"]["state"], lines(mirror)["code"]["signed"]) == ("held", False)
    assert mirror("sign", "--all").code == 0
    assert (lines(mirror)["code"]["state"], lines(mirror)["code"]["signed"]) == ("held", True)


def test_status_of_what_was_taken_down_has_no_figures_from_that_moment_on(mirror: Program) -> None:
    assert mirror("sync").code == 0
    assert lines(mirror)["code"]["files"] == 3
    assert mirror("withdraw", "acme/code", "--why", "the licence ended", "--by", "Ada").code == 0
    for _ in range(2):
        told = lines(mirror)["code"]
        assert (told["state"], told["code"], told["commit"], told["files"], told["bytes"]) == (
            "held",
            "withdrawn",
            None,
            0,
            0,
        )
        assert "by Ada: the licence ended; mirror-sync restore acme/code lets it come back" in told["reason"]
        assert (told["last_success"], told["published"], told["code_files"]) == (None, None, None)
        assert "complete: 1 of 2" in mirror("status").out
        mirror("sync")
    assert mirror("restore", "acme/code", "--why", "agreed").code == 0
    assert "the next run of its job publishes it" in lines(mirror)["code"]["reason"]
    assert mirror("sync").code == 0
    assert lines(mirror)["code"]["files"] == 3


@pytest.mark.timeout(900)
def test_a_daemon_tells_prometheus_what_is_signed_scanned_and_taken_down(tmp_path: Path, mirror: Program) -> None:
    port, key = free_port(), ssh_key(tmp_path)
    mark = PublicKey.of(read_ed25519(key)).fingerprint
    failing = scanner(tmp_path, 'case "$1" in *.bin) echo no database; exit 2;; esac')

    def watched(document: dict[str, Any]) -> None:
        document["http"] = {"listen": f"127.0.0.1:{port}"}
        document["trust"], document["site"] = {"key": str(key)}, {"name": "m"}
        document["policy"] = {"scan": {"command": [failing, "{file}"]}}
        document["jobs"][0]["schedule"] = {"every": "1h"}

    assert mirror("sync").code == 0  # unsigned, and scanned by nobody
    changed(mirror, watched)
    (tmp_path / "upstream" / "acme" / "plain" / "more.txt").write_text("more", encoding="utf-8")
    (tmp_path / "upstream" / "acme" / "code" / "more.txt").write_text("more", encoding="utf-8")
    with living(daemon_of(tmp_path / "jobs.yaml"), tmp_path) as daemon:
        daemon.until_logged("event=run.finished")
        text = get(port, "/metrics")[1]
        while mark not in text:  # the end of a run writes it down
            text = get(port, "/metrics")[1]
        assert value(text, "mirror_sync_target_signed_snapshots", target="it") == 1
        assert value(text, "mirror_sync_target_unsigned_snapshots", target="it") == 1, "its new commit is held"
        assert value(text, "mirror_sync_signing_key_since_timestamp_seconds", target="it", fingerprint=mark) > 0
        assert value(text, "mirror_sync_failed_scans_total", target="it") == 1
        (name,) = {
            line.split('scanner="')[1].split('"')[0] for line in text.splitlines() if "scanned_files_total{" in line
        }
        by = {"scanner": name}
        assert value(text, "mirror_sync_scanned_files_total", outcome="failed", **by) == 1
        assert value(text, "mirror_sync_scanned_files_total", outcome="found", **by) == 0
        assert value(text, "mirror_sync_scanned_files_total", outcome="clean", **by) == 6
        assert value(text, "mirror_sync_target_oldest_scan_timestamp_seconds", target="it") > 0
        assert value(text, "mirror_sync_target_held_repos", target="it", rule="scan") == 1
        assert value(text, "mirror_sync_target_withdrawn_repos", target="it") == 0
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert mirror("withdraw", "acme/plain", "--why", "no").code == 0
    with living(daemon_of(tmp_path / "jobs.yaml"), tmp_path) as daemon:
        daemon.until_logged("event=run.finished")
        text = get(port, "/metrics")[1]
        assert value(text, "mirror_sync_target_withdrawn_repos", target="it") == 1
        assert value(text, "mirror_sync_target_signed_snapshots", target="it") == 0
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
