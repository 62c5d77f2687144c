"""`doctor`: each thing that goes wrong is its own line, with what to do; nothing that hangs holds it up, and no secret
leaves it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mirror_sync.app.looking.checkup import Check, CheckBounds, CheckLine, Health, Saying, examine
from mirror_sync.app.looking.patient import Patient
from mirror_sync.app.looking.table import CHECKS
from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.keys import BLOBS, COLD_BEGUN, COLD_MARK, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import ConfigError, Fault
from mirror_sync.front.hub.cors import Cors
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.impatient import ImpatientOpener
from tests.cli.program import Program
from tests.front.bucket import model, publish_list
from tests.front.mirrors import by_serve
from tests.servers.bucket import S3Server
from tests.servers.forgetful import forgetful
from tests.standin import Hub

SECRET = "hf_nobody_sees_this_token"
CONFIG = """\
version: 1
state_dir: FOLDER/state
upstreams:
  hub: {kind: huggingface, endpoints: [HUB], token: hf_nobody_sees_this_token}
targets:
  main: TARGET
defaults: {upstream: hub, target: main}
licenses: {allow: [mit]}
http: {listen: none}
front: {cors: ["https://app.example.org"], url: "FRONT"}
jobs:
  - {name: models, repos: [acme/one]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    return tmp_path


def checked(folder: Path, **said: str) -> dict[str, list[CheckLine]]:
    """What all checks say of this jobs.yaml, by the name of each."""
    target = said.pop("target", f"{{url: 'file://{folder}/mirror'}}")
    text = CONFIG.replace("TARGET", target).replace("FOLDER", str(folder))
    for name in ("hub", "front"):
        text = text.replace(name.upper(), said.pop(name, "http://127.0.0.1:1"))
    path = folder / "jobs.yaml"
    path.write_text(text, encoding="utf-8")
    settings: Settings | None = None
    faults: tuple[Fault, ...] = ()
    try:
        settings = load(path, {})
    except ConfigError as error:
        faults = error.faults
    ways = ImpatientOpener(folder / "state", lambda _: None)
    lines = list(examine(CHECKS, Patient(path, settings, faults, ways), threading.Event()))
    assert SECRET not in str(lines)
    found: dict[str, list[CheckLine]] = {}
    for line in lines:
        found.setdefault(line.check, []).append(line)
    return found


def health(lines: list[CheckLine]) -> list[str]:
    return [str(line.health) for line in lines]


def test_a_target_and_an_upstream_that_are_well_are_said_to_be_and_nothing_is_left(folder: Path, hub: Hub) -> None:
    hub.token(SECRET)
    found = checked(folder, hub=hub.url)
    for name in ("config", "permissions", "target", "write", "room", "upstream", "token", "clock"):
        assert health(found[name])[-1] == "ok", found[name]
    assert not [path for path in (folder / "mirror").rglob("*") if path.is_file()]


def test_a_bucket_is_tried_by_what_servers_differ_in_and_is_left_as_it_was(
    folder: Path, hub: Hub, moto: S3Server
) -> None:
    bucket = moto.make_bucket()
    found = checked(folder, hub=hub.url, target=json.dumps(moto.place("p/", bucket=bucket)))
    assert health(found["target"]) == ["ok"]
    assert [line.said for line in found["write"]] == [
        "an object was put, listed and read",
        "it takes a body that is not the one whose SHA-256 was signed",  # as moto does
        "conditional writes are kept; only ha depends on them",
    ]
    unsigned = json.dumps({**moto.place("p/", bucket=bucket), "sign": "never"})
    said = [line.said for line in checked(folder, hub=hub.url, target=unsigned)["write"]]
    assert said[1] == "no body is signed (sign: never): what is changed on its way is found by verify alone"
    assert "Contents" not in moto.client().list_objects_v2(Bucket=bucket)


def test_a_target_that_cannot_hold_the_lease_of_ha_is_a_fault(folder: Path, moto: S3Server) -> None:
    (folder / "mirror").rmdir()
    (line,) = checked(folder, target=f"{{url: 'file://{folder}/mirror'}}\nha: {{lease: 30s}}")["target"]
    assert (line.health, "makes no folder" in line.said) == (Health.FAULT, True), line
    keys = f"access_key: {moto.access_key}, secret_key: {moto.secret_key}, region: us-east-1, addressing: path"
    with forgetful(moto.endpoint_url) as relay:
        bucket = f"{{url: 's3://{moto.make_bucket()}', endpoint_url: '{relay.url}', {keys}}}\nha: {{lease: 30s}}"
        line = checked(folder, target=bucket)["write"][-1]
    assert (line.health, "conditional writes are ignored" in line.said) == (Health.FAULT, True), line


def test_wrong_keys_of_a_real_server_are_a_fault_that_names_them(folder: Path, hub: Hub, seaweedfs: S3Server) -> None:
    place = json.dumps(seaweedfs.place("p/"))
    assert health(checked(folder, hub=hub.url, target=place)["write"]) == ["ok", "warning", "ok"]
    wrong = checked(folder, hub=hub.url, target=place.replace(seaweedfs.secret_key, "wrong-secret-of-it"))
    (line,) = wrong["target"]
    assert (line.health, "targets.main" in line.advice) == (Health.FAULT, True)
    assert health(wrong["write"]) == ["skipped"]


def test_who_hangs_is_a_fault_within_its_time_and_the_others_are_heard(folder: Path) -> None:
    heard = threading.Event()

    def hang(_: object, __: str) -> Saying:
        yield Health.OK, "what came before"
        heard.wait()

    rows: tuple[Check[object], ...] = (
        Check("dead", lambda _: ["a", "b"], hang),
        Check("more", lambda _: ["a"], lambda _, __: [(Health.OK, "never")], after="dead"),
        Check("well", lambda _: ["c"], lambda _, __: [(Health.OK, "fine")]),
        Check("broken", lambda _: ["d"], lambda _, __: [(Health.OK, str(1 / 0))]),
    )
    lines = list(examine(rows, object(), threading.Event(), CheckBounds(0.2, 1)))
    heard.set()
    assert [(line.check, line.where, str(line.health)) for line in lines] == [
        *(("dead", place, word) for place in "ab" for word in ("ok", "fault")),
        ("more", "a", "skipped"),
        ("well", "c", "ok"),
        ("broken", "d", "fault"),
    ]
    assert "internal error: ZeroDivisionError" in lines[-1].said


def test_what_is_dead_is_told_once_and_what_builds_on_it_is_left_out(folder: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = checked(folder, hub=dead, front=dead)
    assert health(found["upstream"]) == ["fault"]
    assert found["upstream"][0].command == "mirror-sync sync"
    assert health(found["token"]) == health(found["budget"]) == health(found["pages"]) == ["skipped"]
    assert health(found["front"]) == ["fault"]


def test_clocks_that_are_apart_are_told_before_signatures_fail(folder: Path) -> None:
    for minutes, word in ((0, "ok"), (5, "warning"), (40, "fault")):
        with dated(timedelta(minutes=minutes)) as url:
            (line,) = checked(folder, hub=url)["clock"]
            assert str(line.health) == word, line
            assert word == "ok" or "behind" in line.said


def test_a_budget_that_is_nearly_spent_is_a_warning(folder: Path) -> None:
    spent = {"RateLimit": '"api";r=3;t=100', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
    with dated(timedelta(0), spent) as url:
        (line,) = checked(folder, hub=url)["budget"]
    assert (line.health, line.said[:32]) == (Health.WARNING, "3 of 500 api calls left, all aga")


@contextmanager
def dated(ahead: timedelta, headers: dict[str, str] | None = None, body: bytes = b"[]") -> Iterator[str]:
    """A server whose clock is ahead of ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_front_is_asked_as_clients_and_browsers_ask_it(folder: Path, hub: Hub) -> None:
    store = DirectoryStore(folder / "mirror")
    repos = [model(store), model(store)]
    for one in repos:
        one.publish({"f": b"x"})
    publish_list(store, repos)
    with by_serve(store, cors=Cors(("https://app.example.org",))) as mirror:
        found = checked(folder, hub=hub.url, front=mirror.url)
        for name in ("front", "unknown", "cors", "pages"):
            assert health(found[name]) == ["ok"], found[name]
        (line,) = checked(folder, hub=hub.url, front=f"{mirror.url}/elsewhere")["front"]
        assert (line.health, "404" in line.said) == (Health.FAULT, True)
    with by_serve(store, public_url="https://models.example.org", cors=Cors(())) as mirror:
        found = checked(folder, hub=hub.url, front=mirror.url)
        assert "models.example.org, not here" in found["pages"][0].said
        assert health(found["cors"]) == ["fault"]
    (line,) = checked(folder, hub=hub.url, front=hub.url)["front"]  # answers, and is none of ours
    assert line.health is Health.FAULT
    with dated(timedelta(0), body=b"[" * 100_000) as url:
        (line,) = checked(folder, hub=hub.url, front=url)["front"]
    assert "with other words than a front of ours" in line.said


def test_a_disk_that_is_not_mounted_is_no_empty_target(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write()
    program.add_repo("acme/one", weights="12345")
    program("sync", "good")
    (tmp_path / "mirror").rename(tmp_path / "away")
    found = json.loads(program("doctor", "--json").out)
    (line,) = [one for one in found["checks"] if one["check"] == "target"]
    assert (line["health"], line["advice"]) == ("fault", "mount its disk")
    assert not (tmp_path / "mirror").exists()
    (tmp_path / "away").rename(tmp_path / "mirror")
    blobs = sorted((tmp_path / "mirror" / BLOBS).glob("*/*"))
    ended = program("doctor", "--job", "good", "-c", str(tmp_path / "jobs.yaml"))
    assert ended.code == 0, ended.out
    assert f"      mirror-sync -c {tmp_path}/jobs.yaml verify\n" in ended.out  # never verified: a warning
    assert sorted((tmp_path / "mirror" / BLOBS).glob("*/*")) == blobs
    assert "has no job 'goof'; it has: good, bad; did you mean good?" in program("doctor", "--job", "goof").err
    assert "has no target 'disc'; it has: disk; did you mean disk?" in program("doctor", "--target", "disc").err


def cold(folder: Path, warm: str) -> str:
    tiers = f"{{cold: {{after_unread: 9d, target: {{url: 'file://{folder}/cold'}}}}, logs: [/nowhere/access.log]}}"
    return warm.replace("}", f", tiers: {tiers}}}", 1)


def test_the_cold_place_of_a_bucket_is_looked_at_as_the_bucket_and_known_by_its_mark(
    folder: Path, moto: S3Server
) -> None:
    bucket = moto.make_bucket()
    target = cold(folder, json.dumps(moto.place(bucket=bucket)))
    (warm, first) = checked(folder, target=target)["target"]
    assert (warm.where, first.where, str(first.health)) == ("main", "main (cold)", "skipped")
    moto.client().put_object(Bucket=bucket, Key=COLD_BEGUN, Body=b"{}")
    assert health(checked(folder, target=target)["target"]) == ["ok", "fault"]  # a folder that is not there
    (folder / "cold").mkdir()
    found = checked(folder, target=target)
    assert "lacks site/cold.json" in found["target"][1].said  # a mount point with nothing on it
    assert (found["write"][-1].where, health(found["write"])[-1]) == ("main (cold)", "skipped")
    (folder / "cold/site").mkdir()
    (folder / "cold" / COLD_MARK).write_bytes(b"{}")
    found = checked(folder, target=target)
    assert health(found["target"]) == ["ok", "ok"]
    assert (found["write"][-1].where, health(found["write"])[-1]) == ("main (cold)", "ok")


def test_a_few_blobs_are_proved_and_a_wrong_one_is_a_fault(folder: Path) -> None:
    store = DirectoryStore(folder / "mirror")
    assert [line.said for line in checked(folder)["bytes"]] == ["it has no blobs yet"]
    for number in range(9):
        body = b"blob %d" % number
        store.put(blob_key(Sha256.of(body)), body, Sha256.of(body))
    assert [*store.list(BLOBS)]  # a small blob has its name by then
    (line,) = checked(folder)["bytes"]
    assert line.said == "8 of 9 blobs, 48 B, hold what their names say; verify proves all"
    for stat in store.list(BLOBS):
        (folder / "mirror" / stat.key).write_bytes(b"rotten")
    (line,) = checked(folder)["bytes"]
    assert (str(line.health), line.command) == ("fault", "mirror-sync verify --repair")
    assert "holds other bytes" in line.said


def test_a_broken_jobs_yaml_is_told_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    program = Program(tmp_path, environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    program.write(f"version: 1\nstate_dir: state\njobs: [{{nam: x}}]\nfront: {{url: http://127.0.0.1:1}}\n# {SECRET}\n")
    units(tmp_path / "bin", "mirror-sync.service failed failed", "mirror-front.service active running")
    ended = program("doctor")
    assert ended.code == 1
    assert "Traceback" not in ended.out + ended.err
    assert "fault    config       jobs.yaml:3:" in ended.out
    assert "fault    systemd      systemd: mirror-sync.service has failed (exit-code)" in ended.out
    assert "      journalctl -n 50 -u mirror-sync.service\n" in ended.out
    assert "ok       systemd      systemd: mirror-front.service runs" in ended.out
    assert "fault    front        http://127.0.0.1:1:" in ended.out


@pytest.mark.parametrize("said", ["", "state_dir: ${MIRROR_STATE:-./var/state}\n"])
def test_of_a_broken_jobs_yaml_the_state_folder_is_looked_at_where_commands_have_it(tmp_path: Path, said: str) -> None:
    program = Program(tmp_path)
    program.write(f"version: 1\n{said}jobs: [{{nam: x}}]\n")
    (tmp_path / "var/state").mkdir(parents=True)
    assert f"state_dir: {tmp_path}/var/state: " in program("doctor").out


def units(folder: Path, *states: str) -> None:
    """A systemctl that says these units are in these states, as systemd 252 prints them."""
    folder.mkdir()
    parts = [
        f"Id={name}\nLoadState=loaded\nActiveState={state}\nSubState={sub}\nResult=exit-code\nUnitFileState=enabled\n"
        for name, state, sub in map(str.split, states)
    ]
    script = folder / "systemctl"
    script.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(parts) + "END\n", encoding="utf-8")
    script.chmod(0o755)
