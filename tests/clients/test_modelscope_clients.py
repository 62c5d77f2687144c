"""Unmodified clients of ModelScope, of three generations, find at a mirror of a Hub all that is published."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.clients.conftest import COMBINATIONS
from tests.clients.environments import MODELSCOPES, environment, python
from tests.clients.mirror import FrontName, Mirror, Synced, serving
from tests.clients.repos import DATASET, MANY, MODEL, TAG
from tests.clients.truth import RepoTruth
from tests.requirements import need
from tests.servers.certificates import Authority

NEWEST = MODELSCOPES[-1]
SCRIPT = Path(__file__).with_name("use_modelscope.py")
CLI = "from modelscope.cli.cli import run_cmd; run_cmd()"
NEW_CLI = "from modelscope_hub.cli.main import run_cmd; run_cmd()"
OWN = (".msc", ".mdl", ".mv", "._____temp", ".lock", ".cache")  # what clients keep beside files


@dataclass(frozen=True)
class Secured:
    """A mirror that speaks TLS, and whom to trust for it: the older clients know no other."""

    mirror: Mirror
    authority: Path

    @property
    def host(self) -> str:
        return self.mirror.url.partition("://")[2]


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    front, target = cast("tuple[FrontName, str]", request.param)
    synced: Synced = request.getfixturevalue(f"synced_{target}")
    with _over_tls(front, synced, tmp_path_factory.mktemp("tls")) as one:
        yield one


@contextmanager
def _over_tls(front: FrontName, synced: Synced, folder: Path) -> Iterator[Secured]:
    if front == "nginx":
        need("nginx")
    authority = Authority(folder)
    mine = authority.certify("localhost")
    with serving(synced, front, tls={"certificate": str(mine.chain), "key": str(mine.key)}) as mirror:
        yield Secured(mirror, authority.file)


def environ(place: Secured, generation: str, folder: Path) -> dict[str, str]:
    """What users set, and nothing of this machine's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELSCOPE", "HF_", "HUGGING"))}
    old = generation in MODELSCOPES[:-1]
    where = {"MODELSCOPE_DOMAIN": place.host} if old else {"MODELSCOPE_ENDPOINT": place.mirror.url}
    own = {"HOME": str(folder), "MODELSCOPE_CACHE": str(folder / "cache"), "NO_PROXY": "127.0.0.1,localhost"}
    return {**kept, **own, **where, "REQUESTS_CA_BUNDLE": str(place.authority)}


def ran(generation: str, words: list[str], place: Secured, folder: Path, **more: str) -> str:
    """What a command in a client's environment prints. AssertionError with what it said unless it ends with 0."""
    command = [str(python(generation)), *words]
    surroundings = environ(place, generation, folder) | more
    done = subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}\n{place.mirror.log()}"
    return done.stdout


def found(folder: str | Path) -> set[str]:
    """The files of a snapshot as a client has laid it down."""
    top = Path(folder)
    files = {one.relative_to(top) for one in top.rglob("*") if one.is_file()}
    return {one.as_posix() for one in files if one.parts[0] not in OWN}


def check(folder: Any, truth: RepoTruth, paths: set[str] | None = None) -> None:
    """Raises AssertionError unless the folder holds these files of a repo, every byte of them, and no others."""
    assert isinstance(folder, str), folder
    wanted = set(truth.files) - {".gitattributes"} if paths is None else paths
    assert found(folder) == wanted
    for path in wanted:
        truth.files[path].check(Path(folder) / path)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generation", MODELSCOPES)
def test_a_client_finds_every_byte_by_every_name(secured: Secured, generation: str, tmp_path: Path) -> None:
    truth = secured.mirror.truth
    words = [str(SCRIPT), MODEL, TAG, truth.tagged.commit, DATASET, "tokenizer.json"]
    said: Mapping[str, Any] = json.loads(ran(generation, words, secured, tmp_path).splitlines()[-1])
    check(said["default"], truth.model)
    assert said["again"] == said["default"]
    check(said["tag"], truth.tagged)
    check(said["commit"], truth.tagged)
    check(said["some"], truth.model, {path for path in truth.model.files if path.startswith("a/b/")})
    check(said["dataset"], truth.dataset)
    truth.model.files["tokenizer.json"].check(Path(said["file"]))
    assert said["exists"] == [True, False]
    assert said["info"] == MODEL
    for name in ("no repo", "no revision", "no file"):
        assert isinstance(said[name], list), (name, said[name])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generation", MODELSCOPES)
def test_the_command_line_downloads_and_the_newest_verifies(secured: Secured, generation: str, tmp_path: Path) -> None:
    truth, target = secured.mirror.truth, tmp_path / "here"
    new = generation == NEWEST
    asked = [MODEL, "--local-dir", str(target)] if new else ["--model", MODEL, "--local_dir", str(target)]
    ran(generation, ["-c", NEW_CLI if new else CLI, "download", *asked], secured, tmp_path)
    check(str(target), truth.model)
    if new:
        verify = ["-c", NEW_CLI, "cache", "verify", MODEL, "--local-dir", str(target), "--fail-on-missing-files"]
        ran(generation, verify, secured, tmp_path)


@pytest.mark.timeout(600)
def test_a_repo_of_very_many_files_comes_whole(secured: Secured, tmp_path: Path) -> None:
    code = f"from modelscope import snapshot_download as get; print(get('{MANY}', max_workers=8))"
    folder = ran(NEWEST, ["-c", code], secured, tmp_path).splitlines()[-1]
    check(folder, secured.mirror.truth.many)


@pytest.mark.timeout(600)
def test_transformers_read_a_mirror_by_the_patch_of_modelscope(secured: Secured, tmp_path: Path) -> None:
    """The newest transformers with the newest modelscope beside them."""
    beside = next((environment(NEWEST) / "lib").glob("python*/site-packages"))
    code = (
        "from modelscope.utils.hf_util import patch_hub\npatch_hub()\n"
        "from transformers import AutoConfig, AutoTokenizer\n"
        f"print(AutoConfig.from_pretrained('{MODEL}').model_type)\n"
        f"print(AutoTokenizer.from_pretrained('{MODEL}').tokenize('hello'))\n"
    )
    nowhere = "http://127.0.0.1:9"
    said = ran("hub-2", ["-c", code], secured, tmp_path, PYTHONPATH=str(beside), HF_ENDPOINT=nowhere)
    assert "bert" in said
    assert (tmp_path / "cache/models").is_dir()
