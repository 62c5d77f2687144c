"""Clients of BitTorrent as people run them, and a tracker: each fetches a whole torrent, and ends."""

from __future__ import annotations

import getpass
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libtorrent

from tests.parts import program
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port

PATIENCE = 120  # seconds


def by_aria2(torrent: Path, folder: Path) -> None:
    """Debian's aria2, alone with the mirror."""
    alone = ["--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--no-conf"]
    command = [program("aria2c"), "--seed-time=0", *alone, "-d", str(folder), str(torrent)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


def by_transmission(torrent: Path, folder: Path) -> None:
    """Debian's transmission-cli, which seeds for ever: it is ended when all is there."""
    command = [
        *(program("transmission-cli"), "--config-dir", str(folder / "config"), "-w", str(folder)),
        *("--port", str(free_port()), "--no-portmap", str(torrent)),
    ]
    total = libtorrent.torrent_info(str(torrent)).total_size()
    with child(command, folder.with_suffix(".log")) as running:
        running.wait_until(lambda: _bytes(folder) >= total)


def _bytes(folder: Path) -> int:
    """Of whole files: it calls the others `.part`."""
    found = (path for path in folder.rglob("*") if path.suffix != ".part" and "config" not in path.parts)
    return sum(path.stat().st_size for path in found if path.is_file())


class LibtorrentPeer:
    """A libtorrent that meets others by its tracker alone. Its port is the system's choice."""

    def __init__(self, torrent: Path, folder: Path) -> None:
        self.session = libtorrent.session()
        self.session.apply_settings(
            {
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "listen_interfaces": f"{LOOPBACK}:{free_port()}",
                "allow_multiple_connections_per_ip": True,
                "min_announce_interval": 1,
                "urlseed_wait_retry": 1,
            }
        )
        params = libtorrent.load_torrent_file(str(torrent))
        params.save_path = str(folder)
        self.torrent = self.session.add_torrent(params)

    def wait(self) -> None:
        """Until all is there, and proved."""
        limit = time.monotonic() + PATIENCE
        while not self.torrent.status().is_seeding:
            status = self.torrent.status()
            assert time.monotonic() < limit, f"{status.progress:.0%} after {PATIENCE} s: {status.errc.message()}"
            time.sleep(0.05)


def by_libtorrent(torrent: Path, folder: Path) -> None:
    """libtorrent, which qBittorrent and Deluge are made of."""
    folder.mkdir(parents=True, exist_ok=True)
    LibtorrentPeer(torrent, folder).wait()


@contextmanager
def opentracker(whitelist: Path, port: int) -> Iterator[str]:
    """Debian's opentracker, which knows the torrents of a list alone; gives its announce address."""
    folder, known, user = whitelist.parent, str(whitelist), getpass.getuser()
    if user == "root":  # which it will not be: it shuts itself up in the folder, and is nobody there
        folder.chmod(0o755)
        whitelist.chmod(0o644)
        known, user = f"/{whitelist.name}", "nobody"
    configuration = folder / "opentracker.conf"
    lines = [f"listen.tcp_udp {LOOPBACK}:{port}", f"access.whitelist {known}", f"tracker.rootdir {folder}"]
    configuration.write_text("\n".join([*lines, f"tracker.user {user}", ""]))
    with child([program("opentracker"), "-f", str(configuration)], folder / "opentracker.log") as running:
        running.wait_until(lambda: answers(port))
        yield f"http://{LOOPBACK}:{port}/announce"
