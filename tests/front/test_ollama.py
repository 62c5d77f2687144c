"""GGUF quantizations as Ollama and Docker Model Runner ask for them, call by call as their sources have it, by sockets.

Ollama's: server/download.go of 0.33. It asks for a manifest as Docker had it, per blob HEAD and GET, wants a Location
on the answer to the latter, and then ranges of that address, many at once.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.digest import Sha256
from tests.front.bucket import model
from tests.front.mirrors import Mirror
from tests.waiting import PATIENCE

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
PARTS = 7


def gguf(words: str, size: int = 3000) -> bytes:
    """A file whose header says what it is; the rest is what it likes."""
    facts = [("general.architecture", "llama"), ("general.size_label", words)]
    texts = [struct.pack("<Q", len(one)) + one.encode() for pair in facts for one in pair]
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts))
    body = head + b"".join(texts[at] + struct.pack("<I", 8) + texts[at + 1] for at in range(0, len(texts), 2))
    return body + words.encode() * (size // len(words))


MODELS = {
    "Tiny-Q8_0.gguf": gguf("8B", 90_000),
    "Tiny-Q4_K_M.gguf": gguf("4B"),
    "Tiny-Q2_K.gguf": gguf("2B", 1000),
    "big/Tiny-F16-00001-of-00002.gguf": gguf("16B"),
    "big/Tiny-F16-00002-of-00002.gguf": gguf("17B"),
    "mmproj-F16.gguf": gguf("1B"),
    "template": b"{{ .Prompt }}",
    "params": b'{"stop":["x"]}',
    "README.md": b"# tiny",
}


class Got(NamedTuple):
    """An answer as it came: names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GoClient:
    """A client of net/http, whose requests go over the wire as it writes them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place, self._host = (parts.hostname or "", parts.port or 0), parts.netloc

    def ask(self, method: str, target: str, *headers: str) -> Got:
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {self._host}",
            "User-Agent: ollama/0.33.0 (amd64 linux) Go/go1.24",
        ]
        request = "\r\n".join([*lines, *headers, "Accept-Encoding: identity", "Connection: close", "", ""])
        with socket.create_connection(self._place, timeout=PATIENCE) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        if named.get("transfer-encoding") == "chunked":
            body = unchunked(body)
        return Got(int(first.split()[1]), named, body)

    def pull(self, name: str, tag: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """As `ollama pull`: the manifest, and the bytes of each layer by the last word of its type."""
        got = self.ask("GET", f"/v2/{name}/manifests/{tag}", f"Accept: {DOCKER}")
        assert got.status == 200, got
        manifest = json.loads(got.body)
        found = {}
        for layer in (*manifest["layers"], manifest["config"]):
            found[layer["mediaType"].rpartition(".")[2]] = self._download(name, layer["digest"], layer["size"])
        return manifest, found

    def _download(self, name: str, digest: str, size: int) -> bytes:
        at = f"/v2/{name}/blobs/{digest}"
        head = self.ask("HEAD", at)
        assert (head.status, int(head.headers["content-length"]), head.body) == (200, size, b"")
        plain = self.ask("GET", at)
        assert plain.status == 200
        assert "location" in plain.headers, "http: no Location header in response"
        step = -(-size // PARTS)
        spans = [(start, min(start + step, size) - 1) for start in range(0, size, step)]
        with ThreadPoolExecutor(PARTS) as pool:
            parts = list(
                pool.map(
                    lambda span: self.ask("GET", plain.headers["location"], f"Range: bytes={span[0]}-{span[1]}"), spans
                )
            )
        assert {part.status for part in parts} == {206}
        body = b"".join(part.body for part in parts)
        assert f"sha256:{Sha256.of(body)}" == digest
        return body


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :] if int(size, 16) else b""
    return whole


def published(mirror: Mirror, files: Mapping[str, bytes] = MODELS) -> str:
    repo = model(mirror.store)
    repo.publish(files, registry=True)
    return repo.repo.id


def test_a_quantization_is_pulled_by_its_name_in_any_letters_with_what_the_repo_has_for_it(mirror: Mirror) -> None:
    name, client = published(mirror), GoClient(mirror.url)
    for tag in ("Q8_0", "q8_0"):
        manifest, found = client.pull(name, tag)
        assert manifest["mediaType"] == DOCKER
        assert found["model"] == MODELS["Tiny-Q8_0.gguf"]
        assert (found["template"], found["params"]) == (MODELS["template"], MODELS["params"])
        assert found["projector"] == MODELS["mmproj-F16.gguf"]
        config = json.loads(found["v1+json"])
        assert (config["model_format"], config["model_family"], config["model_type"]) == ("gguf", "llama", "8B")
        assert config["file_type"] == "Q8_0"


@pytest.mark.parametrize("tag", ["latest", "main"])
def test_without_a_quantization_it_is_q4_k_m_and_else_the_smallest(mirror: Mirror, tag: str) -> None:
    client = GoClient(mirror.url)
    _, found = client.pull(published(mirror), tag)
    assert found["model"] == MODELS["Tiny-Q4_K_M.gguf"]
    others = {path: body for path, body in MODELS.items() if "Q4_K_M" not in path}
    _, found = client.pull(published(mirror, others), tag)
    assert found["model"] == MODELS["Tiny-Q2_K.gguf"]


def test_a_tag_that_there_is_not_is_answered_with_those_that_there_are(mirror: Mirror) -> None:
    got = GoClient(mirror.url).ask("GET", f"/v2/{published(mirror)}/manifests/Q5_1", f"Accept: {DOCKER}")
    (error,) = json.loads(got.body)["errors"]
    assert (got.status, error["code"]) == (404, "MANIFEST_UNKNOWN")
    assert error["message"].endswith("has no tag Q5_1; its quantizations are F16, Q2_K, Q4_K_M, Q8_0")


def test_a_model_in_parts_and_a_repo_without_gguf_have_nothing_for_ollama_and_say_so(mirror: Mirror) -> None:
    client, split, other = GoClient(mirror.url), published(mirror), published(mirror, {"model.bin": b"x" * 50})
    for name, tag in ((split, "F16"), (other, "latest")):
        got = client.ask("GET", f"/v2/{name}/manifests/{tag}", f"Accept: {DOCKER}")
        (error,) = json.loads(got.body)["errors"]
        assert (got.status, error["code"], "whole ones alone" in error["message"]) == (404, "MANIFEST_UNKNOWN", True)


def test_docker_model_runner_gets_a_quantization_as_a_modelpack_by_its_tag_and_its_digest(mirror: Mirror) -> None:
    """It asks as containerd does: HEAD by tag with all types it knows, GET by digest, blobs plainly."""
    name, client = published(mirror).lower(), GoClient(mirror.url)
    accept = f"Accept: {DOCKER}, application/vnd.oci.image.index.v1+json, {OCI}, */*"
    for tag, files in (("Q8_0", ["Tiny-Q8_0.gguf"]), ("f16", [path for path in MODELS if path.startswith("big/")])):
        head = client.ask("HEAD", f"/v2/{name}/manifests/{tag}", accept)
        assert (head.status, head.headers["content-type"]) == (200, OCI)
        got = client.ask("GET", f"/v2/{name}/manifests/{head.headers['docker-content-digest']}", accept)
        manifest = json.loads(got.body)
        assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
        config = json.loads(client.ask("GET", f"/v2/{name}/blobs/{manifest['config']['digest']}").body)
        assert config["config"] == {"format": "gguf", "quantization": tag.upper()}
        blobs = {
            layer["annotations"]["org.cncf.model.filepath"]: client.ask(
                "GET", f"/v2/{name}/blobs/{layer['digest']}"
            ).body
            for layer in manifest["layers"]
        }
        assert blobs == {path: MODELS[path] for path in files}


def test_several_headers_of_what_is_accepted_count_together(mirror: Mirror) -> None:
    got = GoClient(mirror.url).ask(
        "GET", f"/v2/{published(mirror)}/manifests/latest", f"Accept: {DOCKER}", f"Accept: {OCI}"
    )
    assert (got.status, got.headers["content-type"]) == (200, OCI)


@pytest.mark.parametrize("count", [36, 100, 1000])
def test_the_right_one_is_found_among_many_files(mirror: Mirror, count: int) -> None:
    words = [f"IQ{number}_X" for number in range(count - 1)]
    files = {f"Many-{word}.gguf": gguf(word, 30) for word in (*words, "Q4_K_M")}
    name, client = published(mirror, files), GoClient(mirror.url)
    _, found = client.pull(name, "latest")
    assert found["model"] == files["Many-Q4_K_M.gguf"]
    _, found = client.pull(name, f"iq{count - 2}_x")
    assert found["model"] == files[f"Many-IQ{count - 2}_X.gguf"]


@pytest.mark.parametrize("count", [36, 100, 1000])
def test_llama_cpp_which_reads_one_page_of_a_listing_finds_the_right_file(mirror: Mirror, count: int) -> None:
    """`-hf` with HF_ENDPOINT: refs, one page of the tree at the commit of main, HEAD and GET of the file."""
    stems = [
        f"Mistral-7B-Instruct-v0.3-{word}{number}" for number in range(count // 4) for word in ("IQ", "Q3_K", "Q5_")
    ]
    files = {f"{stem}.gguf": b"GGUF" + stem.encode() for stem in stems[: count - 3]}
    files |= {"Mistral-7B-Instruct-v0.3-Q4_K_M.gguf": b"GGUF the right one", "README.md": b"# many"}
    name, client = published(mirror, files), GoClient(mirror.url)
    (main,) = json.loads(client.ask("GET", f"/api/models/{name}/refs").body)["branches"]
    tree = json.loads(client.ask("GET", f"/api/models/{name}/tree/{main['targetCommit']}?recursive=true").body)
    found = next(one["path"] for one in tree if "Q4_K_M." in one["path"])
    head = client.ask("HEAD", f"/{name}/resolve/{main['targetCommit']}/{found}")
    assert (head.status, head.headers["accept-ranges"]) == (200, "bytes")
    assert client.ask("GET", f"/{name}/resolve/{main['targetCommit']}/{found}").body == b"GGUF the right one"
