"""A second real S3 server: SeaweedFS, whose master, volumes, filer and S3 gateway are one process."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.bucket import S3Server
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, free_ports

_SERVICES = ("master", "volume", "filer", "s3")
_ACTIONS = ["Admin", "Read", "List", "Tagging", "Write"]
_PATIENCE = 1  # seconds to end by itself: it would wait for readers that are no more
# Every bucket has volumes of its own: one at a time, else seven are made for its first object.
_ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}


@contextmanager
def seaweedfs(weed: Path) -> Iterator[S3Server]:
    """Runs SeaweedFS by its program, with one user, for as long as the block lasts; what it stored is gone afterwards.

    Raises ServerError, with the end of the log, when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="weed-", ignore_cleanup_errors=True) as name:
        folder, ports = Path(name), free_ports(2 * len(_SERVICES))
        server = S3Server(f"http://{LOOPBACK}:{ports[-2]}", f"test-{secrets.token_hex(4)}", secrets.token_hex(16))
        keys = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
        users = {"identities": [{"name": "tests", "credentials": keys, "actions": _ACTIONS}]}
        (folder / "s3.json").write_text(json.dumps(users), encoding="ascii")
        command = _command(weed, folder, ports)
        with child(command, folder / "log", _ENVIRONMENT, patience=_PATIENCE) as running:
            running.wait_until(lambda: _takes_objects(server))
            yield server


def _command(weed: Path, folder: Path, ports: Sequence[int]) -> list[str]:
    """Nothing of it leaves this machine or that folder: it would tell its makers of itself."""
    (folder / "data").mkdir()
    listening = [
        f"-{name}.port{kind}={port}"
        for name, *pair in zip(_SERVICES, ports[::2], ports[1::2], strict=True)
        for kind, port in zip(("", ".grpc"), pair, strict=True)
    ]
    return [
        str(weed),
        "-logtostderr=true",
        "server",
        f"-dir={folder / 'data'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *listening,
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=0",
        "-volume.preStopSeconds=0",
    ]


def _takes_objects(server: S3Server) -> bool:
    """It listens some seconds before it can store anything."""
    client = server.client()
    try:
        with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"x")
    except (BotoCoreError, ClientError):
        return False
    return True
