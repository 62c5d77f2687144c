"""The parts of the system that some tests need beside Python packages, and how to know that they are here.

Standard library only: `tests.system` runs before any environment exists.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# An ordinary user's PATH lacks the folders where Debian keeps servers.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Part:
    """Something that tests need: present when every program, file and module of it is."""

    name: str
    packages: tuple[str, ...]
    """Debian packages that bring it."""
    unlocks: str
    """What is skipped without it, in words for a person."""
    programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What of this part is not here, in words; empty when it can be used."""
        programs = [f"program {name}" for name in self.programs if find_program(name) is None]
        files = [f"file {name}" for name in self.files if not Path(name).exists()]
        modules = [f"Python module {name}" for name in self.modules if importlib.util.find_spec(name) is None]
        return programs + files + modules


PARTS = {
    part.name: part
    for part in [
        Part("venv", ("python3-venv",), "everything: no environment can be made", modules=("ensurepip",)),
        Part("curl", ("curl",), "the checks with curl", programs=("curl",)),
        Part("patch", ("patch",), "the diffs of CONTRIBUTING", programs=("patch",)),
        Part("shells", ("dash", "busybox"), "get.sh in each shell", programs=("dash", "busybox")),
        Part("npm", ("npm",), "axe, by which the catalogue's pages are judged", programs=("npm",)),
        Part(
            "nginx",
            ("nginx", "libnginx-mod-http-js"),
            "the nginx front",
            programs=("nginx",),
            files=("/usr/lib/nginx/modules/ngx_http_js_module.so",),
        ),
        Part(
            "radosgw",
            ("radosgw", "ceph-mon", "ceph-osd", "ceph-common"),
            "the S3 target on a real server",
            programs=("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"),
        ),
        Part("man", ("groff-base", "bash"), "the man pages as they are read", programs=("groff", "bash")),
        Part(
            "jq",
            ("jq", "openssh-client"),
            "the check of an audit by hand",
            programs=("jq", "ssh-keygen", "sha256sum"),
        ),
        Part(
            "hsm",
            ("softhsm2", "opensc"),
            "keys in hardware",
            programs=("softhsm2-util", "pkcs11-tool"),
            files=("/usr/lib/softhsm/libsofthsm2.so",),
        ),
        Part(
            "registries",
            ("skopeo", "podman", "containerd"),
            "clients of registries",
            programs=("skopeo", "podman", "containerd", "ctr"),
        ),
        Part("aria2", ("aria2",), "the bench beside aria2c, and its torrents", programs=("aria2c",)),
        Part(
            "torrents",
            ("transmission-cli", "opentracker"),
            "clients of BitTorrent, and a tracker",
            programs=("transmission-cli", "opentracker"),
        ),
        Part("prometheus", ("prometheus",), "the alert rules and a real scrape", programs=("prometheus", "promtool")),
        Part(
            "chromium",
            ("chromium", "chromium-driver"),
            "the catalogue in a real browser",
            programs=("chromium", "chromedriver"),
        ),
        Part("rsync", ("rsync",), "a mirror that is pulled from rsync's daemon", programs=("rsync",)),
        Part("systemd", ("systemd",), "the checks of the systemd unit", programs=("systemd-analyze",)),
    ]
}


def find_program(name: str) -> str | None:
    """Where a program is, servers' folders included; None when it is not installed."""
    return shutil.which(name, path=_PATH)


def find_tool(name: str) -> Path | None:
    """Where a program is that a Python package brought into this environment; None when it did not."""
    found = Path(sys.executable).parent / name
    return found if found.exists() else None


def program(name: str) -> str:
    """Where a program is. Raises FileNotFoundError when it is not installed."""
    found = find_program(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def absent(names: Iterable[str]) -> list[Part]:
    """Those of the named parts of which something is missing."""
    return [PARTS[name] for name in names if PARTS[name].missing()]


def strict() -> bool:
    """Is this a run in which a missing part is a failure (CI is set)?"""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
