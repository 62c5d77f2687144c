"""Unmodified clients of ModelScope, of three generations, take the stand-in for ModelScope: so tests may use it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environments import MODELSCOPES, python
from tests.clients.test_modelscope_clients import SCRIPT, found
from tests.servers.certificates import Authority
from tests.sources.relays import tls_before
from tests.standin import LFS, Generated, Memory
from tests.standin.modelscope import ModelScope

REPO, DATASET, FORMER = "acme/tiny", "acme/rows", "former"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "config.json": b'{"hidden_size": 8}',
    "a/b/odd & #1.txt": b"odd",
}
WEIGHTS = Generated(3 << 20, seed=5)
SECRET = "ms-0123456789"


@pytest.fixture
def site() -> Iterator[ModelScope]:
    with ModelScope() as started:
        model = started.model(REPO, license="MIT License")
        model.branch(FORMER, started.commit(model, {"README.md": b"first"}))
        started.commit(model, {**FILES, "model.safetensors": LFS(WEIGHTS)})
        rows = {f"{number:03}.csv": Memory(b"%d\n" % number) for number in range(230)}
        started.commit(started.dataset(DATASET, license="CC-BY-4.0"), rows)
        started.token(SECRET, approved=[REPO])
        yield started
        assert not started.leaks
        assert not started.crashes


@pytest.mark.timeout(300)
@pytest.mark.parametrize("generation", MODELSCOPES)
def test_a_client_reads_the_stand_in_as_it_reads_modelscope(site: ModelScope, generation: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.certify("localhost")
    both = tmp_path / "both.pem"
    both.write_bytes(mine.chain.read_bytes() + mine.key.read_bytes())
    with tls_before(int(site.url.rpartition(":")[2]), both) as url:
        old = generation in MODELSCOPES[:-1]
        site.model(REPO).set(gated=False if old else "manual")  # the older ones send no token to a port of its own
        own = {"MODELSCOPE_DOMAIN": url.partition("://")[2]} if old else {"MODELSCOPE_ENDPOINT": url}
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("MODELSCOPE", "HF_"))}
        surroundings = {**kept, **own, "HOME": str(tmp_path), "MODELSCOPE_CACHE": str(tmp_path / "cache")}
        surroundings |= {"REQUESTS_CA_BUNDLE": str(authority.file), "MODELSCOPE_API_TOKEN": SECRET}
        words = [REPO, FORMER, site.model(REPO).head(FORMER), DATASET, "config.json"]
        done = subprocess.run(
            [str(python(generation)), str(SCRIPT), *words],
            cwd=tmp_path,
            env=surroundings | {"NO_PROXY": "127.0.0.1,localhost"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert found(said["default"]) == {*FILES, "model.safetensors"}, said
    assert (Path(said["default"]) / "model.safetensors").read_bytes() == WEIGHTS.read()
    assert found(said["tag"]) == {"README.md"}
    assert found(said["some"]) == {"a/b/odd & #1.txt"}
    assert len(found(said["dataset"])) == 230
    assert Path(said["file"]).read_bytes() == FILES["config.json"]
    if not old:  # the older ones refuse what is no branch and no tag before they ask
        assert found(said["commit"]) == {"README.md"}
    for name in ("no repo", "no file", *(("no revision",) if old else ())):  # the newest takes none for an empty repo
        assert isinstance(said[name], list), (name, said[name])
