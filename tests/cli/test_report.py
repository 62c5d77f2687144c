"""`report` says what a target holds, in three formats, of directories and buckets, and what it cannot read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.ports.store import Store
from mirror_sync.wiring.adapters import open_store
from tests.cli.program import BEGIN, Ended, Program
from tests.signing.keys import ssh_key

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

CONFIG = f"""\
{BEGIN}\
decisions: ./decisions.yaml
trust: {{key: ./signing.key, bom: [cyclonedx]}}
policy: {{restricted: ["acme/held"]}}
jobs:
  - {{name: looked, repos: [acme/one], policy: {{formats: {{allow: [data, text, container, pickle, code, unknown]}}}}}}
  - {{name: plain, repos: [acme/plain, acme/held, acme/gone]}}
"""
WHY = "<script>alert(1)</script> & so on"
ODD = "=1+1,<b>.py"  # a file that a spreadsheet would compute, and a browser take for a tag
DECISIONS = f"""\
version: 1
decisions:
- {{repo: acme/plain, commit: any, rule: licence, outcome: approve, by: "=Ada", why: "{WHY}", until: 2020-01-01}}
- {{repo: acme/other, commit: any, rule: licence, outcome: approve, by: Bo, why: of another repo}}
"""
ONE, PLAIN, HELD, GONE = (f"acme/{name}" for name in ("one", "plain", "held", "gone"))


@dataclass
class Shelf:
    """The program that has mirrored, and where."""

    program: Program
    store: Store

    def root_of(self, name: str) -> Sha256:
        (root,) = read_refs(self.store, Repo(Kind.MODEL, name)).snapshots.values()
        return root

    def put(self, key: str, body: bytes) -> None:
        self.store.delete([key])
        self.store.put(key, body, Sha256.of(body))


@pytest.fixture(scope="module", params=["directory", "moto"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """What no test changes."""
    return filled(request, request.param, tmp_path_factory.mktemp("report"))


@pytest.fixture(params=["directory", "moto"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """What a test may harm."""
    return filled(request, request.param, tmp_path)


def filled(request: pytest.FixtureRequest, place: str, folder: Path) -> Shelf:
    """Four repos: inspected, by name alone, held, taken down; what is published is signed."""
    if place == "directory":
        target: dict[str, Any] = {"url": f"file://{folder}/mirror"}
    else:
        moto: S3Server = request.getfixturevalue("moto")
        target = moto.place()
    ssh_key(folder)
    program = Program(folder)
    program.write(CONFIG.replace("TARGET", json.dumps({**target, "grace": "0s"})))
    program.write(DECISIONS, "decisions.yaml")
    program.add_repo(ONE, weights="12345", **{"run.py": "print()"})
    program.add_repo(PLAIN, **{ODD: "x", "model.bin": "x"})
    program.add_repo(HELD)
    program.add_repo(GONE, weights="of one alone")
    ended = program("sync")
    assert ended.code == 0, ended.err + ended.out
    assert program("withdraw", GONE, "--why", "<i>no</i>", "--by", "J. Doe").code == 0
    return Shelf(program, open_store(load(folder / "jobs.yaml", {}).targets["disk"]))


class _Page(HTMLParser):
    """The tags of a page, what they refer to, and the text beside styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {f"{value}" for name, value in attrs if name in ("href", "src", "action", "data", "style")}

    def handle_data(self, data: str) -> None:
        self.text += data


def document(ended: Ended) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(ended.out)
    return said


def by_name(said: Mapping[str, Any]) -> dict[str, Any]:
    return {one["repo"]: one for one in said["repos"]}


def test_json_has_what_an_auditor_asks_of_each_repo(whole: Shelf) -> None:
    ended = whole.program("report", "--format", "json")
    assert ended.code == 0, ended.err + ended.out
    said = document(ended)
    repos = by_name(said)
    assert [*repos] == [GONE, HELD, ONE, PLAIN]
    (one,), (plain,) = repos[ONE]["snapshots"], repos[PLAIN]["snapshots"]
    assert (one["licences"], one["licence_verdict"], one["names"]) == (["mit"], "allowed", ["main"])
    assert {verdict["rule"] for verdict in one["verdicts"]} >= {"licence", "formats"}
    assert one["content"]["inspected"]
    assert one["content"]["classes"]["code"]["files"] == one["content"]["run_code"] == 1
    assert one["content"]["code_files"] == ["run.py"]
    assert one["signed"] == {"sums": True, "model": False, "bom": True}
    assert (one["files"], one["bytes"], bool(one["published"]), bool(one["committed"])) == (3, 33, True, True)
    assert (plain["content"]["inspected"], plain["content"]["run_code"]) == (False, 2)
    assert repos[ONE]["statement"]["agrees"]
    assert repos[ONE]["last_check"] == repos[ONE]["checks"][0]["last_success"] is not None
    (decision,) = repos[PLAIN]["decisions"]
    told = decision["by"], decision["why"], decision["until"], decision["ended"]
    assert told == ("=Ada", WHY, "2020-01-02T00:00:00Z", True)
    (held,) = repos[HELD]["held"]
    assert (repos[HELD]["snapshots"], repos[HELD]["checks"][0]["state"], bool(held["since"])) == ([], "held", True)
    assert [one["outcome"] for one in held["verdicts"] if one["rule"] == "restricted"] == ["held"]
    assert (repos[GONE]["withdrawn"]["why"], repos[GONE]["withdrawn"]["by"]) == ("<i>no</i>", "J. Doe")
    assert repos[GONE]["snapshots"] == []
    assert repos[ONE]["readers"] is None
    assert said["readers"]["note"].startswith("nobody has counted")
    assert (said["ok"], said["totals"]["repos"], said["totals"]["withdrawn"]) == (True, 4, 1)


def test_csv_has_a_line_for_each_snapshot_and_nothing_that_a_spreadsheet_computes(whole: Shelf) -> None:
    ended = whole.program("report", "--format", "csv", "-o", "report.csv")
    assert (ended.code, ended.out) == (0, ""), ended.err
    raw = (whole.program.folder / "report.csv").read_bytes().decode()
    assert raw.count("\r\n") == raw.count("\n") == 5
    rows = {row["repo"]: row for row in csv.DictReader(io.StringIO(raw, newline=""))}
    assert [*rows] == [GONE, HELD, ONE, PLAIN]
    assert rows[PLAIN]["code_files"] == f"'{ODD}; model.bin"
    assert rows[PLAIN]["decisions"] == f"approve licence, any commit, until 2020-01-01, ended: =Ada: {WHY}"
    assert (rows[ONE]["classes"], rows[ONE]["sums_signed"], rows[ONE]["licence"]) == ("text 2, code 1", "yes", "mit")
    assert rows[GONE]["withdrawn"].endswith("by J. Doe: <i>no</i>")
    assert (rows[GONE]["commit"], rows[HELD]["commit"], " since " in rows[HELD]["held"]) == ("", "", True)
    cells = [cell for row in rows.values() for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_the_page_shows_all_words_as_words_and_asks_for_nothing(whole: Shelf) -> None:
    ended = whole.program("report", "-o", "report.html")
    assert ended.code == 0, ended.err
    raw = (whole.program.folder / "report.html").read_text(encoding="utf-8")
    page = _Page(raw)
    assert page.tags.isdisjoint({"script", "i", "img", "link", "iframe", "object", "form"})
    assert page.links == {"#sum"}
    assert not re.search(r"@import|url\(", raw)
    assert {"@media print", "table-header-group"} <= set(re.findall(r"@media print|table-header-group", raw))
    for words in (ONE, PLAIN, HELD, GONE, WHY, ODD, "J. Doe: <i>no</i>", "All of it could be read."):
        assert words in page.text


def test_readers_are_those_that_traffic_has_counted(shelf: Shelf) -> None:
    log = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "client": "10.0.0.1", "method": "GET",
        "uri": f"/{ONE}/resolve/main/weights", "status": 200, "bytes": 5, "seconds": 0.1, "range": "", "commit": "",
        "agent": "curl",
    }  # fmt: skip
    (shelf.program.folder / "access.log").write_text(json.dumps(log) + "\n", encoding="utf-8")
    assert shelf.program("traffic", "access.log").code == 0
    said = document(shelf.program("report", "--format", "json"))
    assert by_name(said)[ONE]["readers"] == {"downloads": 1, "bytes": 5, "clients": 1}
    assert by_name(said)[PLAIN]["readers"] == {"downloads": 0, "bytes": 0, "clients": 0}
    assert said["readers"]["from"] == said["readers"]["to"] is not None
    (shelf.program.folder / "state" / "traffic-disk.json").write_text("[]", encoding="utf-8")
    said = document(shelf.program("report", "--format", "json"))
    assert by_name(said)[ONE]["readers"] is None
    assert "cannot be read" in said["readers"]["note"]


def test_what_cannot_be_read_is_a_row_that_says_so_and_a_failure(shelf: Shelf) -> None:
    shelf.put(blob_key(shelf.root_of(ONE)), b"other bytes")
    shelf.put(refs_key(Repo(Kind.MODEL, PLAIN)), b"no json")
    shelf.put("hub/models/no--re--po/refs.json", b"{}")
    tombstone = read_refs(shelf.store, Repo(Kind.MODEL, GONE)).tombstone
    assert tombstone is not None
    shelf.store.delete([blob_key(tombstone)])
    for form in ("html", "csv", "json"):
        ended = shelf.program("report", "--format", form)
        assert ended.code == 1
        assert "4 problems: not all could be read of " in ended.err
        shown = _Page(ended.out).text if form == "html" else ended.out
        for words in ("refs.json cannot be read: not a refs.json", "its root cannot be read", "no repo has such a key"):
            assert words in shown
    said = document(ended)
    repos = by_name(said)
    assert not said["ok"]
    assert repos[PLAIN]["problems"]
    assert repos[ONE]["snapshots"][0]["problem"]
    assert repos[ONE]["snapshots"][0]["files"] is None  # not known is not none
    assert "why it was taken down cannot be read" in repos[GONE]["problems"][0]
    assert repos[GONE]["withdrawn"] == {"at": None, "by": None, "why": None}  # it is, all the same
    assert repos[HELD]["held"]  # the others are told as ever
    assert not repos[HELD]["problems"]


def test_what_was_published_here_and_is_not_here_any_more_is_a_row(shelf: Shelf) -> None:
    shelf.store.delete([refs_key(Repo(Kind.MODEL, name)) for name in (ONE, PLAIN, HELD, GONE)])
    ended = shelf.program("report", "--format", "json")
    said = document(ended)
    assert (ended.code, said["ok"]) == (1, False)
    assert "nothing of it is here any more" in by_name(said)[ONE]["problems"][0]


def test_a_file_is_replaced_only_by_a_whole_report(whole: Shelf) -> None:
    path = whole.program.folder / "report.html"
    path.write_text("of yesterday", encoding="utf-8")
    assert whole.program("report", "--target", "none", "-o", "report.html").code == 2
    assert path.read_text(encoding="utf-8") == "of yesterday"
    assert whole.program("report", "-o", "no/folder/report.html").code == 1
    assert whole.program("report", "-o", "report.html").code == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [one.name for one in whole.program.folder.iterdir() if one.name.startswith(".report")] == []
