"""Clients of three generations wait for their turn where one reader may not ask much, and get everything."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from mirror_sync.domain.access.reader_limits import ReaderLimits
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import GENERATIONS, python
from tests.front.bucket import Published
from tests.front.guarded import PUBLIC
from tests.front.mirrors import OPENED, by_nginx, by_serve
from tests.requirements import need

NAME = "acme/parts"
FILES = {f"part-{number:02}.bin": b"%d" % number * 2000 for number in range(15)}
PROGRAM = f"from huggingface_hub import snapshot_download as get; print(get('{NAME}'))"
LIMITS = ReaderLimits(requests=300)  # 5 a second


@pytest.mark.timeout(300)
@pytest.mark.parametrize("front", ["serve", "nginx"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_snapshot_is_whole_and_took_as_long_as_its_requests_may_take(
    front: str, generation: str, tmp_path: Path
) -> None:
    place = DirectoryTarget(tmp_path / "bucket")
    place.root.mkdir()
    store = DirectoryStore(place.root)
    Published(store, Repo(Kind.MODEL, NAME)).publish(FILES, described=dict(PUBLIC))
    if front == "serve":
        running = by_serve(store, limits=LIMITS)
    else:
        need("nginx")
        running = by_nginx(store, NginxOptions(place, access=OPENED, limits=LIMITS), tmp_path / "nginx")
    with running as mirror:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        own = {"HF_ENDPOINT": mirror.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        begins = time.monotonic()
        ran = subprocess.run(
            [python(generation), "-c", PROGRAM],
            env=kept | own,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        assert time.monotonic() - begins > 3  # a HEAD and a GET of each of 15 files
    got = Path(ran.stdout.strip())
    assert {path: (got / path).read_bytes() for path in FILES} == FILES
