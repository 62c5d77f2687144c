"""Real clients of registries pull what is mirrored, whole and with the right bytes, from both fronts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror_sync.domain.access.access_tokens import AccessToken, AccessTokens, digest_of
from mirror_sync.domain.access.rights import AccessRules, RepoSet, Role
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.ports.store import Store
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import environment
from tests.front.bucket import Published
from tests.front.mirrors import Mirror, Reply, by_either
from tests.parts import program
from tests.requirements import need
from tests.servers.child import child

FILES = {
    "README.md": b"# a model",
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 300,
    "sub dir/gr\u00f6\u00dfe.txt": b"more",
    "empty.txt": b"",
}
TOKEN = "hf_" + "t" * 37
ACCESS = AccessRules(
    anonymous=(RepoSet.parse("Pub/*"),), roles={"team": Role(read=(RepoSet.parse("Team/*"),))}, all_opened=True
)


@dataclass(frozen=True)
class Registry:
    """A front with two repos, one of them for those who have a token; `host` as clients write it."""

    host: str
    folder: Path
    store: Store

    def run(self, *command: str | Path, ok: bool = True) -> str:
        """What a client says. AssertionError with all of it where it ends otherwise than it should."""
        home = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "REGISTRY_AUTH_FILE": str(self.auth)}
        done = subprocess.run(
            [str(part) for part in command],
            env=os.environ | home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + ("" if ok else done.stderr)

    @property
    def auth(self) -> Path:
        return self.folder / "auth.json"


@pytest.fixture(scope="module", params=["serve", "nginx"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    need("registries")
    folder = tmp_path_factory.mktemp("registry")
    bucket = DirectoryTarget(folder / "bucket")
    store = DirectoryStore(bucket.root)
    for name in ("Pub/One", "Team/Two"):
        proofs = {"SHA256SUMS": b"s", "SHA256SUMS.sig": b"g"}
        Published(store, Repo(Kind.MODEL, name)).publish(FILES, registry=True, attached=proofs)
    tokens = folder / "tokens.yaml"
    tokens.write_text(AccessTokens((AccessToken("ci", "team", digest_of(TOKEN)),)).encode(), encoding="ascii")
    with by_either(request.param, bucket, folder / "front", access=ACCESS, tokens=tokens) as mirror:
        yield Registry(mirror.url.removeprefix("http://"), folder, store)


def expect_blobs(folder: Path) -> None:
    """All files that have bytes lie in a folder under their digests."""
    for body in filter(None, FILES.values()):
        assert (folder / Sha256.of(body)).read_bytes() == body


def skopeo(registry: Registry, verb: str, *words: str | Path, ok: bool = True) -> str:
    return registry.run(program("skopeo"), verb, *words, ok=ok)


def test_skopeo_copies_inspects_and_lists(registry: Registry, tmp_path: Path) -> None:
    at = f"docker://{registry.host}/pub/one"
    skopeo(registry, "copy", "--src-tls-verify=false", f"{at}:latest", f"dir:{tmp_path / 'one'}")
    expect_blobs(tmp_path / "one")
    raw = skopeo(registry, "inspect", "--raw", "--tls-verify=false", f"{at}:main")
    assert json.loads(raw)["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    skopeo(
        registry, "copy", "--src-tls-verify=false", f"{at}@sha256:{Sha256.of(raw.encode())}", f"dir:{tmp_path / 'two'}"
    )
    expect_blobs(tmp_path / "two")
    tags = json.loads(skopeo(registry, "list-tags", "--tls-verify=false", at))["Tags"]
    assert {"latest", "main"} <= set(tags)
    said = skopeo(registry, "inspect", "--raw", "--tls-verify=false", f"{at}:none", ok=False)
    assert "manifest unknown" in said.lower()


def test_skopeo_gets_what_is_for_holders_of_a_token_with_one_alone(registry: Registry, tmp_path: Path) -> None:
    at = f"docker://{registry.host}/team/two:latest"
    skopeo(registry, "inspect", "--raw", "--tls-verify=false", at, ok=False)
    skopeo(registry, "inspect", "--raw", "--tls-verify=false", "--creds", "any:hf_wrong", at, ok=False)
    skopeo(registry, "copy", "--src-tls-verify=false", "--src-creds", f"any:{TOKEN}", at, f"dir:{tmp_path}/two")
    expect_blobs(tmp_path / "two")


def test_podman_logs_in_and_lists_tags_and_says_of_a_model_that_it_is_no_image(registry: Registry) -> None:
    podman = program("podman")
    wrong = registry.run(podman, "login", "--tls-verify=false", "-u", "any", "-p", "hf_wrong", registry.host, ok=False)

    assert "unauthorized" in wrong or "invalid username/password" in wrong
    registry.run(podman, "login", "--tls-verify=false", "-u", "any", "-p", TOKEN, registry.host)
    listed = registry.run(podman, "search", "--list-tags", "--tls-verify=false", f"{registry.host}/team/two")
    assert "latest" in listed
    registry.auth.write_text("{}", encoding="ascii")
    said = registry.run(podman, "pull", "--tls-verify=false", f"{registry.host}/pub/one:latest", ok=False)
    assert "unsupported image-specific operation on artifact" in said


CONTAINERD = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""


@contextmanager
def containerd(folder: Path) -> Iterator[list[str | Path]]:
    """A daemon of its own: the words by which its client is called."""
    if os.geteuid():
        pytest.skip("containerd runs as root alone")
    settings, socket = folder / "config.toml", folder / "containerd.sock"
    settings.write_text(CONTAINERD.format(folder=folder), encoding="utf-8")
    with child([program("containerd"), "--config", settings], folder / "log") as running:
        running.wait_until(socket.is_socket, 60)
        yield [program("ctr"), "--address", socket]


def test_containerd_fetches_all_content(registry: Registry, tmp_path: Path) -> None:
    with containerd(tmp_path) as ctr:
        for name, user in (("pub/one", ()), ("team/two", ("--user", f"any:{TOKEN}"))):
            registry.run(*ctr, "content", "fetch", "--plain-http", *user, f"{registry.host}/{name}:latest")
        expect_blobs(tmp_path / "root" / "io.containerd.content.v1.content" / "blobs" / "sha256")
        refused = registry.run(*ctr, "content", "fetch", "--plain-http", f"{registry.host}/team/two:main", ok=False)
        assert "not found" in refused or "authorization" in refused.lower() or "401" in refused


def test_skopeo_copies_an_image_whose_layers_unpack_to_the_very_files(registry: Registry, tmp_path: Path) -> None:
    at = f"docker://{registry.host}/pub/one:latest-image"
    skopeo(registry, "copy", "--src-tls-verify=false", at, f"dir:{tmp_path / 'image'}")
    manifest = json.loads((tmp_path / "image" / "manifest.json").read_text())
    (tmp_path / "files").mkdir()
    for layer in manifest["layers"]:
        blob = tmp_path / "image" / layer["digest"].partition(":")[2]
        registry.run("tar", "-xf", blob, "-C", tmp_path / "files")
    expect_files(tmp_path / "files")
    config = json.loads(skopeo(registry, "inspect", "--config", "--tls-verify=false", at))
    assert (config["os"], config["rootfs"]["type"]) == ("linux", "layers")


def test_podman_pulls_an_image_and_mounts_it(registry: Registry) -> None:
    if os.geteuid():
        pytest.skip("podman mounts without a name space of its own for root alone")
    at = f"{registry.host}/pub/one:latest-image"
    with tempfile.TemporaryDirectory(prefix="pod") as folder:  # its names for sockets are short ones
        podman: list[str | Path] = [program("podman"), "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
        podman += ["--storage-driver", "vfs"]
        registry.run(*podman, "pull", "--tls-verify=false", at)
        expect_files(Path(registry.run(*podman, "image", "mount", at).strip()))
        registry.run(*podman, "image", "unmount", at)


def test_containerd_pulls_an_image_and_mounts_it(registry: Registry, tmp_path: Path) -> None:
    at, folder = f"{registry.host}/pub/one:latest-image", tmp_path / "mounted"
    folder.mkdir()
    with containerd(tmp_path) as ctr:
        registry.run(*ctr, "images", "pull", "--plain-http", "--snapshotter", "native", at)
        registry.run(*ctr, "images", "mount", "--snapshotter", "native", at, folder)
        try:
            expect_files(folder)
        finally:
            registry.run(*ctr, "images", "unmount", folder)


def test_a_layer_is_for_those_who_may_read_its_repo_and_for_others_as_if_it_were_not_there(registry: Registry) -> None:
    def asked(path: str, *, token: str = "") -> Reply:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Mirror(f"http://{registry.host}", registry.store).get(f"/v2/{path}", **headers)

    index = asked("team/two/manifests/latest-image", token=TOKEN).json
    manifest = asked(f"team/two/manifests/{index['manifests'][0]['digest']}", token=TOKEN).json
    layer = manifest["layers"][0]
    body = asked(f"team/two/blobs/{layer['digest']}", token=TOKEN)
    assert (body.status, f"sha256:{Sha256.of(body.body)}") == (200, layer["digest"])
    assert "private" in str(body.header("Cache-Control"))
    for token in ("", "anonymous", "hf_" + "w" * 37):
        hidden = [
            asked(f"team/{name}/{what}", token=token)
            for what in ("manifests/latest-image", f"blobs/{layer['digest']}")
            for name in ("two", "not")
        ]
        assert {reply.status for reply in hidden} <= {401, 404}
        for one, other in (hidden[:2], hidden[2:]):
            assert (one.status, one.body.replace(b"two", b"not")) == (other.status, other.body)


def expect_files(folder: Path) -> None:
    """Those of the repo, under their names, with those of no byte, and no other ones."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES


PULL = """
import sys
import oras.client
client = oras.client.OrasClient(hostname=sys.argv[1], insecure=True)
if len(sys.argv) > 4:
    client.login(hostname=sys.argv[1], username="any", password=sys.argv[4], tls_verify=False)
client.pull(target=f"{sys.argv[1]}/{sys.argv[2]}", outdir=sys.argv[3])
"""


def test_oras_pulls_each_file_under_its_own_name(registry: Registry, tmp_path: Path) -> None:
    python = environment("registry") / "bin" / "python"
    registry.run(python, "-c", PULL, registry.host, "Pub/One:latest", tmp_path / "one")
    found = {path: (tmp_path / "one" / path).read_bytes() for path, body in FILES.items() if body}
    assert found == {path: body for path, body in FILES.items() if body}
    registry.run(python, "-c", PULL, registry.host, "team/two:main", tmp_path / "two", TOKEN)
    assert (tmp_path / "two" / "config.json").read_bytes() == b"{}"
