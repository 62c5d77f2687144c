"""`traffic` shows who reads the mirror, and keeps it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.watch import refused_of, traffic_of
from tests.cli.program import CONFIG, Program

NOW = datetime.now(UTC)


def line(repo: str, client: str, days_ago: float = 0, status: int = 200, user: str = "") -> str:
    at = (NOW - timedelta(days=days_ago)).isoformat(timespec="seconds")
    return json.dumps({
        "time": at, "client": client, "user": user, "method": "GET", "uri": f"/{repo}/resolve/main/weights",
        "status": status, "bytes": 2_000_000, "seconds": 0.1, "range": "", "commit": "", "agent": "curl",
    })  # fmt: skip


@pytest.fixture
def log(program: Program) -> Path:
    """A mirror of acme/one, and the log of its nginx."""
    assert program("sync", "good").code == 0
    path = program.folder / "access.log"
    lines = [line("acme/one", "10.0.0.1"), line("acme/one", "10.0.0.2"), line("acme/wanted", "10.0.0.3", status=404)]
    path.write_text("\n".join([*lines, "an old line"]) + "\n")
    return path


def test_a_table_of_reads_and_one_of_what_is_asked_for_in_vain(program: Program, log: Path) -> None:
    ended = program("traffic", str(log))
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [text.split() for text in lines[:4]] == [
        ["DOWNLOADS", "BYTES", "CLIENTS", "REPO"],
        ["2", "4.0", "MB", "2", "acme/one"],
        ["MISSED", "CLIENTS", "NOT", "MIRRORED"],
        ["1", "1", "acme/wanted"],
    ]
    assert lines[4] == "Snapshots that nobody reads cannot be told: the logs do not reach back 30 days."
    assert lines[5] == "1 line not understood: not of a front's JSON log."
    assert lines[6].endswith("UTC: 2 downloads, 4.0 MB, 2 clients, 1 repo.")


def test_json_is_what_is_kept(program: Program, log: Path) -> None:
    shown = json.loads(program("traffic", str(log), "--json").out)
    assert shown["misses"][0]["repo"] == "acme/wanted"
    assert json.loads((program.folder / "state" / "traffic-disk.json").read_text()) == shown


@pytest.mark.parametrize(("text", "code"), [("", 0), ("an old line\nanother\n", 1)])
def test_a_log_of_which_nothing_is_understood_leaves_what_was_kept(
    program: Program, log: Path, text: str, code: int
) -> None:
    program("traffic", str(log))
    kept = (program.folder / "state" / "traffic-disk.json").read_bytes()
    log.write_text(text)
    ended = program("traffic", str(log))
    said = f"mirror-sync: {log}: no line is of a front's JSON log; what was counted before stays\n"
    assert (ended.code, ended.err) == (code, said if code else "")
    assert (program.folder / "state" / "traffic-disk.json").read_bytes() == kept


def test_a_log_that_is_not_there_is_one_line(program: Program) -> None:
    ended = program("traffic", "none.log")
    assert ended.code != 0
    assert "none.log" in ended.err
    assert ended.err.count("\n") == 1


def test_what_is_unusual_is_told_once_kept_for_the_metrics_and_shown_without_a_name(program: Program) -> None:
    told = program.folder / "told"
    hook = f"on: {{unusual: [{{run: [/bin/sh, -c, 'cat >> {told}']}}]}}\n"
    program.write(CONFIG + hook)
    assert program("sync", "good").code == 0
    path = program.folder / "access.log"
    usual = [line("acme/one", "10.0.0.1", day) for day in (3, 2, 1, 0)]
    path.write_text("\n".join([*usual, *(line(f"acme/{n}", "10.0.0.9", status=404) for n in range(30))]) + "\n")
    first = program("traffic", str(path))
    assert "unusual: client 10.0.0.9 asks for many names: 0 B of 30 repos" in first.out
    assert program("traffic", str(path)).code == 0
    notice = json.loads(told.read_text())  # of two, the text would be no JSON
    assert (notice["event"], notice["clients"][0]["kind"]) == ("unusual", "sweep")
    settings = load(program.folder / "jobs.yaml", {})
    unusual, counted = traffic_of(settings)
    assert unusual == {("disk", "surge"): 0, ("disk", "newcomer"): 0, ("disk", "sweep"): 1}
    assert counted["disk"] > 0
    assert program("sync", "good").code == 0
    page = (program.folder / "mirror" / "site" / "mirror.html").read_text("utf-8")
    assert "1 client was unusual by what it read" in page
    assert "10.0.0.9" not in page


def test_who_reads_is_listed_by_the_names_of_tokens_or_by_their_roles(program: Program, log: Path) -> None:
    roles = "access: {roles: {dev: {read: ['acme/*']}}, tokens: ./tokens.yaml}\n"
    program.write(CONFIG + roles)
    for name in ("ci", "alice"):
        assert program("token", "new", name, "--role", "dev").code == 0
    named = [line("acme/one", f"10.0.0.{at}", user=user) for at, user in enumerate(("ci", "ci", "alice", "left"))]
    refused = [line("acme/one", "10.0.0.9", status=status) for status in (401, 401, 403)]
    log.write_text("\n".join([*named, line("acme/one", "10.0.0.8"), *refused]) + "\n")
    by_user = [text.split() for text in program("traffic", str(log), "--by", "user").out.splitlines()]
    assert by_user[0] == ["DOWNLOADS", "BYTES", "CLIENTS", "USER"]
    assert [row[-1] for row in by_user[1:5]] == ["ci", "token)", "alice", "left"]
    assert by_user[1] == ["2", "4.0", "MB", "1", "ci"]
    ended = program("traffic", str(log), "--by", "role")
    assert ["3", "6.0", "MB", "2", "dev"] in [text.split() for text in ended.out.splitlines()]
    assert "a role that tokens.yaml does not know" in ended.out
    assert "Refused: 2 requests for want of a good token." in ended.out
    assert "Refused: 1 request since they may not read what they asked for." in ended.out
    document = json.loads(program("traffic", str(log), "--json").out)
    assert document["refused"] == {"role": 1, "token": 2}
    assert {one["user"]: one["downloads"] for one in document["users"]}["ci"] == 2
    settings = load(program.folder / "jobs.yaml", {})
    assert refused_of(settings) == {("disk", "role"): 1, ("disk", "token"): 2}
