"""nginx on a configuration as it was generated, in the foreground, its log within reach."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import program
from tests.servers.child import Child, child, tail
from tests.servers.ports import LOOPBACK, answers

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    url: str
    log: Path
    """Its error log, until the configuration names another."""
    child: Child

    def tail(self) -> str:
        """The end of its error log."""
        return tail(self.log)


@contextmanager
def nginx(configuration: Path, port: int) -> Iterator[Nginx]:
    """Runs nginx on a configuration that listens on this port of the loopback interface.

    Raises ServerError, with what nginx said, when it does not start: a configuration that is wrong says so here.
    """
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        log = Path(folder) / "error.log"
        command: list[str | Path] = [
            program("nginx"),
            "-c",
            configuration.resolve(),
            "-e",
            log,
            "-g",
            _globals(configuration),
        ]
        with child(command, Path(folder) / "out") as running:
            running.wait_until(lambda: answers(port))
            yield Nginx(f"http://{LOOPBACK}:{port}", log, running)


def around(servers: str, folder: Path) -> Path:
    """A configuration with these `server` blocks, whoever starts it; all that it writes is in the folder."""
    places = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in _TEMPORARY)
    text = f"pid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n    access_log off;\n{places}{servers}\n}}\n"
    path = folder / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    return path


def _globals(configuration: Path) -> str:
    """What the test run adds: nginx refuses to be told twice, so only what the configuration leaves open."""
    text = configuration.read_text(encoding="utf-8")
    added = {"daemon": "off"}
    if os.geteuid() == 0:
        added["user"] = "root"  # the folders of a test are for their owner only, and nginx's workers would be another
    return " ".join(f"{name} {value};" for name, value in added.items() if not re.search(rf"(?m)^\s*{name}\s", text))
