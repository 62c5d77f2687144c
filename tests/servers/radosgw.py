"""A real S3 server: radosgw on a one-node ceph."""

from __future__ import annotations

import json
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.bucket import S3Server
from tests.servers.ceph import Cluster, cluster
from tests.servers.child import Revivable, run
from tests.servers.ports import LOOPBACK, answers, free_port


@dataclass(frozen=True)
class Gateway(S3Server):
    """A radosgw and the cluster under it."""

    cluster: Cluster = field(kw_only=True, repr=False)
    server: Revivable = field(kw_only=True, repr=False, compare=False)

    def requests(self) -> int:
        """How many requests it was asked since its start, as its own counter says."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self.cluster.root / "client.admin.asok"))
            asking.sendall(b'{"prefix": "perf dump"}\0')
            with asking.makefile("rb") as said:
                return int(json.loads(said.read(int.from_bytes(said.read(4))))["rgw"]["req"])

    def free(self, bucket: str, above: int = 1 << 20) -> None:
        """Deletes objects of more than so many bytes; their room is free when it returns.

        Small ones stay: radosgw takes longer to delete them than it took to write them.
        """
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for one in page.get("Contents", []):
                if one["Size"] > above:
                    client.delete_object(Bucket=bucket, Key=one["Key"])
        run(self.cluster.command("radosgw-admin", "-n", "client.admin", "gc", "process", "--include-all"), 300)


@contextmanager
def radosgw(disk: Path | None = None) -> Iterator[Gateway]:
    """Runs radosgw, with one user, for as long as the block lasts; all it stored is gone afterwards.

    Objects are kept in memory, or on disk in this empty folder, which stays. Raises ServerError, with the end of the
    log, when a part of it does not start.
    """
    # A short path: the names of unix sockets inside it may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True) as folder, ExitStack() as running:
        one = running.enter_context(cluster(Path(folder), disk))
        port = free_port()
        # Without tcp_nodelay a GET of a small object waits 40 ms for the acknowledgement of its head.
        frontend = f"beast endpoint={LOOPBACK}:{port} tcp_nodelay=1"
        command = one.command("radosgw", "-f", "-n", "client.admin", f"--rgw-frontends={frontend}")
        server = running.enter_context(Revivable(command, one.root / "radosgw.out", lambda: answers(port)))
        yield _with_user(one, server, port)


def _with_user(one: Cluster, server: Revivable, port: int) -> Gateway:
    access, secret = f"test-{secrets.token_hex(4)}", secrets.token_hex(16)
    keys = ["--access-key", access, "--secret-key", secret]
    one.run("radosgw-admin", "-n", "client.admin", "user", "create", "--uid=tests", "--display-name=tests", *keys)
    return Gateway(f"http://{LOOPBACK}:{port}", access, secret, cluster=one, server=server)


if __name__ == "__main__":
    began = time.monotonic()
    with radosgw() as server:
        print(f"{server} after {time.monotonic() - began:.1f} s; Ctrl-C stops it")  # noqa: T201 - asked for by hand
        with suppress(KeyboardInterrupt):
            time.sleep(1e9)
