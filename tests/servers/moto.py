"""A quick S3 server: moto's. It accepts wrong keys and wrong checksums, so it proves nothing about refusals."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.bucket import S3Server
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port


@contextmanager
def moto(python: Path = Path(sys.executable)) -> Iterator[S3Server]:
    """Runs moto's server by a Python that has it for as long as the block lasts.

    Raises ServerError, with its log, when it does not start.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="moto-") as folder:
        command: list[str | Path] = [python, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
        with child(command, Path(folder) / "log") as running:
            running.wait_until(lambda: answers(port))
            yield S3Server(f"http://{LOOPBACK}:{port}", "test", "test-secret")
