"""`select` on the command line: what is planned, brought and shown."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.daemon.living import living
from tests.standin import Hub, faults

CONFIG = """\
state_dir: state
upstreams: {hub: {kind: huggingface, endpoints: ['HUB']}}
targets: {disk: {url: "file://FOLDER/mirror"}}
licenses: {allow: [mit]}
jobs: [{name: popular, select: {author: acme, limit: 2 MORE}}]
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The first is refused."""
    with Hub() as hub:
        for number, (name, licence) in enumerate([("c", "mit"), ("b", "mit"), ("a", "gpl-3.0")]):
            hub.model(f"acme/{name}", license=licence, downloads=number).commit({"a.json": f'"{name}"'})
        yield hub


def write(program: Program, hub: Hub, more: str = "") -> None:
    program.write(CONFIG.replace("HUB", hub.url).replace("MORE", more))


def shown(program: Program) -> dict[str, str]:
    return {repo["repo"]: repo["state"] for repo in json.loads(program("status", "--json").out)["repos"]}


def test_what_takes_a_place_is_planned_brought_and_shown(program: Program, hub: Hub) -> None:
    write(program, hub)
    assert program("check").code == 0
    planned = json.loads(program("plan", "--json").out)["repos"]
    assert {repo["repo"] for repo in planned} == {"acme/a", "acme/b"}
    assert shown(program) == {"acme/*": "never"}
    program("sync")
    assert shown(program) == {"acme/a": "refused", "acme/b": "published"}


def test_what_was_refused_and_fell_out_is_not_held_against_the_job(program: Program, hub: Hub) -> None:
    """What fell out and is published stays in view, and all does while the list cannot be had."""
    write(program, hub)
    program("sync")
    for name in "dc":
        hub.model(f"acme/{name}", license="mit", downloads=9).commit({"a.json": f'"{name}"'})
    _next_second()
    program("sync")
    assert shown(program) == {"acme/b": "unchanged", "acme/c": "published", "acme/d": "published"}
    assert program("status").out.splitlines()[-1].startswith("complete: 3 of 3 repos, ")
    hub.faults.add(faults.status(403), "/api/models", times=None)
    _next_second()
    program("sync")
    assert set(shown(program)) >= {"acme/*", "acme/b", "acme/c", "acme/d"}


def test_a_gated_repo_that_takes_a_place_is_shown_as_such_and_fails_no_run(program: Program, hub: Hub) -> None:
    hub.model("acme/a", license="mit", gated="manual")
    write(program, hub)
    for _ in range(2):
        assert program("sync").code == 0
    assert shown(program) == {"acme/a": "gated", "acme/b": "unchanged"}
    catalogue = json.loads((program.folder / "mirror" / "site" / "status.json").read_text("utf-8"))
    assert {repo["repo"]: repo["state"] for repo in catalogue["repos"]}["acme/a"] == "gated"
    assert [job["last_state"] for job in catalogue["jobs"]] == ["complete"]


def _next_second() -> None:
    """The history tells times in seconds."""
    time.sleep(1.01 - time.time() % 1)


def test_a_selection_is_found_on_the_target_without_what_it_leaves_out(program: Program, hub: Hub) -> None:
    write(program, hub, ", licenses: [mit]")
    program("sync")
    shutil.rmtree(program.folder / "state")
    assert shown(program) == {"acme/b": "published", "acme/c": "published"}
    write(program, hub, ", without: ['c*']")
    assert shown(program) == {"acme/b": "published"}


@pytest.mark.parametrize("asked", ["acme/c", "acme/c*"])
def test_what_took_no_place_is_said_to_be_asked_for_and_not_found(program: Program, hub: Hub, asked: str) -> None:
    write(program, hub)
    program("sync")
    ended = program("status", asked)
    said = f"no run has found {asked} for a job: job popular mirrors the first 2 of acme/* by downloads"
    assert (ended.code, ended.out, ended.err) == (2, "", f"mirror-sync: {said}\n")


def test_a_trigger_of_what_took_no_place_starts_nothing_and_says_so(program: Program, hub: Hub) -> None:
    write(program, hub, ", licenses: [mit]}, schedule: {cron: '0 3 1 1 *'")
    path = program.folder / "jobs.yaml"
    path.write_text(path.read_text() + "http: {listen: none}\n")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], program.folder) as daemon:
        daemon.until_logged("event=daemon.started")
        assert program("trigger", "acme/a").out == "job popular, acme/a: started\n", "nobody knows yet"
        daemon.until_logged("event=run.finished")
        program("sync")
        ended = program("trigger", "acme/a")
        said = "job popular, acme/a: is not among the repos that its select took last: nothing is started; "
        assert (ended.code, ended.out) == (1, f"{said}trigger the job to have it look again\n")
        assert program("trigger", "acme/b").out == "job popular, acme/b: started\n"
