"""Running fronts, and requests that reach them exactly as they are written."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mirror_sync.domain.access.reader_limits import UNLIMITED, ReaderLimits
from mirror_sync.domain.access.rights import AccessRules
from mirror_sync.domain.content.keys import USUAL, Caching
from mirror_sync.domain.doors.torrent_metainfo import PLAIN_TORRENTS, TorrentOptions
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.domain.outcome.replicas import ReplicaFront
from mirror_sync.front.hub.cors import ANY, Cors
from mirror_sync.front.misses.daemon_desk import DeskOptions
from mirror_sync.front.nginx.nginx_files import NginxOptions, write_nginx
from mirror_sync.front.serve.asgi import ServeOptions, always, make_app
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.ports.store import Store
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.s3.bucket_store import S3Store
from tests import waiting
from tests.requirements import need
from tests.servers.nginx import nginx
from tests.servers.ports import free_port

DOORS = frozenset({"oci", "images", "s3", "torrents"})  # as where front opens all of them
PUBLISHERS = frozenset({"vouched"})  # of kernels
OPENED = AccessRules(all_opened=True)  # as where all jobs say `readers: everyone`
REPLICAS = (ReplicaFront("far", "https://far.example.org/hub"), ReplicaFront("near", "http://near.example.org:8080"))
PATIENCE = waiting.PATIENCE  # seconds after which a change that never shows is a failure


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Message = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str | None]:
        return self.status, self.headers["X-Error-Code"]

    def header(self, name: str) -> str | None:
        value: str | None = self.headers[name]
        return value

    @property
    def next_page(self) -> str | None:
        """The path and query of the page that a Link header names."""
        link = re.fullmatch(r'<(.+)>; rel="next"', self.headers["Link"] or "")
        if link is None:
            return None
        parts = urlsplit(link[1])
        return f"{parts.path}?{parts.query}"


@dataclass(frozen=True)
class Mirror:
    """A running front, and the store that it reads."""

    url: str
    store: Store

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request on a connection of its own; `target` goes over the wire as it is."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask("GET", target, _dashed(headers))

    def head(self, target: str, **headers: str) -> Reply:
        return self.ask("HEAD", target, _dashed(headers))

    def listed(self, target: str) -> list[str]:
        """The paths of a listing, over all its pages."""
        return [entry["path"] for page in self.pages(target) for entry in page]

    def pages(self, target: str) -> list[list[dict[str, Any]]]:
        """The entries of a listing, page by page."""
        pages: list[list[dict[str, Any]]] = []
        page: str | None = target
        while page is not None:
            reply = self.get(page)
            assert reply.status == 200, reply
            pages.append(reply.json)
            page = reply.next_page
        return pages

    def get_until(self, target: str, wanted: bytes) -> None:
        """Ask until a change shows."""
        limit = time.monotonic() + PATIENCE
        while (got := self.get(target).body) != wanted:
            assert time.monotonic() < limit, f"{target} still answers {got[:200]!r}"
            time.sleep(0.1)


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def quoted(text: str) -> str:
    """As clients quote a revision or a path that is one part of a URL."""
    return quote(text, safe="")


@contextmanager
def by_serve(
    store: Store,
    refs_seconds: float = 0.2,
    public_url: str | None = None,
    *,
    site: bool = True,
    by_digest: bool = True,
    cors: Cors = ANY,
    access: AccessRules = OPENED,
    tokens: Path | None = None,
    limits: ReaderLimits = UNLIMITED,
    caching: Caching = USUAL,
    doors: frozenset[str] = DOORS,
    torrents: TorrentOptions = PLAIN_TORRENTS,
    desk: DeskOptions | None = None,
    replicas: tuple[ReplicaFront, ...] = (),
    restores: bool = False,
) -> Iterator[Mirror]:
    options = ServeOptions(
        public_url,
        site,
        by_digest,
        cors,
        access,
        tokens,
        limits=limits,
        caching=caching,
        doors=doors,
        kernel_publishers=PUBLISHERS,
        torrents=torrents,
        desk=desk,
        replicas=replicas,
        restores=restores,
    )
    app = make_app(store, options, refs_seconds=refs_seconds)
    with serving(app, headers=always(cors)) as url:
        yield Mirror(url, store)


@contextmanager
def by_nginx(
    store: Store, options: NginxOptions, folder: Path, change: Callable[[str], str] | None = None
) -> Iterator[Mirror]:
    """Real nginx on the configuration as it is written, on a free port; `change` makes another of its text.

    The folders of a test are for their owner only: where that is root, its workers are root's, unless the test says.
    Where images are given, a `serve` beside it puts their layers together.
    """
    port, owner = free_port(), "root" if os.geteuid() == 0 else None
    with ExitStack() as beside:
        if "images" in options.doors and options.layers is None:
            told = {"site": options.site, "by_digest": options.by_digest, "cors": options.cors, "doors": options.doors}
            shown = {"access": options.access, "tokens": options.tokens, "public_url": options.public_url}
            tiers = options.target.tiers
            cold = {"desk": options.desk, "restores": tiers is not None and tiers.restores}
            joins = beside.enter_context(by_serve(store, **told, **shown, **cold))  # type: ignore[arg-type]
            options = replace(options, layers=joins.url)
        configuration = write_nginx(folder, replace(options, port=port, user=options.user or owner))
        if change is not None:
            configuration.write_text(change(configuration.read_text(encoding="utf-8")), encoding="utf-8")
        with nginx(configuration, port) as running:
            yield Mirror(running.url, store)


def by_either(
    front: str,
    bucket: DirectoryTarget,
    folder: Path,
    *,
    site: bool = True,
    by_digest: bool = True,
    cors: Cors = ANY,
    access: AccessRules = OPENED,
    tokens: Path | None = None,
    public_url: str | None = None,
    doors: frozenset[str] = DOORS,
    torrents: TorrentOptions = PLAIN_TORRENTS,
) -> AbstractContextManager[Mirror]:
    """`front` is serve or nginx, over a directory."""
    store = DirectoryStore(bucket.root)
    if front == "serve":
        told = {"public_url": public_url, "site": site, "by_digest": by_digest}
        return by_serve(store, **told, cors=cors, access=access, tokens=tokens, doors=doors, torrents=torrents)  # type: ignore[arg-type]
    need("nginx")
    options = NginxOptions(
        bucket, public_url=public_url, site=site, by_digest=by_digest, cors=cors, kernel_publishers=PUBLISHERS
    )
    return by_nginx(store, replace(options, access=access, tokens=tokens, doors=doors, torrents=torrents), folder)


def s3_store(bucket: S3Target) -> S3Store:
    """The store that writes to the bucket that a front reads."""
    return S3Store(replace(bucket, addressing="path"))
