"""OpenStack Swift with its S3 gateway: four servers of one machine, users in a file, and no cache."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.bucket import S3Server
from tests.servers.child import child, run
from tests.servers.ports import LOOPBACK, answers, free_ports

_STORES = ("account", "container", "object")
_PATH = "catch_errors listing_formats bulk s3api tempauth copy slo proxy-server"
_HASH = "[swift-hash]\nswift_hash_path_suffix = tests\n[storage-policy:0]\nname = one\ndefault = yes\n"
_SERVER = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
workers = 0
swift_dir = {folder}
"""
_STORE = """\
devices = {folder}/devices
mount_check = false
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PROXY = """\
[pipeline:main]
pipeline = {path}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
"""


@contextmanager
def swift(programs: Path, folder: Path) -> Iterator[S3Server]:
    """Runs it from a folder of its programs, in another folder, which must be able to keep extended attributes.

    Raises ServerError, with the end of a log, when a part of it does not start.
    """
    ports = dict(zip((*_STORES, "proxy"), free_ports(len(_STORES) + 1), strict=True))
    fixed = {"host": LOOPBACK, "user": getpass.getuser(), "folder": folder, "path": _PATH}
    (folder / "devices" / "one").mkdir(parents=True)
    (folder / "swift.conf").write_text(_HASH, encoding="ascii")
    with ExitStack() as running:
        for name, port in ports.items():
            template = _SERVER + (_PROXY if name == "proxy" else _STORE)
            (folder / f"{name}.conf").write_text(template.format(**fixed, name=name, port=port), encoding="utf-8")
            if name != "proxy":
                _make_ring(programs, folder, name, port)
        for name, port in ports.items():
            command: list[str | Path] = [programs / f"swift-{name}-server", folder / f"{name}.conf", "--verbose"]
            server = running.enter_context(child(command, folder / f"{name}.log", patience=1))
            server.wait_until(lambda port=port: answers(port))  # type: ignore[misc]
        yield S3Server(f"http://{LOOPBACK}:{ports['proxy']}", "test:tester", "testing")


def _make_ring(programs: Path, folder: Path, name: str, port: int) -> None:
    builder = [programs / "swift-ring-builder", folder / f"{name}.builder"]
    run([*builder, "create", "2", "1", "0"])
    run([*builder, "add", f"r1z1-{LOOPBACK}:{port}/one", "1"])
    run([*builder, "rebalance"])
