"""`withdraw` takes a repo down on every target, for both fronts; `restore` lets it come back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.catalogue.markup import read
from tests.cli.program import BEGIN, Program
from tests.front.mirrors import OPENED, PATIENCE, Mirror, Reply, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.stores.places import target_of

if TYPE_CHECKING:
    pass

CONFIG = f"""\
{BEGIN}\
jobs:
  - {{name: good, repos: [acme/one, "acme/*"]}}
"""
WORDS = ("--why", "its licence was withdrawn", "--by", "J. Doe")


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Where the program publishes; what it needs to wait for others is nothing there."""
    return target_of(request, tmp_path / "mirror", "some/prefix")


@pytest.fixture
def program(tmp_path: Path, place: Target) -> Program:
    """It has mirrored two repos, which share a file."""
    made = Program(tmp_path)
    if isinstance(place, DirectoryTarget):
        target = f'{{url: "file://{place.root}", grace: 0s}}'
    else:
        keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}"
        address = f"s3://{place.bucket}/{place.prefix}"
        target = f'{{url: "{address}", endpoint_url: "{place.endpoint_url}", {keys}, grace: 0s}}'
    made.write(CONFIG.replace("TARGET", target))
    made.add_repo("acme/one", weights="of one alone", shared="of both")
    made.add_repo("acme/two", weights="of two alone", shared="of both")
    ended = made("sync")
    assert ended.code == 0, ended.err + ended.out
    time.sleep(1.1)  # a bucket's clock has seconds
    return made


def _until(mirror: Mirror, target: str, shown: Callable[[Reply], bool]) -> Reply:
    limit = time.monotonic() + PATIENCE
    while not shown(reply := mirror.get(target)):
        assert time.monotonic() < limit, f"{target} still answers {reply}"
        time.sleep(0.1)
    return reply


def test_a_repo_goes_everywhere_and_comes_back_by_a_persons_word_alone(program: Program, place: Target) -> None:
    need("nginx")
    store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
    with ExitStack() as stack:
        nginx = by_nginx(store, NginxOptions(place, by_digest=True, access=OPENED), program.folder / "front")
        fronts = [stack.enter_context(by_serve(store)), stack.enter_context(nginx)]
        file, api = "/acme/one/resolve/main/weights", "/api/models/acme/one"
        own, both = (f"/{blob_key(Sha256.of(body))}" for body in (b"of one alone", b"of both"))
        commit = fronts[0].get(api).json["sha"]
        pinned = f"/acme/one/resolve/{commit}/weights"
        for mirror in fronts:
            assert [mirror.get(address).body for address in (file, pinned, own)] == [b"of one alone"] * 3
            assert {one["id"] for one in mirror.get("/api/models").json} == {"acme/one", "acme/two"}

        dry = program("withdraw", "acme/one", *WORDS, "--dry-run", "--json")
        assert (dry.code, fronts[0].get(file).status) == (0, 200), dry.err
        done = program("withdraw", "acme/ONE", *WORDS, "--json")
        assert done.code == 0, done.err + done.out
        rehearsed, report = json.loads(dry.out), json.loads(done.out)
        assert {**rehearsed, "dry_run": False, "at": report["at"]} == report
        assert (report["snapshots"], report["shared"], report["problems"]) == ([commit], 2, [])  # README.md, too

        for mirror in fronts:
            for address in (file, pinned, api, "/acme/one"):
                reply = _until(mirror, address, lambda reply: reply.error == (403, "GatedRepo"))
                assert re.search(r"taken down on \S+ by J\. Doe: its licence was withdrawn", reply.json["error"])
            assert mirror.get(own).status == 404
            assert mirror.get(both).body == b"of both"
            _until(mirror, "/-/models/acme--one.html", lambda reply: reply.status == 404)
            assert [one["id"] for one in mirror.get("/api/models").json] == ["acme/two"]
            for page in ("/-/", "/-/status.json", "/-/list/0001.html", "/-/mirror.html"):
                assert "acme/one" not in read(mirror.get(page).body).text, page
            gone = [one["repo"] for day in mirror.get("/-/changes.json").json["days"] for one in day["withdrawn"]]
            assert gone == ["acme/one"], "what follows the mirror is told that it went"

        program.add_repo("acme/one", weights="newer", shared="of both")
        synced = program("sync", "--json")
        (row,) = [one for one in json.loads(synced.out)["repos"] if one["repo"] == "acme/one"]
        assert (row["outcome"], row["code"]) == ("held", "withdrawn")
        assert program("plan").code == 0
        (line,) = [one for one in json.loads(program("status", "--json").out)["repos"] if one["repo"] == "acme/one"]
        assert (line["state"], line["code"]) == ("held", "withdrawn")
        assert (program("verify").code, program("prune").code) == (0, 0)
        diff = program("diff", "acme/one")
        assert (diff.code, "was taken down on" in diff.err) == (2, True)
        for mirror in fronts:
            assert mirror.get(api).status == 403
            for page in ("/-/", "/-/status.json", "/-/list/0001.html", "/-/mirror.html"):
                assert "acme/one" not in read(mirror.get(page).body).text, page
            gone = [one["repo"] for day in mirror.get("/-/changes.json").json["days"] for one in day["withdrawn"]]
            assert gone == ["acme/one"], "what follows the mirror is told that it went"

        assert program("restore", "acme/one", "--why", "agreed").code == 0
        assert program("sync").code == 0
        for mirror in fronts:
            _until(mirror, file, lambda reply: reply.body == b"newer")


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_words_are_said_to_whoever_asks_for_what_cannot_be(program: Program) -> None:
    once = program("withdraw", "acme/one", *WORDS)
    took = r"Took down acme/one in target disk: 1 snapshot, and \d+ blobs \(.+\) that only it named\."
    assert re.fullmatch(took, once.out.splitlines()[0])
    again = program("withdraw", "acme/one", "--why", "another reason")
    assert (again.code, "by J. Doe: its licence was withdrawn. Removed 0 blobs" in again.out) == (0, True)
    for words, said in {
        ("withdraw", "acme/tow", "--why", "x"): "target disk has nothing of acme/tow; did you mean acme/two",
        ("withdraw", "acme/two", "--why", " "): "say why: --why TEXT is what readers are told",
        ("withdraw", "acme/two", "--why", "x" * 1001): "--why: up to 1,000 characters that can be seen",
        ("withdraw", "acme/two"): "--why",
        ("restore", "acme/two", "--why", "x"): "acme/two was not taken down in target disk",
        ("restore", "acme/two", "--why", ""): "say why: --why TEXT is what the log keeps",
    }.items():
        ended = program(*words)
        assert (ended.code, said in ended.err) == (2, True), ended.err
    assert program("restore", "acme/one", "--why", "agreed", "--by", "J. Doe").out.startswith(
        "acme/one may be published"
    )
    log = program("withdraw", "acme/two", "--why", "x", "--log-format", "json").err
    (line,) = [json.loads(one) for one in log.splitlines() if '"repo.withdrawn"' in one]
    assert (line["repo"], line["why"], line["snapshots"]) == ("acme/two", "x", 1)


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_status_knows_it_also_where_all_that_was_remembered_is_lost(program: Program) -> None:
    assert program("withdraw", "acme/one", *WORDS).code == 0
    for path in (program.folder / "state").glob("history.db*"):
        path.unlink()
    rows = json.loads(program("status", "--json").out)["repos"]
    (line,) = [one for one in rows if one["repo"] == "acme/one"]
    assert (line["state"], line["code"]) == ("held", "withdrawn")
    assert "its licence was withdrawn" in line["reason"]
