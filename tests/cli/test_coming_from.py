"""What docs/guide/coming-from.md says: a disk's files first, and the hub's commits of the same names after them."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import CONFIG, Program
from tests.standin import LFS, Hub

LARGE = "w" * 200_000


def test_of_what_a_disk_brought_the_hub_is_asked_for_nothing_again(hub: Hub, tmp_path: Path) -> None:
    program = Program(tmp_path)
    config = f"{CONFIG.partition('jobs:')[0]}jobs: [{{name: models, repos: [acme/one]}}]\n"
    program.add_repo("acme/one", weights=LARGE)
    program.write(config)
    assert program("sync").code == 0

    commit = hub.model("acme/one", license="mit").commit({"weights": LFS(LARGE.encode()), "new": LFS(b"new")})
    program.write(
        config.replace('kind: directory, url: "file://FOLDER/upstream"', f"kind: huggingface, endpoints: [{hub.url}]")
    )
    assert program("sync").code == 0
    fetched = {record.request.path.rpartition("/")[2]: record.sent for record in hub.log.records("GET *", origin="cdn")}
    assert sum(fetched.values()) == len(b"new"), "the weights are the target's already"
    assert commit[:8] in program("diff", "acme/one").out
