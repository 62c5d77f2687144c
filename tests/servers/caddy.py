"""Caddy on a configuration, in the foreground; all that it writes is in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.child import Child, child
from tests.servers.ports import answers


@contextmanager
def caddy(program: Path, configuration: Path, folder: Path, port: int) -> Iterator[Child]:
    """Runs Caddy for as long as the block lasts. Raises ServerError, with what it said, when it does not start."""
    places = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    command: list[str | Path] = [program, "run", "--adapter", "caddyfile", "--config", configuration]
    with child(command, folder / "caddy.log", places) as running:
        running.wait_until(lambda: answers(port), 60)
        yield running
