"""The commands that bring a mirror to its readers."""

from __future__ import annotations

import json
import re
import signal
from http.client import HTTPConnection
from urllib.request import urlopen

import pytest

from tests.cli.program import CONFIG, PATIENCE, Program

S3 = """\
  bucket: {url: "s3://models/hub", endpoint_url: "http://127.0.0.1:9", access_key: KEY, secret_key: very-secret}
  open: {url: "s3://open"}
"""


def test_serve_answers_a_client_until_it_is_told_to_stop(program: Program) -> None:
    program("sync", "good")
    with program.started("serve", "--port", "0") as child:
        assert child.stderr is not None
        said = r"target disk is served at (\S+): open it in a browser, or set HF_ENDPOINT=\1\n"
        found = re.search(said, child.stderr.readline())
        assert found is not None
        with urlopen(f"{found[1]}/acme/one/resolve/main/weights") as answer:
            assert answer.read() == b"12345"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)
    assert child.returncode == 0


def test_the_log_of_serve_is_read_by_traffic(program: Program) -> None:
    program("sync", "good")
    with program.started("serve", "--port", "0", "--access-log", "access.log") as child:
        assert child.stderr is not None
        found = re.search(r"http://\S+(?=:)", child.stderr.readline())
        assert found is not None
        with urlopen(f"{found[0]}/acme/one/resolve/main/weights") as answer:
            assert answer.read() == b"12345"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)
    assert program("traffic", "access.log").out.splitlines()[1].split() == ["1", "5", "B", "1", "acme/one"]


@pytest.mark.parametrize(("said", "status"), [("site: {enabled: false}\n", 404), ("", 302)])
def test_both_fronts_know_whether_there_is_a_catalogue(program: Program, said: str, status: int) -> None:
    program.write(CONFIG + said)
    with program.started("serve", "--port", "0") as child:
        assert child.stderr is not None
        lines = [child.stderr.readline() for _ in range(2)]  # that nothing is published yet, and where it is
        found = re.search(r"http://([^:]+:\d+):", lines[1])
        assert found is not None
        line = HTTPConnection(found[1])
        line.request("GET", "/")
        assert line.getresponse().status == status
        line.close()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)
    assert program("front", "nginx", "-o", "front").code == 0
    tables = (program.folder / "front" / "tables.js").read_text(encoding="utf-8")
    assert f"const SITE = {'false' if said else 'true'};" in tables


@pytest.mark.parametrize(
    ("said", "allowed", "written"),
    [
        ("", "*", 'Access-Control-Allow-Origin "*"'),
        ('cors: "*"', "*", 'Access-Control-Allow-Origin "*"'),
        ("cors: ['https://app.example.org']", "https://app.example.org", '"https://app.example.org" $http_origin;'),
        ("cors: off", None, None),
    ],
)
def test_both_fronts_know_whose_pages_may_read(
    program: Program, said: str, allowed: str | None, written: str | None
) -> None:
    program.write(f"{CONFIG}front: {{{said}}}\n")
    with program.started("serve", "--port", "0") as child:
        assert child.stderr is not None
        lines = [child.stderr.readline() for _ in range(2)]  # that nothing is published yet, and where it is
        found = re.search(r"http://([^:]+:\d+):", lines[1])
        assert found is not None
        line = HTTPConnection(found[1])
        line.request("GET", "/healthz", headers={"Origin": "https://app.example.org"})
        assert line.getresponse().headers["Access-Control-Allow-Origin"] == allowed
        line.close()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)
    assert program("front", "nginx", "-o", "front").code == 0
    text = (program.folder / "front" / "nginx.conf").read_text(encoding="utf-8")
    assert (written or "Content-Security-Policy") in text
    assert ("add_header Access-Control-Allow-Origin" in text) == (allowed is not None)


def test_an_address_that_is_taken_is_one_line(program: Program) -> None:
    assert program("sync", "good").code == 0  # a target that holds nothing is told of first
    with program.started("serve", "--port", "0") as child:
        assert child.stderr is not None
        port = child.stderr.readline().rsplit(":", 1)[1].strip()
        ended = program("serve", "--port", port)
        child.kill()
    assert ended.code == 1
    assert ended.err.startswith("mirror-sync: ")
    assert "another program listens on that address already" in ended.err
    assert ended.err.count("\n") == 1


def test_front_nginx_writes_a_configuration_and_says_how_to_start_it(program: Program) -> None:
    ended = program("front", "nginx", "-o", "front")
    folder = program.folder / "front"
    assert (ended.code, ended.out) == (0, f"nginx -c {folder}/nginx.conf\n")
    assert f"{program.folder}/mirror" in (folder / "nginx.conf").read_text(encoding="utf-8")


def test_the_keys_of_a_private_bucket_stand_in_a_file_of_their_own(program: Program) -> None:
    program.write(CONFIG.replace("targets:\n", f"targets:\n{S3}"))
    ended = program("front", "nginx", "-o", "front", "--target", "bucket")
    assert ended.code == 0
    keys = program.folder / "front" / "s3-credentials.json"
    assert json.loads(keys.read_text(encoding="utf-8")) == {"access_key": "KEY", "secret_key": "very-secret"}
    assert keys.stat().st_mode & 0o777 == 0o600
    assert "very-secret" not in (program.folder / "front" / "nginx.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize(("cache", "kept"), [("200GiB", ["214748364800"]), ("0", [])])
def test_the_room_for_large_files_is_what_jobs_yaml_says(program: Program, cache: str, kept: list[str]) -> None:
    program.write(CONFIG.replace("targets:\n", f"targets:\n{S3}") + f"front: {{cache: {cache}}}\n")
    assert program("front", "nginx", "-o", "front", "--target", "bucket").code == 0
    text = (program.folder / "front" / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"keys_zone=slices:\S+ max_size=(\d+)", text) == kept


def test_a_private_bucket_without_keys_cannot_be_served_by_nginx(program: Program) -> None:
    config = CONFIG.replace("targets:\n", f"targets:\n{S3}")
    program.write(config)
    ended = program("front", "nginx", "-o", "front", "--target", "open")
    assert ended.code == 2
    assert "front: {bucket: public}" in ended.err
    program.write(f"{config}front: {{bucket: public}}\n")
    assert program("front", "nginx", "-o", "front", "--target", "open").code == 0


def test_the_target_that_jobs_use_need_not_be_named_but_one_of_several_must(program: Program) -> None:
    config = CONFIG.replace("targets:\n", f"targets:\n{S3}")
    program.write(config)
    assert program("front", "nginx", "-o", "front").code == 0
    program.write(config.replace("{name: bad,", "{name: bad, target: bucket,"))
    ended = program("front", "nginx", "-o", "front")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "mirror-sync: jobs.yaml has several targets: choose one with --target (bucket, disk)\n"
