"""A real S3 server: radosgw on a one-node ceph."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.bucket import S3Server
from tests.servers.ceph import Cluster, cluster
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port


@contextmanager
def radosgw() -> Iterator[S3Server]:
    """Runs radosgw, with one user, for as long as the block lasts; all it stored is gone afterwards.

    Raises ServerError, with the end of the log, when a part of it does not start.
    """
    # A short path: the names of unix sockets inside it may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True) as folder, cluster(Path(folder)) as one:
        port = free_port()
        frontend = f"beast endpoint={LOOPBACK}:{port}"
        command = one.command("radosgw", "-f", "-n", "client.admin", f"--rgw-frontends={frontend}")
        with child(command, one.root / "radosgw.out") as running:
            running.wait_until(lambda: answers(port), 60)
            yield _with_user(one, port)


def _with_user(one: Cluster, port: int) -> S3Server:
    access, secret = f"test-{secrets.token_hex(4)}", secrets.token_hex(16)
    keys = ["--access-key", access, "--secret-key", secret]
    one.run("radosgw-admin", "-n", "client.admin", "user", "create", "--uid=tests", "--display-name=tests", *keys)
    return S3Server(f"http://{LOOPBACK}:{port}", access, secret)


if __name__ == "__main__":
    began = time.monotonic()
    with radosgw() as server:
        print(f"{server} after {time.monotonic() - began:.1f} s; Ctrl-C stops it")  # noqa: T201 - asked for by hand
        with suppress(KeyboardInterrupt):
            time.sleep(1e9)
