"""The server that the manual puts before the front, for TLS 1.3 and HTTP/2, as it is printed there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.curl import Reply, curl
from tests.clients.environments import python
from tests.clients.mirror import Synced, serving
from tests.clients.repos import MANY, MODEL
from tests.clients.truth import RepoTruth
from tests.requirements import need
from tests.servers.certificates import Authority, Certificate
from tests.servers.nginx import around, nginx
from tests.servers.ports import free_port
from tests.waiting import until

MANUAL = Path(__file__).parents[2] / "docs/README.md"
HOST = "models.example.org"


@dataclass(frozen=True)
class Tls:
    """The mirror behind TLS."""

    port: int
    authority: Path
    front_log: Path
    """The access log of the front."""
    model: RepoTruth

    def ask(self, path: str, *options: str, folder: Path) -> Reply:
        known = ("--resolve", f"{HOST}:{self.port}:127.0.0.1", "--cacert", str(self.authority))
        return curl(f"https://{HOST}:{self.port}{path}", *known, *options, folder=folder)


def printed() -> str:
    """The recipe."""
    section = MANUAL.read_text(encoding="utf-8").partition("## nginx, TLS")[2].partition("\n## ")[0]
    [recipe] = re.findall(r"```nginx\n(.*?)```", section, re.DOTALL)
    return str(recipe)


def placed(recipe: str, port: int, front: str, mine: Certificate) -> str:
    """The recipe with the places of this test in place of the manual's, and nothing else of it changed."""
    for theirs, ours in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("http://127.0.0.1:8080;", f"{front};"),
        ("/etc/ssl/models.pem;", f"{mine.chain};"),
        ("/etc/ssl/models.key;", f"{mine.key};"),
    ):
        assert theirs in recipe
        recipe = recipe.replace(theirs, ours, 1)
    return recipe


@pytest.fixture(scope="module")
def tls(synced_directory: Synced, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """The generated front is told nothing of its address: it believes who asks."""
    need("nginx", "curl")
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    authority = Authority(folder)
    with serving(synced_directory, "nginx") as mirror:
        server = placed(printed(), port, mirror.url, authority.certify(HOST, "localhost"))
        front = synced_directory.folder / f"jobs-{urlsplit(mirror.url).port}.nginx"
        with nginx(around(server, folder), port):
            yield Tls(port, authority.file, front / "logs/access.log", synced_directory.truth.model)


def test_curl_speaks_http2_over_tls_1_3_and_nothing_older(tls: Tls, tmp_path: Path) -> None:
    path = f"/{MODEL}/resolve/main/config.json"
    reply = tls.ask(path, "--http2", "--tlsv1.3", folder=tmp_path)
    assert (reply.protocol, reply.status) == ("HTTP/2", 200)
    assert len(reply.body) == tls.model.files["config.json"].size
    assert tls.ask(path, "--http1.1", folder=tmp_path).protocol == "HTTP/1.1"
    with pytest.raises(AssertionError, match="alert"):
        tls.ask(path, "--tls-max", "1.2", folder=tmp_path)


def test_redirects_and_links_lead_back_to_https(tls: Tls, tmp_path: Path) -> None:
    moved = tls.ask(f"/{MODEL}/resolve/main/config.json", "--head", folder=tmp_path)
    assert (moved.status, urlsplit(moved.headers["Location"]).scheme) == (307, "")
    followed = tls.ask(f"/{MODEL}/resolve/main/config.json", "--head", "--location", folder=tmp_path)
    assert (followed.protocol, followed.status) == ("HTTP/2", 200)
    listed = tls.ask(f"/api/models/{MANY}/tree/main?recursive=true", folder=tmp_path)
    assert listed.headers["Link"].startswith(f"<https://{HOST}:{tls.port}/api/models/{MANY}/tree/")


def test_the_front_logs_the_client_and_not_the_server_before_it(tls: Tls, tmp_path: Path) -> None:
    tls.ask(f"/{MODEL}/resolve/main/notes.txt", "--interface", "127.0.0.2", folder=tmp_path)

    def clients() -> list[str]:
        lines = [json.loads(line) for line in tls.front_log.read_text(encoding="utf-8").splitlines()]
        return [line["client"] for line in lines if line["uri"].endswith("/notes.txt")]

    until(lambda: bool(clients()))
    assert clients() == ["127.0.0.2"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("generation", "name"),
    [("hub-2", "SSL_CERT_FILE"), ("hub-1", "SSL_CERT_FILE"), ("hub-0", "REQUESTS_CA_BUNDLE")],
)
def test_a_client_that_trusts_the_authority_downloads_all(tls: Tls, tmp_path: Path, generation: str, name: str) -> None:
    program = f"from huggingface_hub import snapshot_download as get; print(get('{MODEL}')); print(get('{MANY}'))"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))},
        "HF_ENDPOINT": f"https://localhost:{tls.port}",
        "HF_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1,localhost",
        name: str(tls.authority),
    }
    command: list[str | Path] = [python(generation), "-c", program]
    got = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert got.returncode == 0, got.stderr[-3000:]
    model, many = map(Path, got.stdout.split())
    for path, truth in tls.model.files.items():
        truth.check(model / path)
    assert len(list(many.rglob("*"))) > 1000
