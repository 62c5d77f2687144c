"""A run is a trace that a collector can read; nobody pays for it who has not asked, nor waits for one that is gone."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program
from tests.servers.ports import LOOPBACK, free_port
from tests.standin import LFS, Hub, faults

WEIGHTS = b"w" * 2000
_ERROR = 2  # trace.proto: Status.StatusCode


class Collector:
    """Takes OTLP over HTTP, and decodes it as opentelemetry-proto has it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.paths: set[str] = set()

    def take(self, path: str, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.paths.add(path)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(names["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def collector() -> Iterator[tuple[Collector, str]]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding", "")
            body = gzip.decompress(body) if packed == "gzip" else zlib.decompress(body) if packed else body
            found.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found, f"http://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def program(folder: Path, hub: Hub, endpoint: str | None) -> Program:
    document = {
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"disk": {"url": str(folder / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "models", "repos": ["acme/one", "dataset:acme/two", "acme/none"]}],
        **({} if endpoint is None else {"traces": {"endpoint": endpoint}}),
    }
    made = Program(folder)
    made.write(json.dumps(document))
    hub.model("acme/one", license="mit").commit({"weights.bin": LFS(WEIGHTS), "README.md": b"---\nlicense: mit\n---\n"})
    hub.dataset("acme/two", license="mit").commit({"data.bin": LFS(WEIGHTS + b"2")})
    return made


def told(span: Any) -> dict[str, Any]:
    return {
        one.key.removeprefix("mirror_sync."): getattr(one.value, one.value.WhichOneof("value"))
        for one in span.attributes
    }


def test_a_run_is_one_trace_with_its_repos_and_their_files(hub: Hub, tmp_path: Path) -> None:
    with collector() as (found, url):
        made = program(tmp_path, hub, url)
        assert made("sync").code == 1, "one repo is not there"
        assert made("status").code in (0, 1)
    assert (found.services, found.paths) == ({"mirror-sync"}, {"/v1/traces"})
    [run] = found.named("run")
    assert len({span.trace_id for span in found.spans}) == 1
    assert (run.parent_span_id, run.status.code, told(run)["jobs"]) == (b"", _ERROR, "models")
    repos = {told(span)["repo"]: span for span in found.named("repo")}
    assert set(repos) == {"acme/one", "dataset:acme/two", "acme/none"}
    assert {span.parent_span_id for span in repos.values()} == {run.span_id}
    one = told(repos["acme/one"])
    assert (one["outcome"], one["job"], one["revision"], one["fetched_files"]) == ("published", "models", "main", 2)
    gone = repos["acme/none"]
    assert (told(gone)["outcome"], told(gone)["code"], gone.status.code) == ("failed", "not-found-or-private", _ERROR)
    files = {(told(span)["repo"], told(span)["path"]): span for span in found.named("file")}
    assert set(files) == {("acme/one", "weights.bin"), ("acme/one", "README.md"), ("dataset:acme/two", "data.bin")}
    for (repo, _), span in files.items():
        assert span.parent_span_id == repos[repo].span_id
        assert told(span)["stored"] is True
        assert run.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert told(files["acme/one", "weights.bin"])["bytes"] == len(WEIGHTS)


def test_a_collector_that_is_gone_changes_nothing_of_a_run(hub: Hub, tmp_path: Path) -> None:
    made = program(tmp_path, hub, f"http://{LOOPBACK}:{free_port()}")
    hub.faults.add(faults.refuse(), "/api/models/acme/none*")
    ended = made("sync", "--json")
    assert json.loads(ended.out)["repos"][0]["outcome"] == "published"
    assert "Traceback" not in ended.err


def test_without_the_library_a_run_says_what_to_install(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
    made = program(tmp_path, hub, "http://127.0.0.1:4318")
    ended = made("sync", PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert ended.code == 2
    assert "pip install 'mirror-sync[otel]'" in ended.err
