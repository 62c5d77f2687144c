"""Both fronts give what lies in a cold tier as if it were warm, or say when to ask again, and have it brought back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette

from mirror_sync.config.load import load
from mirror_sync.daemon.misses import MissDesk, miss_route
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target, Tiers
from mirror_sync.domain.repo import Repo
from mirror_sync.front.misses.daemon_desk import DeskOptions
from mirror_sync.front.misses.missed import COLD
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.wiring.adapters import OpenedTiers, open_tiers
from tests.front.bucket import Published, etag, model
from tests.front.mirrors import DOORS, OPENED, Mirror, by_nginx, by_serve
from tests.requirements import need
from tests.waiting import until

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

SECRET = "front-secret-1234"
BODY = bytes(range(256)) * 4000  # in slices where a bucket is before it
JSON = b'{"' + b"a" * 200_000 + b'":1}'


@dataclass
class Thawed:
    """What a daemon has of a mirror, for questions of fronts; `asked` counts what it was made to bring."""

    opened: OpenedTiers
    tiers: Tiers
    asked: list[Repo] = field(default_factory=list)

    def is_cold(self, _target: str, digest: Sha256) -> bool:
        assert self.opened.tiering is not None
        return self.opened.tiering.is_cold(blob_key(digest))

    def thaw(self, _target: str, repo: Repo) -> None:
        self.asked.append(repo)
        for body in (BODY, JSON):
            stat = self.opened.store.stat(blob_key(Sha256.of(body)))
            assert stat is not None
            assert self.opened.tiering is not None
            self.opened.tiering.warm(stat, lambda: None)


@contextmanager
def asking(folder: Path, target: Target, opened: OpenedTiers) -> Iterator[tuple[DeskOptions, Thawed]]:
    """A daemon that fronts ask about a target."""
    path = folder / "jobs.yaml"
    path.write_text(
        f"{{version: 1, state_dir: {folder}/state, upstreams: {{up: {{kind: directory, url: {folder}/up}}}}, "
        f"targets: {{disk: {{url: {folder}/x}}}}, licenses: {{allow: [mit]}}, jobs: [{{name: a, repos: [acme/a]}}]}}"
    )
    path.chmod(0o600)
    settings = replace(load(path, {}), targets={"disk": target})
    assert target.tiers is not None
    mirror, desk = Thawed(opened, target.tiers), MissDesk(lambda target, repo: (), Metrics().misses)
    desk.take(settings, mirror)  # type: ignore[arg-type]  # of a mirror it asks these two
    with serving(Starlette(routes=[miss_route(SECRET, desk)])) as url:
        parts = urlsplit(url)
        yield DeskOptions("404", "disk", parts.hostname or "", parts.port or 0, SECRET), mirror


def front(
    kind: str, target: Target, opened: OpenedTiers, folder: Path, desk: DeskOptions | None = None
) -> AbstractContextManager[Mirror]:
    if kind == "serve":
        return by_serve(opened.store, desk=desk, restores=target.tiers is not None and target.tiers.restores)
    need("nginx")
    told = NginxOptions(target, by_digest=True, access=OPENED, doors=DOORS, desk=desk)
    return by_nginx(opened.store, told, folder / "nginx")


def tiered(main: Target, **said: Any) -> tuple[Target, OpenedTiers]:
    target = replace(main, tiers=Tiers(timedelta(days=30), ("log",), **said))
    return target, open_tiers(target)


def cold(opened: OpenedTiers) -> Published:
    """A repo with two files, both of them cold."""
    published = model(opened.store)
    published.publish({"big.bin": BODY, "data.json": JSON, "small.txt": b"small"}, registry=True)
    assert opened.tiering is not None
    for body in (BODY, JSON):
        stat = opened.store.stat(blob_key(Sha256.of(body)))
        assert stat is not None
        opened.tiering.chill(stat, lambda: None)
        assert opened.tiering.is_cold(stat.key)
    return published


def bucket(request: pytest.FixtureRequest) -> S3Target:
    server: S3Server = request.getfixturevalue("moto")
    return server.target()


def place(kind: str, folder: Path, name: str, request: pytest.FixtureRequest) -> Target:
    return DirectoryTarget(folder / name) if kind == "folder" else bucket(request)


@pytest.mark.parametrize("kind", ["serve", "nginx"])
@pytest.mark.parametrize("warm", ["folder", "bucket"])
def test_what_lies_in_a_cold_folder_is_given_as_ever_by_all_doors(
    kind: str, warm: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target, opened = tiered(place(warm, tmp_path, "main", request), at=DirectoryTarget(tmp_path / "cold"))
    published = cold(opened)
    commit = next(iter(published.refs.snapshots))
    digest = Sha256.of(BODY)
    with front(kind, target, opened, tmp_path) as mirror:
        for revision in ("main", commit, commit):  # the last without the script
            got = mirror.get(f"{published.at}/resolve/{revision}/big.bin")
            assert (got.status, got.body) == (200, BODY)
            assert (got.header("ETag"), got.header("X-Repo-Commit")) == (etag(BODY), commit)
            assert (got.header("Content-Type"), got.header("Last-Modified")) == ("application/octet-stream", None)
            part = mirror.get(f"{published.at}/resolve/{revision}/big.bin", Range="bytes=1000000-1000009")
            assert (part.status, part.body) == (206, BODY[1_000_000:1_000_010])
            assert part.header("Content-Range") == f"bytes 1000000-1000009/{len(BODY)}"
            beyond = mirror.get(f"{published.at}/resolve/{revision}/big.bin", Range="bytes=9999999-")
            assert (beyond.status, beyond.header("Content-Range")) == (416, f"bytes */{len(BODY)}")
            text = mirror.get(f"{published.at}/resolve/{revision}/data.json")
            assert (text.body, (text.header("Content-Type") or "").partition(";")[0]) == (JSON, "application/json")
        assert mirror.head(f"{published.at}/resolve/{commit}/big.bin").header("Content-Length") == str(len(BODY))
        assert mirror.get(f"/blobs/sha256/{digest[:2]}/{digest}").body == BODY
        layer = mirror.get(f"/v2/{published.repo.id.lower()}/blobs/sha256:{digest}")
        assert (layer.status, layer.body, layer.header("Docker-Content-Digest")) == (200, BODY, f"sha256:{digest}")
        marked = {"X-Amz-Date": "20260101T000000Z", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
        for more in ({}, {"If-Match": f'"{digest}-1"'}):
            s3 = mirror.ask("GET", f"/models/{published.repo.id}/main/big.bin", {**marked, **more})
            assert (s3.status, s3.body == BODY, s3.header("ETag")) == (200, True, f'"{digest}-1"'), (more, s3)
        (tmp_path / "cold" / blob_key(digest)).unlink()  # in neither: that is damage, and no wait
        assert mirror.get(f"{published.at}/resolve/main/big.bin").status == 502
        assert mirror.get(f"{published.at}/resolve/main/small.txt").body == b"small"


@pytest.mark.parametrize("kind", ["serve", "nginx"])
@pytest.mark.parametrize("how", ["GLACIER", "far"])
def test_who_asks_for_what_is_not_given_at_once_is_told_when_and_it_is_brought_back(
    kind: str, how: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    far = bucket(request)
    where = {"at": far} if how == "far" else {"storage_class": how}
    target, opened = tiered(DirectoryTarget(tmp_path / "main") if how == "far" else far, **where)
    published = cold(opened)
    file = f"{published.at}/resolve/{next(iter(published.refs.snapshots))}/big.bin"
    with asking(tmp_path, target, opened) as (desk, daemon), front(kind, target, opened, tmp_path, desk) as mirror:
        assert mirror.head(file).status == 200
        if how == "far" and kind == "serve":  # it reads both places itself
            assert mirror.get(file).body == BODY
            return
        first = mirror.get(file)
        assert (first.status, COLD in first.json["error"]) == (503, True)
        assert int(first.header("Retry-After") or 0) >= 60
        until(lambda: mirror.get(file).status == 200)
        assert mirror.get(file).body == BODY
        assert daemon.asked == [published.repo]
        if how == "far":
            key = blob_key(Sha256.of(JSON))  # which no worker has opened
            assert opened.tiering is not None
            until((tmp_path / "main" / key).exists)
            (tmp_path / "main" / key).unlink()
            far_store = open_tiers(far).store
            far_store.delete([key])
            assert mirror.get(file.replace("big.bin", "data.json")).status == 502, "in neither: that is damage"


@pytest.mark.parametrize("kind", ["serve", "nginx"])
def test_a_layer_of_an_image_of_which_a_file_is_to_be_restored_is_refused_before_its_first_byte(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target, opened = tiered(bucket(request), storage_class="GLACIER")
    published = cold(opened)
    at = f"/v2/{published.repo.id.lower()}"
    with asking(tmp_path, target, opened) as (desk, daemon), front(kind, target, opened, tmp_path, desk) as mirror:
        index = mirror.get(f"{at}/manifests/latest-image").json
        (layer,) = mirror.get(f"{at}/manifests/{index['manifests'][0]['digest']}").json["layers"]
        blob = f"{at}/blobs/{layer['digest']}"
        assert mirror.head(blob).status == 200
        refused = mirror.get(blob)
        assert (refused.status, refused.header("Retry-After")) == (503, "3600")
        assert COLD in refused.json["errors"][0]["message"]
        until(lambda: mirror.get(blob).status == 200)
        assert f"sha256:{Sha256.of(mirror.get(blob).body)}" == layer["digest"]
        assert [one.id for one in daemon.asked] == [published.repo.id.lower()]


@pytest.mark.parametrize("kind", ["serve", "nginx"])
def test_without_a_daemon_a_reader_is_told_whom_to_ask(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target, opened = tiered(bucket(request), storage_class="GLACIER")
    published = cold(opened)
    with front(kind, target, opened, tmp_path) as mirror:
        got = mirror.get(f"{published.at}/resolve/main/big.bin")
        assert (got.status, got.header("Retry-After")) == (503, "3600")
        assert got.json["error"] == f"{COLD}; ask whoever runs this mirror to have it brought back"


def test_nothing_is_restored_by_a_reader_where_that_is_a_persons_to_do(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target, opened = tiered(bucket(request), storage_class="GLACIER", warm_back=False)
    published = cold(opened)
    with asking(tmp_path, target, opened) as (desk, daemon), front("serve", target, opened, tmp_path, desk) as mirror:
        got = mirror.get(f"{published.at}/resolve/main/big.bin")
        assert (got.status, daemon.asked) == (503, [])
        assert "ask whoever runs this mirror" in got.json["error"]
