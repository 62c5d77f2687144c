"""One node of ceph: a monitor and one object store, the least that radosgw runs on.

Everything is written to one folder; no root is needed. There is no mgr: nothing in these tests asks for statistics.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import program
from tests.servers.child import child, run
from tests.servers.ports import LOOPBACK, free_ports

STORE_BYTES = 6 << 30
"""What an object store in memory may hold; it takes only what is written to it, and keeps it."""
DISK_BYTES = 24 << 30
"""What an object store on disk may hold: the size of a sparse file."""

IN_MEMORY = f"""
osd objectstore = memstore
memstore device bytes = {STORE_BYTES}
"""
ON_DISK = f"""
osd objectstore = bluestore
bluestore block size = {DISK_BYTES}
bluestore debug enforce settings = ssd
osd memory target = {1 << 30}
osd op num shards = 4
"""
"""A virtual disk often says that it spins; bluestore would then spare it writes at the cost of time."""

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:{host}:{msgr2},v1:{host}:{msgr1}]
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv4 = true
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {root}/keyring
run dir = {root}
admin socket = {root}/$name.asok
log file = {root}/$name.log
log to stderr = false
err to stderr = true
log flush on exit = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
paxos propose interval = 0.02
paxos min wait = 0.01
mon data avail warn = 1
mon data avail crit = 1
mon osd full ratio = 0.99
mon osd nearfull ratio = 0.98
mon osd backfillfull ratio = 0.98
[mon.a]
mon data = {root}/mon
mon cluster log file = {root}/cluster.log
[osd.0]
osd data = {objects}
{store}
osd class load list = *
osd class default list = *
osd op num threads per shard = 1
[client]
rgw data = {root}/rgw
rgw zone root pool = .rgw.root
rgw dynamic resharding = false
rgw enable gc threads = true
rgw gc obj min wait = 1
rgw gc processor period = 5
rgw enable quota threads = false
rgw override bucket index max shards = 1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, with the configuration that its clients name."""

    root: Path

    def command(self, name: str, *words: str | Path) -> list[str | Path]:
        """The command line of a ceph program that talks to this cluster."""
        return [program(name), "--conf", self.root / "ceph.conf", *words]

    def run(self, name: str, *words: str | Path) -> str:
        """What a ceph program says. Raises ServerError when it fails."""
        return run(self.command(name, *words))


@contextmanager
def cluster(root: Path, disk: Path | None = None) -> Iterator[Cluster]:
    """A cluster in an empty folder, for as long as the block lasts. Raises ServerError with the daemon's log.

    Objects are kept in memory, or by bluestore in the folder `disk`, which is empty.
    """
    one = Cluster(root)
    _configure(one, disk)
    with ExitStack() as running:
        monitor = running.enter_context(child(one.command("ceph-mon", "-f", "-i", "a"), root / "mon.a.out"))
        monitor.wait_until((root / "mon.a.asok").exists)
        _prepare_store(one)
        store = running.enter_context(child(one.command("ceph-osd", "-f", "-i", "0"), root / "osd.0.out"))
        store.wait_until(lambda: _stores_up(one) == 1)
        yield one


def _configure(one: Cluster, disk: Path | None) -> None:
    root = one.root
    objects, store = (root / "osd", IN_MEMORY) if disk is None else (disk.resolve(), ON_DISK)
    msgr2, msgr1 = free_ports(2)
    fsid = str(uuid.uuid4())
    text = CONFIGURATION.format(
        fsid=fsid, host=LOOPBACK, msgr1=msgr1, msgr2=msgr2, root=root, objects=objects, store=store
    )
    (root / "ceph.conf").write_text(text, encoding="utf-8")
    for folder in (root / "mon", objects, root / "rgw"):
        folder.mkdir(exist_ok=True)
    _make_keys(root)
    addresses = f"[v2:{LOOPBACK}:{msgr2},v1:{LOOPBACK}:{msgr1}]"
    run([program("monmaptool"), "--create", "--addv", "a", addresses, "--fsid", fsid, root / "monmap"])
    one.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", root / "monmap", "--keyring", root / "keyring")


def _make_keys(root: Path) -> None:
    """One keyring for all three: nobody but these tests ever reaches the cluster."""
    keys = {
        "mon.": ["mon", "allow *"],
        "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *", "mds", "allow *"],
        "osd.0": ["mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"],
    }
    for number, (name, rights) in enumerate(keys.items()):
        caps = [word for at in range(0, len(rights), 2) for word in ("--cap", rights[at], rights[at + 1])]
        create = ["--create-keyring"] if number == 0 else []
        run([program("ceph-authtool"), *create, root / "keyring", "--gen-key", "-n", name, *caps])


def _prepare_store(one: Cluster) -> None:
    identity = str(uuid.uuid4())
    one.run("ceph", "osd", "new", identity, "0")
    one.run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", identity)


def _stores_up(one: Cluster) -> int:
    answer = json.loads(one.run("ceph", "osd", "stat", "--format", "json"))
    return int(answer["num_up_osds"])
