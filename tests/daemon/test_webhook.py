"""Webhooks of the Hub start syncs; whoever does not know the secret, or says nonsense, starts nothing."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter
from starlette.applications import Starlette

from mirror_sync.daemon.requests import RequestState, Started
from mirror_sync.daemon.webhook import MOST, TokenBucket, webhook_route
from mirror_sync.domain.repo import Repo
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.observe.metrics.metrics import WEBHOOKS, Metrics
from tests.daemon.living import living, write_jobs
from tests.requirements import need
from tests.servers.nginx import around, nginx
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

SECRET = "whsec-1234"
MANUAL = Path(__file__).parents[2] / "docs/guide/operating.md"


def payload(repo: str = "acme/one", scope: str = "repo.content", kind: str = "model", **more: Any) -> bytes:
    """As the Hub's documentation shows one."""
    document = {
        "event": {"action": "update", "scope": scope},
        "repo": {"type": kind, "name": repo, "id": "6366c000", "private": False, "headSha": "c379e821"},
        "webhook": {"id": "6390e855", "version": 3},
        **more,
    }
    return json.dumps(document).encode()


def post(url: str, body: bytes, secret: str | None = SECRET) -> tuple[int, dict[str, Any]]:
    headers = {} if secret is None else {"X-Webhook-Secret": secret}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/webhook", body, headers), timeout=PATIENCE
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


@dataclass
class Asked:
    """A daemon of one job, which names acme/one and follows main."""

    url: str
    counter: Counter
    came: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    state: RequestState = RequestState.STARTED

    def __call__(self, repo: Repo, revisions: Collection[str] = ()) -> tuple[Started, ...]:
        self.came.append((str(repo), frozenset(revisions)))
        wanted = str(repo) == "acme/one" and (not revisions or "main" in revisions)
        return (Started("job", str(repo), self.state),) if wanted else ()

    @property
    def counted(self) -> dict[str, float]:
        samples = [sample for family in self.counter.collect() for sample in family.samples]
        return {sample.labels["outcome"]: sample.value for sample in samples if sample.value}


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked("", Metrics().webhooks)
    bucket = TokenBucket(rate=0, burst=5)
    with serving(Starlette(routes=[webhook_route(SECRET, asked, asked.counter, bucket)])) as url:
        asked.url = url
        yield asked
    assert set(asked.counted) <= set(WEBHOOKS)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(RequestState.STARTED, "started"), (RequestState.WAITS, "started"), (RequestState.MERGED, "merged")],
)
def test_a_change_of_a_repo_starts_a_sync_of_it(asked: Asked, state: RequestState, outcome: str) -> None:
    asked.state = state
    refs = [{"ref": "refs/heads/main", "oldSha": "ce9a46", "newSha": None}]
    status, answer = post(asked.url, payload(updatedRefs=refs))
    assert (status, answer) == (202, {"begun": [{"job": "job", "repo": "acme/one", "state": state}]})
    assert asked.came == [("acme/one", frozenset({"refs/heads/main", "main"}))]
    assert asked.counted == {outcome: 1}


def test_the_manuals_proxy_lets_the_hub_reach_the_webhook_and_nothing_else(asked: Asked, tmp_path: Path) -> None:
    need("nginx")
    port, [printed] = free_port(), re.findall(r"```nginx\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    assert "http://127.0.0.1:9108;" in printed
    place = printed.replace("http://127.0.0.1:9108", asked.url)
    server = f"server {{ listen 127.0.0.1:{port}; root {tmp_path}/none; {place} }}"
    with nginx(around(server, tmp_path), port) as proxy:
        assert post(proxy.url, payload())[0] == 202
        assert post(proxy.url, payload(), "another")[0] == 401
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{proxy.url}/metrics", timeout=PATIENCE)
    assert asked.came == [("acme/one", frozenset())]


@pytest.mark.parametrize("scope", ["repo", "repo.config", "repo.config.dois", "repo.content"])
def test_scopes_below_repo_count_as_repo(asked: Asked, scope: str) -> None:
    assert post(asked.url, payload(scope=scope))[0] == 202


@pytest.mark.parametrize(
    "body",
    [
        payload("acme/two"),
        payload(kind="space"),
        payload(kind="dataset"),
        payload(scope="discussion.comment"),
        payload(updatedRefs=[{"ref": "refs/pr/1", "oldSha": None, "newSha": "575db8"}]),
    ],
)
def test_what_no_job_wants_is_ignored_and_no_error(asked: Asked, body: bytes) -> None:
    status, answer = post(asked.url, body)
    assert (status, list(answer)) == (200, ["ignored"])
    assert asked.counted == {"ignored": 1}


def test_a_job_that_is_paused_is_not_started(asked: Asked) -> None:
    asked.state = RequestState.PAUSED
    assert post(asked.url, payload()) == (200, {"ignored": "of all jobs that name acme/one: paused"})


@pytest.mark.parametrize("secret", [None, "", "whsec-123", "whsec-12345", "WHSEC-1234", "\xfc"])
def test_another_secret_starts_nothing(asked: Asked, secret: str | None) -> None:
    assert post(asked.url, payload(), secret)[0] == 401
    assert (asked.came, asked.counted) == ([], {"refused": 1})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
        (payload("../etc"), 400),
        (payload("a" * 200), 400),
        (payload(updatedRefs="main"), 400),
        (payload(more="x" * MOST), 413),
    ],
)
def test_what_is_no_payload_starts_nothing(asked: Asked, body: bytes, status: int) -> None:
    assert post(asked.url, body)[0] == status
    assert asked.came == []


def test_only_so_many_are_let_through(asked: Asked) -> None:
    assert [post(asked.url, payload())[0] for _ in range(7)] == [202] * 5 + [429] * 2
    assert asked.counted == {"started": 5, "refused": 2}


def test_who_does_not_know_the_secret_spends_nothing_of_what_the_hub_may_send(asked: Asked) -> None:
    strangers = [post(asked.url, payload(), secret="guessed")[0] for _ in range(80)]
    assert set(strangers) == {401, 429}
    assert [post(asked.url, payload())[0] for _ in range(6)] == [202] * 5 + [429]


def test_the_bucket_fills_again_with_time() -> None:
    now = 0.0
    bucket = TokenBucket(rate=2, burst=1, clock=lambda: now)
    assert [bucket.take(), bucket.take()] == [True, False]
    now = 0.5
    assert [bucket.take(), bucket.take()] == [True, False]


def test_a_daemon_publishes_what_a_webhook_tells_it_of(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, "name: yearly, schedule: {cron: '0 3 1 1 *'}", listen=f"127.0.0.1:{port}")
    config = path.read_text(encoding="utf-8")
    path.write_text(config.replace("http: {", "http: {webhook_secret: '${HOOK}', "), encoding="utf-8")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], tmp_path, HOOK=SECRET) as daemon:
        daemon.until_logged("event=daemon.started")
        assert post(f"http://127.0.0.1:{port}", payload())[0] == 202
        daemon.until_logged("event=repo.published job=yearly repo=acme/one@main")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert SECRET not in daemon.log


def test_without_a_secret_there_is_no_such_path(tmp_path: Path) -> None:
    port = free_port()
    path = write_jobs(tmp_path, "name: yearly, schedule: {cron: '0 3 1 1 *'}", listen=f"127.0.0.1:{port}")
    with living(["-m", "mirror_sync", "-c", str(path), "daemon"], tmp_path) as daemon:
        daemon.until_logged("event=daemon.started")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/webhook", payload(), {"X-Webhook-Secret": ""})
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request, timeout=PATIENCE)
