"""Two daemons with the same jobs, each with a state folder of its own."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon.living import Living, living
from tests.servers.ports import free_port
from tests.standin import Hub

LEASE = 3  # seconds, the least there is
SECRET = "a-secret"


@dataclass
class Member:
    """One of them; `target` is as jobs.yaml has it."""

    folder: Path
    hub: Hub
    target: Mapping[str, Any]
    port: int = 0
    every: str = "1s"

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.port = free_port()
        document = {
            "state_dir": "state",
            "http": {"listen": f"127.0.0.1:{self.port}", "webhook_secret": SECRET, "front_secret": SECRET},
            "ha": {"lease": f"{LEASE}s"},
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [self.hub.url]}},
            "targets": {"mirror": dict(self.target)},
            "licenses": {"allow": ["mit"]},
            "jobs": [{"name": "models", "repos": ["acme/one"], "schedule": {"every": self.every}}],
        }
        self.config = self.folder / "jobs.yaml"
        self.config.write_text(json.dumps(document), encoding="utf-8")
        self.config.chmod(0o600)

    def start(self) -> AbstractContextManager[Living]:
        """A log of its own each time."""
        return living(["-m", "mirror_sync", "--config", str(self.config), "daemon"], self.folder)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Its HTTP; status 0 while it does not answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, named)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read()
        except OSError:
            return 0, None
        try:
            return status, json.loads(said)
        except ValueError:
            return status, said.decode()

    @property
    def leads(self) -> bool:
        return self.ask("/leaderz")[0] == 200

    @property
    def stands_by(self) -> bool:
        return self.ask("/leaderz")[0] == 503


def runs(log: str) -> list[str]:
    """The runs that a daemon has begun."""
    return re.findall(r"event=run\.started .*?run=(\S+)", log)


def waits(log: str) -> list[float]:
    """How long it had seen nothing of the one before, each time that it took the lease."""
    return [float(found) for found in re.findall(r"event=lease\.taken .*?waited=([0-9.]+)", log)]
