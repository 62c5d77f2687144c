"""Unmodified clients of three generations read by their tokens what these may read, and are told why where not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import GENERATIONS, ROOT, environment, python
from tests.front.guarded import ACCESS, EXPIRED, STRANGE, TOKENS, Guarded, write_tokens
from tests.front.mirrors import Mirror, by_either

REPOS = ("pub/plain", "pub/gatedone", "team/inner")


@pytest.fixture(scope="module", params=["serve", "nginx"])
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("tokens")
    target = DirectoryTarget(folder / "bucket")
    target.root.mkdir()
    Guarded.filled(DirectoryStore(target.root))
    tokens = write_tokens(folder / "tokens.yaml")
    with by_either(request.param, target, folder / "front", access=ACCESS, tokens=tokens) as running:
        yield running


def asked(front: Mirror, generation: str, token: str, folder: Path) -> dict[str, Any]:
    """What a client of a generation says with a token."""
    ran = _run(
        front,
        [str(python(generation)), "-m", "tests.clients.token_operations", *REPOS],
        token,
        folder / (token or "nobody"),
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert not token or token not in ran.stdout
    return {line["asked"]: line["said"] for line in map(json.loads, ran.stdout.splitlines())}


def _run(front: Mirror, command: list[str], token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": front.url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    own |= {"NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DISABLE_TELEMETRY": "1"} | ({"HF_TOKEN": token} if token else {})
    return subprocess.run(command, cwd=ROOT, env=kept | own, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_client_reads_by_its_token_and_is_told_why_where_it_may_not(
    front: Mirror, generation: str, tmp_path: Path
) -> None:
    secret = {name: f"the secret of {name.replace('/', ' at ')}" for name in REPOS}
    developer = asked(front, generation, TOKENS["developers"], tmp_path)
    assert developer["whoami"] == "the-developers"
    assert [developer[name] for name in REPOS] == list(secret.values())
    assert {"pub/gatedone", "team/inner"} <= set(developer["list"])
    stranger = asked(front, generation, STRANGE, tmp_path)
    assert stranger["pub/plain"] == secret["pub/plain"]
    assert stranger["pub/gatedone"][0] == "RepositoryNotFoundError"
    assert ACCESS.contact in stranger["team/inner"][1]
    auditor = asked(front, generation, TOKENS["auditors"], tmp_path)
    assert auditor["info team/inner"] == "team/inner"
    assert auditor["team/inner"][0] == "GatedRepoError"
    assert "auditors" in auditor["team/inner"][1]
    assert "expired" in asked(front, generation, EXPIRED, tmp_path)["pub/plain"][1]
    nobody = asked(front, generation, "", tmp_path)
    assert (nobody["pub/plain"], nobody["list"]) == (secret["pub/plain"], ["pub/plain"])
    assert nobody["team/inner"][0] == "RepositoryNotFoundError"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_hf_auth_login_and_whoami_know_a_token(front: Mirror, generation: str, tmp_path: Path) -> None:
    hf = str(environment(generation) / "bin" / "hf")
    ran = _run(front, [hf, "auth", "whoami"], TOKENS["developers"], tmp_path)
    assert (ran.returncode, "the-developers" in ran.stdout) == (0, True), ran.stderr
    login = _run(front, [hf, "auth", "login", "--token", TOKENS["admins"]], "", tmp_path)
    assert login.returncode == 0, login.stderr
    again = _run(front, [hf, "auth", "whoami"], "", tmp_path)
    assert "the-admins" in again.stdout, again.stderr
