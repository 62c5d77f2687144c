"""A small mirror from a stand-in Hub, made by the program itself, and what each of its commands answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.cli.program import Ended, Program
from tests.contract.running import Running, running
from tests.servers.ports import free_port
from tests.standin import LFS, Hub

CARD = b"---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n# One\n"
WEIGHTS = bytes(range(256)) * 8

CONFIG = """\
version: 1
state_dir: state
upstreams:
  hub: {kind: huggingface, endpoints: ["HUB"]}
targets:
  disk: {url: "file://FOLDER/mirror", grace: 1s}
defaults: {upstream: hub, target: disk}
licenses: {allow: [mit]}
front: {by_digest: true, oci: true, torrents: true, url: "http://127.0.0.1:8080"}
http: {listen: "127.0.0.1:PORT", webhook_secret: "${WEBHOOK_SECRET:-}"}
jobs:
  - name: named
    repos: [acme/one, "dataset:acme/rows", acme/former]
    revisions: [main, "v*"]
    retention: {snapshots: 1, days: 0}
    schedule: {cron: "0 0 1 1 *"}
  - {name: part, repos: ["acme/small-*"], exclude: ["*.bin"]}
  - {name: bad, repos: [acme/closed, acme/gated, acme/absent]}
"""


@dataclass
class World:
    """A mirror in `folder`, and how each call of the program ended, by its words."""

    folder: Path
    program: Program
    port: int
    ended: dict[str, Ended] = field(default_factory=dict)

    @property
    def mirror(self) -> Path:
        """The directory target as it was at the end of these calls: the daemon goes on with another copy."""
        return self.folder / "published"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def run(self, *words: str, name: str = "") -> Ended:
        """Call the program, and remember how it ended under `name`, its words when there is none."""
        ended = self.ended[name or " ".join(words)] = self.program(*words)
        return ended

    def documents(self) -> dict[str, list[Any]]:
        """What all calls with --json printed, by the command's name."""
        found: dict[str, list[Any]] = {}
        for words, ended in self.ended.items():
            if "--json" in words.split() or words == "report --format json":
                found.setdefault(words.split()[0], []).append(json.loads(ended.out))
        return found

    @cached_property
    def running(self) -> Running:
        """What the daemon answered, while it ran over this mirror for a moment."""
        return running(self.program, self.state, self.port)


def fill(hub: Hub) -> None:
    """What the Hub has: files, ids and dates are fixed, and so are all commit ids."""
    hub.model("acme/one", license="mit").commit(
        {"README.md": CARD, "config.json": b"{}", "weights.bin": LFS(WEIGHTS), "onnx/part one.bin": b"p"}
    )
    hub.model("acme/one").tag("v1")
    hub.dataset("acme/rows", license="mit").commit({"README.md": b"---\nlicense: mit\n---\n", "rows.csv": b"a,b\n"})
    hub.model("acme/former", license="mit").commit({"README.md": CARD})
    hub.rename("acme/former", "acme/Latter")
    for name in ("small-a", "small-b"):
        hub.model(f"acme/{name}", license="mit").commit({"README.md": CARD, "x.bin": LFS(b"x" * 100)})
    hub.model("acme/closed", license="cc-by-nc-4.0").commit({"README.md": b"closed"})
    hub.model("acme/gated", license="mit", gated="manual").commit({"README.md": b"gated"})


def change(hub: Hub) -> None:
    """What is committed after the first sync: a file changes, one comes, one goes."""
    hub.model("acme/one").commit({"config.json": b'{"a": 1}', "new.txt": b"new"}, delete=["onnx/part one.bin"])
    hub.dataset("acme/rows").commit({"rows.csv": b"a,b,c\n"})


@contextmanager
def small_world(folder: Path) -> Iterator[World]:
    """The world, after all commands that answer in JSON; the Hub is there until the block ends."""
    port = free_port()
    world = World(folder, Program(folder), port)
    with Hub() as hub:
        fill(hub)
        world.program.write(CONFIG.replace("HUB", hub.url).replace("PORT", str(port)))
        world.run("plan", "--json")
        world.run("sync", "--json", "--log-format", "json")
        change(hub)
        world.run("sync", "--json", name="sync --json (again)")
        world.run("diff", "acme/one", "--json")
        write_access_log(folder / "access.log")
        world.run("traffic", "access.log", "--json")
        world.run("prune", "--json", "--dry-run")
        world.run("prune", "--json")
        _harm(folder / "mirror")
        world.run("verify", "--json", name="verify --json (of what is harmed)")
        world.run("verify", "--repair", "--json")
        world.run("verify", "--json", "--sample", "50%")
        world.run("verify", "acme/one", "--json")
        world.run("pause", "bad")
        world.run("status", "--json")
        world.run("status", "acme/one", "--json")
        world.run("audit", "--json")
        world.run("audit", "--verify", "--json")
        world.run("report", "--format", "json")
        shutil.copytree(folder / "mirror", world.mirror)
        yield world
    assert not hub.crashes


def write_access_log(path: Path) -> None:
    """A front's log of four months: one reader of old, one who asks for much that is not here on the last day."""
    asked = [(month, "10.0.0.1", "one", 200) for month in range(1, 5)]
    asked += [(4, "10.0.0.2", f"none-{number}", 404) for number in range(30)]
    lines = [
        {
            "time": f"2026-{month:02}-01T20:00:00+08:00", "client": client, "method": "GET", "status": status,
            "bytes": 2048, "uri": f"/acme/{repo}/resolve/main/weights.bin", "seconds": 0.01, "range": "",
            "commit": "", "agent": "curl",
        }
        for month, client, repo, status in asked
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def _harm(mirror: Path) -> None:
    """Change a byte of the weights, as a disk may."""
    path = next(path for path in mirror.glob("blobs/sha256/*/*") if path.read_bytes() == WEIGHTS)
    path.chmod(0o644)
    path.write_bytes(b"!" + WEIGHTS[1:])
