"""Clients of the doors beside the Hub's, each as a person runs it: what it took is compared with what was made.

``make doors`` runs these alone. Ollama and Docker Model Runner are in no registry of packages: their requests are
repeated as their sources have them (tests/front/test_ollama.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

from tests.clients.environments import environment
from tests.doors.torrent_clients import by_aria2, by_libtorrent, by_transmission
from tests.front.test_ollama import DOCKER, OCI, GoClient
from tests.parts import program
from tests.servers.child import child

CONTAINERD = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""Where no systemd runs, and nobody may raise a limit, as in many a container; crun takes no mixed cgroups."""
ORAS = """
import sys
import oras.client
client = oras.client.OrasClient(hostname=sys.argv[1], insecure=True)
client.pull(target=f"{sys.argv[1]}/{sys.argv[2]}", outdir=sys.argv[3])
"""
MODELSCOPE = """
import os, sys
from modelscope.hub.snapshot_download import snapshot_download
print(snapshot_download("acme/quants", cache_dir=sys.argv[1]))
"""
NAME = "acme/quants"


def skopeo(url: str, made: Path, scratch: Path) -> str:
    """The model as it is, each layer a file."""
    at = f"docker://{_host(url)}/{NAME}:latest"
    _ran([program("skopeo"), "copy", "--src-tls-verify=false", at, f"dir:{scratch}/model"], scratch)
    return _all_there(made, (path.read_bytes() for path in (scratch / "model").iterdir()))


def skopeo_image(url: str, made: Path, scratch: Path) -> str:
    """The image, whose layers tar unpacks."""
    at = f"docker://{_host(url)}/{NAME}:latest-image"
    _ran([program("skopeo"), "copy", "--src-tls-verify=false", at, f"dir:{scratch}/image"], scratch)
    (scratch / "files").mkdir()
    for layer in json.loads((scratch / "image/manifest.json").read_text())["layers"]:
        blob = scratch / "image" / layer["digest"].partition(":")[2]
        _ran(["tar", "-xf", blob, "-C", scratch / "files"], scratch)
    return _same(made, scratch / "files")


def podman(url: str, made: Path, _: Path) -> str:
    """Pulls the image, mounts it, and runs a container that has it as a volume."""
    with tempfile.TemporaryDirectory(prefix="pod") as name:  # its names for sockets are short ones
        folder = Path(name)
        words = [program("podman"), "--root", f"{name}/root", "--runroot", f"{name}/run", "--storage-driver", "vfs"]
        at = f"{_host(url)}/{NAME}:latest-image"
        _ran([*words, "pull", "--tls-verify=false", at], folder)
        said = _same(made, Path(_ran([*words, "image", "mount", at], folder).strip()))
        _ran([*words, "image", "unmount", at], folder)
        _ran([*words, "import", str(_shell(folder)), "localhost/shell:1"], folder)
        mount = ["--mount", f"type=image,source={at},destination=/model"]
        bare = ["--cgroup-manager", "cgroupfs", "--runtime", program("runc")]
        look = ["find", "/model", "-type", "f", "-exec", "/bin/busybox", "sha256sum", "{}", ";"]
        inside = ["--network", "none", *LIMITS, *mount, "localhost/shell:1", "/bin/busybox", *look]
        found = _ran([*words, *bare, "run", "--rm", *inside], folder)
        wanted = {f"{sha256(body).hexdigest()}  /model/{path}" for path, body in _files(made / "quants").items()}
        assert set(found.splitlines()) == wanted, found
        return f"{said}, and the same in a container"


def _shell(folder: Path) -> Path:
    """The root of a container, as a tar: Debian's busybox, and what it is linked with."""
    busybox, archive = program("busybox"), folder / "shell.tar"
    linked = re.findall(r"(/\S+) \(0x", _ran(["ldd", busybox], folder)) if _is_linked(busybox) else []
    with tarfile.open(archive, "w", dereference=True) as tar:
        tar.add(busybox, "bin/busybox")
        for library in linked:
            tar.add(library, library.lstrip("/"))
    return archive


def _is_linked(path: str) -> bool:
    return subprocess.run(["ldd", path], capture_output=True, check=False).returncode == 0


def containerd(url: str, made: Path, scratch: Path) -> str:
    """Fetches the model, then pulls the image and mounts it."""
    settings, socket, mounted = scratch / "config.toml", scratch / "containerd.sock", scratch / "mounted"
    settings.write_text(CONTAINERD.format(folder=scratch), encoding="utf-8")
    mounted.mkdir()
    with child([program("containerd"), "--config", settings], scratch / "log") as running:
        running.wait_until(socket.is_socket, 60)
        ctr, at = [program("ctr"), "--address", str(socket)], f"{_host(url)}/{NAME}"
        _ran([*ctr, "content", "fetch", "--plain-http", f"{at}:latest"], scratch)
        image = ["--snapshotter", "native", f"{at}:latest-image"]
        _ran([*ctr, "images", "pull", "--plain-http", *image], scratch)
        _ran([*ctr, "images", "mount", *image, str(mounted)], scratch)
        try:
            return _same(made, mounted)
        finally:
            _ran([*ctr, "images", "unmount", str(mounted)], scratch)


def oras(url: str, made: Path, scratch: Path) -> str:
    """Each file under its own name."""
    python = str(environment("registry") / "bin/python")
    _ran([python, "-c", ORAS, _host(url), f"{NAME}:latest", f"{scratch}/files"], scratch)
    return _same(made, scratch / "files")


def ollama(url: str, made: Path, _scratch: Path) -> str:
    """By its own requests: manifest, HEAD, GET, and ranges of where that says to be."""
    _, pulled = GoClient(url).pull(NAME, "Q4_K_M")
    assert pulled["model"] == (made / "quants/tiny-Q4_K_M.gguf").read_bytes()
    return "tiny-Q4_K_M.gguf"


def model_runner(url: str, made: Path, _: Path) -> str:
    """Docker Model Runner's requests: HEAD by tag, GET by digest, blobs plainly."""
    client, accept = GoClient(url), f"Accept: {DOCKER}, application/vnd.oci.image.index.v1+json, {OCI}, */*"
    head = client.ask("HEAD", f"/v2/{NAME}/manifests/Q4_K_M", accept)
    pinned = head.headers["docker-content-digest"]
    (layer,) = json.loads(client.ask("GET", f"/v2/{NAME}/manifests/{pinned}", accept).body)["layers"]
    body = client.ask("GET", f"/v2/{NAME}/blobs/{layer['digest']}").body
    assert body == (made / "quants/tiny-Q4_K_M.gguf").read_bytes()
    return "tiny-Q4_K_M.gguf"


def modelscope(url: str, made: Path, scratch: Path) -> str:
    """A whole model by its snapshot_download."""
    python = str(environment("modelscope-1.40") / "bin/python")
    said = _ran([python, "-c", MODELSCOPE, str(scratch / "cache")], scratch, MODELSCOPE_ENDPOINT=url)
    folder = Path(said.strip().splitlines()[-1])
    return _all_there(made, (path.read_bytes() for path in folder.iterdir() if path.is_file()))


def by_torrent(by: Callable[[Path, Path], None], url: str, made: Path, scratch: Path) -> str:
    """All of it from the mirror alone, which is the web seed."""
    torrent = scratch / "quants.torrent"
    with urlopen(f"{url}/-/torrents/models/{NAME}/main.torrent") as answer:
        torrent.write_bytes(answer.read())
    (scratch / "files").mkdir()
    by(torrent, scratch / "files")
    (folder,) = (one for one in (scratch / "files").iterdir() if one.name != "config")  # which is transmission's own
    return _same(made, folder)


RUNS: Mapping[str, Callable[[str, Path, Path], str]] = {
    **{one.__name__: one for one in (skopeo, skopeo_image, podman, containerd, oras, ollama, model_runner, modelscope)},
    "aria2": partial(by_torrent, by_aria2),
    "transmission": partial(by_torrent, by_transmission),
    "libtorrent": partial(by_torrent, by_libtorrent),
}


def _host(url: str) -> str:
    return url.removeprefix("http://")


def _ran(words: Sequence[str | Path], home: Path, **more: str) -> str:
    """What it said. AssertionError with all of it where it failed."""
    own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "NO_PROXY": "*", **more}
    done = subprocess.run(
        [str(word) for word in words],
        env={"PATH": os.environ["PATH"], **own},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _same(made: Path, folder: Path) -> str:
    """All files of the repo, under their names, and no other ones."""
    found, wanted = _files(folder), _files(made / "quants")
    assert found == wanted, f"{sorted(found)} in place of {sorted(wanted)}"
    return f"{len(found)} files"


def _all_there(made: Path, bodies: Iterable[bytes]) -> str:
    got, wanted = set(bodies), set(_files(made / "quants").values())
    assert wanted <= got, f"{len(wanted - got)} of {len(wanted)} files are not there"
    return f"{len(wanted)} files"
