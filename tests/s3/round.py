"""The whole round of a mirror on one bucket, through the program: each step is done, and said how it ended."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.bucket import S3Server
from tests.servers.child import ServerError, child
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.standin import LFS, Hub

REPO = "acme/one"
MIB = 1024 * 1024
LARGE = 40 * MIB
"""Bytes of the file that comes in parts: more than one part."""
STEPS = ("sync", "verify", "sync again", "new commit", "prune", "serve")
SETTLED = ("-m", "tests.cli.hasty")  # a prune here need not wait for other machines
_TOP = Path(__file__).parents[2]
_CALL = 300  # seconds
_TICK = 1.1  # seconds, more than one: clocks of buckets have no less


class Failed(Exception):
    """A step did not do what it should: what was seen."""


@dataclass(frozen=True)
class Step:
    """A step, and what was wrong; empty when it did what it should."""

    name: str
    fault: str = ""


@dataclass
class Round:
    """Syncs from a stand-in Hub into a bucket of `server`, with these keys more for the target."""

    server: S3Server
    bucket: str
    folder: Path
    target: Mapping[str, object] = field(default_factory=dict)
    large: int = LARGE
    """Bytes of the largest file."""

    def run(self) -> list[Step]:
        """Every step, whatever became of those before it."""
        with Hub() as hub:
            self._repo = hub.model(REPO, license="mit")
            self._write_jobs(hub.url)
            return [Step(name, self._told(step)) for name, step in self._steps().items()]

    def _steps(self) -> dict[str, Callable[[], None]]:
        does = (self._first, self._verify, self._unchanged, self._second, self._prune, self._serve)
        return dict(zip(STEPS, does, strict=True))

    @staticmethod
    def _told(step: Callable[[], None]) -> str:
        try:
            step()
        except Failed as failed:
            return str(failed)
        return ""

    def _first(self) -> None:
        small = {f"small/{number}": b"content %d" % number for number in range(20)}
        self._files = {**small, "gone": b"only in the first commit", "large.bin": _noise(1, self.large)}
        self._repo.commit({**self._files, "large.bin": LFS(self._files["large.bin"])})
        self._sync("published")

    def _second(self) -> None:
        """Another large file in place of the first: prune will find that one, and one small file, unnamed."""
        self._files |= {"large.bin": _noise(2, self.large), "new": b"new"}
        del self._files["gone"]
        self._repo.commit({"large.bin": LFS(self._files["large.bin"]), "new": b"new"}, delete=["gone"])
        time.sleep(_TICK)
        self._sync("published")

    def _unchanged(self) -> None:
        self._sync("unchanged")

    def _verify(self) -> None:
        told = self._program("verify")
        if faults := [*told["faults"], *told["unreadable"]]:
            raise Failed(f"{len(faults)} faults: {faults[0]['path']}: {faults[0]['problem']}")
        if not told["blobs"]:
            raise Failed("nothing is published")

    def _prune(self) -> None:
        """The old large file leaves the bucket; what is left is whole, and need not be brought again."""
        time.sleep(_TICK)
        before = self._objects()
        told = self._program("prune")
        if told["problems"]:
            raise Failed(told["problems"][0])
        after = self._objects()
        if not 0 < len(after) < len(before):
            raise Failed(f"{len(before)} objects before prune, {len(after)} after it")
        if max(before.values(), default=0) * 1.5 < sum(after.values()):
            raise Failed(f"{sum(after.values())} bytes are left")
        self._verify()
        self._unchanged()

    def _serve(self) -> None:
        with self._front() as url:
            for path, body in self._files.items():
                if (got := _get(f"{url}/{REPO}/resolve/main/{path}")) != body:
                    raise Failed(f"{path}: {len(got)} bytes that are not its own")
            part = _get(f"{url}/{REPO}/resolve/main/large.bin", {"Range": "bytes=1000-1999"})
            if part != self._files["large.bin"][1000:2000]:
                raise Failed("a range is not the file's own")

    def _sync(self, outcome: str) -> None:
        (told,) = self._program("sync")["repos"]
        if told["outcome"] != outcome:
            raise Failed(told["reason"] or f"the outcome is {told['outcome']}, not {outcome}")

    def _program(self, *arguments: str) -> dict[str, Any]:
        """What a command reports; Failed where it reports nothing."""
        command = [sys.executable, *SETTLED, *arguments, "--json"]
        ended = subprocess.run(
            command, cwd=self.folder, env=_environment(), capture_output=True, text=True, timeout=_CALL, check=False
        )
        try:
            return dict(json.loads(ended.stdout))
        except ValueError as error:
            raise Failed(_last_line(ended.stderr) or f"exit code {ended.returncode}") from error

    @contextmanager
    def _front(self) -> Iterator[str]:
        port = free_port()
        command = [sys.executable, "-m", "mirror_sync", "serve", "--host", LOOPBACK, "--port", str(port)]
        try:
            with child(command, self.folder / "serve.log", _environment(), folder=self.folder) as running:
                running.wait_until(lambda: answers(port))
                yield f"http://{LOOPBACK}:{port}"
        except (ServerError, urllib.error.URLError) as error:
            raise Failed(str(error)) from error

    def _objects(self) -> dict[str, int]:
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        try:
            return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}
        except (BotoCoreError, ClientError) as error:
            raise Failed(str(error)) from error

    def _write_jobs(self, hub_url: str) -> None:
        target = {
            "url": f"s3://{self.bucket}/some/prefix",
            "endpoint_url": self.server.endpoint_url,
            "region": self.server.region,
            "access_key": self.server.access_key,
            "secret_key": self.server.secret_key,
            "grace": "0s",
            **self.target,
        }
        document = {
            "version": 1,
            "state_dir": "state",
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub_url]}},
            "targets": {"bucket": target},
            "defaults": {"upstream": "hub", "target": "bucket", "retention": {"snapshots": 1, "days": 0}},
            "licenses": {"allow": ["mit"]},
            "jobs": [{"name": "all", "repos": [REPO]}],
        }
        (self.folder / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": str(_TOP)}


def _get(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=60) as answer:
        return bytes(answer.read())
