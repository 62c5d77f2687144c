"""Unmodified clients of three generations read by their tokens what these may read, and are told why where not.

Each front is asked as it is, and below a path of a server that speaks TLS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import GENERATIONS, ROOT, environment, python
from tests.front.guarded import ACCESS, EXPIRED, STRANGE, TOKENS, Guarded, write_tokens
from tests.front.mirrors import Mirror, by_either
from tests.requirements import need
from tests.servers.certificates import Authority, Certificate
from tests.servers.nginx import around, nginx
from tests.servers.ports import free_port

REPOS = ("pub/plain", "pub/gatedone", "team/inner")


MANUAL = ROOT / "docs/guide/configuration.md"
NAMES = ["README.md", "data", "data/part.bin"]


@dataclass(frozen=True)
class Front:
    """What users set HF_ENDPOINT to, and whom they have to trust for it."""

    url: str
    trusted: Path | None = None


@pytest.fixture(
    scope="module", params=[(front, way) for way in ("plain", "below") for front in ("serve", "nginx")], ids="-".join
)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    kind, way = request.param
    folder = tmp_path_factory.mktemp("tokens")
    target = DirectoryTarget(folder / "bucket")
    target.root.mkdir()
    Guarded.filled(DirectoryStore(target.root))
    tokens, port = write_tokens(folder / "tokens.yaml"), free_port()
    url = f"https://localhost:{port}/hf" if way == "below" else None
    with ExitStack() as running:
        options = {"access": ACCESS, "tokens": tokens, "public_url": url}
        inner = running.enter_context(by_either(kind, target, folder / "front", **options))  # type: ignore[arg-type]
        if url is None:
            yield Front(inner.url)
        else:
            need("nginx")
            authority = Authority(folder)
            server = _below(authority.certify("localhost"), port, inner)
            running.enter_context(nginx(around(server, folder), port))
            yield Front(url, authority.file)


def _below(mine: Certificate, port: int, inner: Mirror) -> str:
    """A server that ends TLS, and gives the front what lies below a path, as it is printed in the manual."""
    [location] = re.findall(r"```nginx\n(location /hf/.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    own = f"listen 127.0.0.1:{port} ssl; ssl_certificate {mine.chain}; ssl_certificate_key {mine.key};"
    return f"server {{ {own}\n{location.replace('http://127.0.0.1:8080', inner.url)} }}"


def asked(front: Front, generation: str, token: str, folder: Path) -> dict[str, Any]:
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


def _run(front: Front, command: list[str], token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": front.url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    own |= {"NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DISABLE_TELEMETRY": "1"} | ({"HF_TOKEN": token} if token else {})
    own |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(front.trusted)) if front.trusted else {}
    return subprocess.run(command, cwd=ROOT, env=kept | own, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_client_reads_by_its_token_and_is_told_why_where_it_may_not(
    front: Front, generation: str, tmp_path: Path
) -> None:
    secret = {name: f"the secret of {name.replace('/', ' at ')}" for name in REPOS}
    developer = asked(front, generation, TOKENS["developers"], tmp_path)
    assert developer["whoami"] == "the-developers"
    assert [developer[name] for name in REPOS] == list(secret.values())
    assert [developer[f"snapshot {name}"] for name in REPOS] == [NAMES] * len(REPOS)
    assert {"pub/gatedone", "team/inner"} <= set(developer["list"])
    stranger = asked(front, generation, STRANGE, tmp_path)
    assert stranger["pub/plain"] == secret["pub/plain"]
    assert stranger["pub/gatedone"][0] == "RepositoryNotFoundError"
    assert ACCESS.contact in stranger["team/inner"][1]
    auditor = asked(front, generation, TOKENS["auditors"], tmp_path)
    assert auditor["info team/inner"] == "team/inner"
    assert auditor["team/inner"][0] == auditor["snapshot team/inner"][0] == "GatedRepoError"
    assert "auditors" in auditor["team/inner"][1]
    assert "expired" in asked(front, generation, EXPIRED, tmp_path)["pub/plain"][1]
    nobody = asked(front, generation, "", tmp_path)
    assert (nobody["pub/plain"], nobody["list"]) == (secret["pub/plain"], ["pub/plain"])
    assert nobody["team/inner"][0] == "RepositoryNotFoundError"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_hf_auth_login_and_whoami_know_a_token(front: Front, generation: str, tmp_path: Path) -> None:
    hf = str(environment(generation) / "bin" / "hf")
    ran = _run(front, [hf, "auth", "whoami"], TOKENS["developers"], tmp_path)
    assert (ran.returncode, "the-developers" in ran.stdout) == (0, True), ran.stderr
    login = _run(front, [hf, "auth", "login", "--token", TOKENS["admins"]], "", tmp_path)
    assert login.returncode == 0, login.stderr
    again = _run(front, [hf, "auth", "whoami"], "", tmp_path)
    assert "the-admins" in again.stdout, again.stderr
