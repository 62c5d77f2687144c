"""An edge is a small machine: its runs and its front stay below a bound of memory, whatever the files' sizes."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.mirrors import by_serve
from tests.mirrors.chain import Node
from tests.peak_memory import peak_of
from tests.servers.child import child
from tests.servers.ports import free_port
from tests.standin import LFS, Generated, Hub
from tests.waiting import PATIENCE

MIB = 1024 * 1024
LIMIT = 100 * MIB  # bytes of resident memory, the interpreter included
BIG = 256 * MIB  # bytes of one file: more than all that an edge may hold


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A mirror of one large file among some of some MiB, and of many small ones."""
    with Hub() as hub:
        files = {f"part-{number}.bin": LFS(Generated(9 * MIB, seed=number)) for number in range(4)}
        many = {f"sub/{number}.txt": str(number) for number in range(500)}
        hub.model("acme/big", license="mit").commit({"w.safetensors": LFS(Generated(BIG, seed=99)), **files, **many})
        node = Node(tmp_path_factory.mktemp("middle"), {"kind": "huggingface", "endpoints": [hub.url]})
        node.job["repos"] = ["acme/big"]
        assert node.sync()["acme/big@main"].outcome is RepoOutcome.PUBLISHED
    return node


def answers(url: str) -> bool:
    """Whether a front is there already."""
    try:
        with urlopen(f"{url}/healthz", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measured(node: Node) -> int:
    """The peak of resident memory of one `sync`, in bytes."""
    told, peak = peak_of(node.jobs_yaml(), "sync", "--json")
    (repo,) = json.loads(told)["repos"]
    assert repo["fetched_bytes"] >= BIG
    return peak


@pytest.mark.parametrize("way", ["front", "bucket"])
def test_a_sync_of_an_edge_stays_below_100_mib(middle: Node, tmp_path: Path, way: str) -> None:
    bucket = middle.folder / "bucket"
    with by_serve(DirectoryStore(bucket), by_digest=False) as front:
        url = front.url if way == "front" else bucket.as_uri()
        edge = Node(tmp_path, {"kind": "mirror", "url": url}, profile="edge", job={"repos": ["*/*"]})
        assert measured(edge) < LIMIT


def test_the_front_of_an_edge_stays_below_100_mib(middle: Node, tmp_path: Path) -> None:
    middle.more["profile"] = "edge"
    port = free_port()
    command = [sys.executable, "-m", "mirror_sync", "-c", str(middle.jobs_yaml()), "serve", "--port", str(port)]
    with child(command, tmp_path / "log") as serving:
        url = f"http://127.0.0.1:{port}"
        serving.wait_until(lambda: answers(url))
        for path in ("/api/models/acme/big/tree/main?recursive=true", "/acme/big/resolve/main/w.safetensors"):
            with urlopen(f"{url}{path}", timeout=PATIENCE) as answer, (tmp_path / "body").open("wb") as body:
                shutil.copyfileobj(answer, body)
        assert (tmp_path / "body").stat().st_size == BIG
        status = Path(f"/proc/{serving.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        assert int(found[1]) * 1024 < LIMIT
