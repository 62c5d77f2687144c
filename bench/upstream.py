"""The Hub that everybody reads from: the stand-in's answers, an edge that keeps them, and nginx as its CDN.

As with the real Hub, the work of answering is not to fall on the machine that mirrors: the first answer of the
stand-in to a resolve call (a redirect to the CDN, or a small file) is kept by nginx and given to all from then on.
Lists and metadata come from the stand-in each time, and it counts them.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.content import Repo
from bench.places import ROOT
from tests.servers.child import ServerError, child
from tests.servers.nginx import nginx
from tests.servers.ports import LOOPBACK, free_ports

CONFIGURATION = """
worker_processes auto;
pid {work}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests 1000000;
    open_file_cache max=20000 inactive=10m;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    proxy_cache_path {work}/cache levels=2:2 keys_zone=hub:16m max_size=1g inactive=1d use_temp_path=off;
    upstream standin {{ server {host}:{standin}; keepalive 64; }}
    server {{
        listen {host}:{cdn};
        root {files};
        default_type application/octet-stream;
        location /plain/ {{ autoindex on; autoindex_exact_size on; }}
        location = /requests {{ stub_status; }}
    }}
    server {{
        listen {host}:{edge};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        # builds of before send two, which the stand-in refuses
        proxy_set_header User-Agent $http_user_agent;
        location ~ /resolve(-cache)?/ {{
            proxy_cache hub;
            proxy_cache_key $uri;
            proxy_cache_valid 200 302 307 1d;
            proxy_pass http://standin;
        }}
        location / {{ proxy_pass http://standin; }}
    }}
}}
"""


@dataclass(frozen=True)
class StandIn:
    """A stand-in Hub in a process of its own."""

    url: str

    def do(self, command: str, **words: Any) -> Any:
        """Steer it; see `tests.standin.control`. Raises HTTPError when it does not know the words."""
        body = json.dumps({"do": command, **words}).encode()
        request = urllib.request.Request(f"{self.url}/__control__", data=body)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def forget(self) -> None:
        """Forget what was asked so far."""
        self.do("clear")

    def asked(self) -> list[str]:
        """Return what was asked since, as ``"GET /path"``."""
        return [f"{one['method']} {one['path']}" for one in self.do("log")]


@dataclass(frozen=True)
class Upstream:
    """Where a repo is offered."""

    repo: Repo
    hub: str
    """The Hub's URL."""
    listing: str
    """The URL of a listing of the repo's plain files, on the CDN."""
    standin: StandIn

    def calls(self) -> int:
        """How many requests the Hub's edge and the CDN were asked since their start, this question among them.

        What the edge asks the stand-in is not counted.
        """
        with urllib.request.urlopen(self.listing.replace("/plain/", "/requests"), timeout=10) as answer:
            return int(answer.read().split()[9])

    @property
    def repo_id(self) -> str:
        """The repo's id on the Hub."""
        return f"bench/{self.repo.name}"


@contextmanager
def stand_in(log: Path, words: Sequence[str] = (), port: int = 0) -> Iterator[StandIn]:
    """Run a stand-in Hub, for as long as the block lasts. Raises ServerError when it does not start."""
    command = [sys.executable, "-m", "tests.standin", "--steerable", "--port", str(port), *words]
    with child(command, log, {"PYTHONPATH": str(ROOT)}) as running:
        running.wait_until(lambda: "\n" in log.read_text(), 120)
        yield StandIn(log.read_text().split()[1])


@contextmanager
def upstream(repo: Repo, work: Path) -> Iterator[Upstream]:
    """Offer a repo, for as long as the block lasts; logs and the edge's memory go to the empty folder `work`.

    Raises ServerError when a part of it does not start.
    """
    standin, cdn, edge = free_ports(3)
    configuration = work / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(work=work, host=LOOPBACK, standin=standin, cdn=cdn, edge=edge, files=repo.root)
    )
    # Another name than the Hub's: some clients take two ports of one host for the same origin.
    offered = ["--cdn-url", f"http://localhost:{cdn}", "--folder", f"bench/{repo.name}={repo.plain},license=mit"]
    with ExitStack() as running:
        hub = running.enter_context(stand_in(work / "standin.log", offered, standin))
        running.enter_context(nginx(configuration, edge))
        found = Upstream(repo, f"http://{LOOPBACK}:{edge}", f"http://{LOOPBACK}:{cdn}/plain/", hub)
        _warm(found)
        yield found


def _warm(offered: Upstream) -> None:
    """Asks for everything once, so that nobody waits for the stand-in."""
    commit = _head(offered)

    def ask(path: str) -> None:
        place = f"{offered.hub}/{offered.repo_id}/resolve/{commit}/{quote(path)}"
        with _NOT_FURTHER.open(place, timeout=60) as answer:
            if answer.status >= 400:
                raise ServerError(f"{place} answers {answer.status}")
            answer.read()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, offered.repo.files))


def _head(offered: Upstream) -> str:
    with urllib.request.urlopen(f"{offered.hub}/api/models/{offered.repo_id}", timeout=120) as answer:
        return str(json.load(answer)["sha"])


class _Stay(urllib.request.HTTPErrorProcessor):
    """Takes a redirect as the answer."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response

    https_response = http_response


_NOT_FURTHER = urllib.request.build_opener(_Stay)
