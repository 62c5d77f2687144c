"""A stand-in with a few repos, and the real client speaking to it."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi

from tests.standin import LFS, Generated, Hub
from tests.waiting import PATIENCE

WEIGHTS = Generated(3_000_000, seed=1)


@dataclass(frozen=True)
class Reply:
    """A plain HTTP answer, redirects not followed."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


Ask = Callable[..., Reply]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub with one model, one dataset, and nothing of its own gone wrong at the end."""
    with Hub() as standing:
        readme = "---\nlicense: apache-2.0\ntags: [demo]\n---\n# Tiny\n"
        weights = LFS(WEIGHTS)
        small = {"README.md": readme, "config.json": "{}", "sub/ü ber.txt": "hi"}
        standing.model("acme/tiny").commit({**small, "model.safetensors": weights}, title="First")
        standing.dataset("acme/rows", license=["mit", "cc0-1.0"]).commit({"data/train.parquet": LFS(b"PAR1")})
        yield standing
    assert not standing.crashes


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """The real client, anonymous."""
    return HfApi(endpoint=hub.url, token=False)


@pytest.fixture
def ask() -> Ask:
    """Ask one thing over a connection of its own."""

    def once(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            spelled = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, spelled)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    return once


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty download cache."""
    return tmp_path / "cache"
