"""A real Prometheus on a configuration of the test, in the foreground, asked by its own API."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.parts import program
from tests.servers.child import Child, child
from tests.servers.ports import LOOPBACK, free_port
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    child: Child

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series that an expression gives now."""
        found = self._get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """By name, the labels of each alert that fires."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def _get(self, what: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urlencode(query)}", timeout=PATIENCE) as answer:
            return json.load(answer)["data"]


@contextmanager
def prometheus(scraped: int, rules: str) -> Iterator[Prometheus]:
    """Scrapes a port of the loopback interface, as the job `mirror-sync`, every second, and judges `rules` as often.

    Raises ServerError, with its log, when it does not start.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        folder = Path(name)
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        job = {"job_name": "mirror-sync", "static_configs": [{"targets": [f"{LOOPBACK}:{scraped}"]}]}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [job],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        command: list[str | Path] = [
            program("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={LOOPBACK}:{port}",
        ]
        with child(command, folder / "log") as running:
            running.wait_until(lambda: _ready(port))
            yield Prometheus(f"http://{LOOPBACK}:{port}", running)


def _ready(port: int) -> bool:
    """It listens before it answers."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/-/ready", timeout=5):
            return True
    except OSError:
        return False
