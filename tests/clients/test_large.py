"""Files above the size at which huggingface_hub refuses to ask for a byte; the limit is lowered on both sides.

The oldest know none: some of them need the size that the newest must not be told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.hub import answers
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import python
from tests.front.bucket import model
from tests.front.mirrors import Mirror, by_nginx, by_serve
from tests.requirements import need

LIMIT = 100_000  # bytes
LARGE = b"0123456789abcdef" * (LIMIT // 8)

CODE = f"""
import sys, huggingface_hub.constants as constants
constants.MAX_HTTP_DOWNLOAD_SIZE = {LIMIT}
from huggingface_hub import hf_hub_download
print(hf_hub_download(sys.argv[1], "weights.bin"))
"""


@pytest.fixture(params=["serve", "nginx"])
def front(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(answers, "SIZE_SAID_UP_TO", LIMIT)
    store = DirectoryStore(tmp_path / "bucket")
    if request.param == "nginx":
        need("nginx")
        running = by_nginx(store, NginxOptions(DirectoryTarget(tmp_path / "bucket")), tmp_path / "nginx")
    else:
        running = by_serve(store)
    with running as mirror:
        yield mirror


@pytest.mark.timeout(300)
@pytest.mark.parametrize("generation", ["hub-2", "hub-1", "suite-hub030", "suite-hub020"])
def test_a_file_above_the_limit_of_the_client_is_downloaded(front: Mirror, generation: str, tmp_path: Path) -> None:
    repo = model(front.store)
    repo.publish({"weights.bin": LARGE})
    environment = os.environ | {"HF_ENDPOINT": front.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
    command = [str(python(generation)), "-c", CODE, repo.repo.id]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert Path(ran.stdout.split()[-1]).read_bytes() == LARGE
