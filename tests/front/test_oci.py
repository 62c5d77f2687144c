"""A registry of OCI over what is mirrored: the pull part of the conformance suite of distribution-spec 1.1 as a table,
and what clients were seen to need beyond it, the same on every front and target.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mirror_sync.domain.content.alias import encode as encode_alias
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.protocols.oci import A_COMMIT, MOST_READ
from tests.front.bucket import Published, dataset, model
from tests.front.mirrors import PATIENCE, Mirror, Reply, by_either

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
FILES = {
    "README.md": b"# a model",
    "config.json": b"{}",
    "model.safetensors": b"weights" * 500,
    "vorlage/gr\u00f6\u00dfe.txt": b"x",
    "empty": b"",
}
ATTACHED = {"SHA256SUMS": b"sums", "SHA256SUMS.sig": b"sig", "bom.cdx.json": b'{"bomFormat":"CycloneDX"}'}
NOWHERE = "0" * 64


class Registered(NamedTuple):
    """A repo with what clients of registries need, and its address there."""

    repo: Published
    commit: CommitId
    at: str


def registered(mirror: Mirror, files: dict[str, bytes] | None = None, **more: Any) -> Registered:
    repo = model(mirror.store)
    commit = repo.publish(files or FILES, registry=True, **more)
    return Registered(repo, commit, f"/v2/{repo.repo.id.lower()}")


def errors(reply: Reply) -> tuple[int, list[str]]:
    return reply.status, [one["code"] for one in reply.json["errors"]]


def test_it_says_that_it_is_a_registry(mirror: Mirror) -> None:
    for target in ("/v2/", "/v2"):
        reply = mirror.get(target)
        assert (reply.status, reply.json, reply.header("Docker-Distribution-API-Version")) == (200, {}, "registry/2.0")
    assert mirror.head("/v2/").status == 200


def test_a_commit_is_a_manifest_whose_layers_are_the_files_themselves(mirror: Mirror) -> None:
    one = registered(mirror)
    reply = mirror.get(f"{one.at}/manifests/main")
    assert (reply.status, reply.header("Content-Type")) == (200, OCI)
    assert reply.header("Docker-Content-Digest") == f"sha256:{Sha256.of(reply.body)}"
    assert reply.header("X-Repo-Commit") == one.commit
    layers = {each["annotations"]["org.cncf.model.filepath"]: each for each in reply.json["layers"]}
    assert list(layers) == sorted(path for path, body in FILES.items() if body)
    for path, layer in layers.items():
        assert (layer["digest"], layer["size"]) == (f"sha256:{Sha256.of(FILES[path])}", len(FILES[path]))
        blob = mirror.get(f"{one.at}/blobs/{layer['digest']}")
        assert (blob.status, blob.body, blob.header("Content-Type")) == (200, FILES[path], "application/octet-stream")
        assert blob.header("Location") == f"{one.at}/blobs/{layer['digest']}"
    config = mirror.get(f"{one.at}/blobs/{reply.json['config']['digest']}").json
    assert config["config"] == {"format": "safetensors"}
    assert config["descriptor"]["description"] == 'empty files: ["empty"]'
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in layers.values()]


def test_what_is_searched_for_a_digest_is_bounded_and_what_has_a_name_comes_first(mirror: Mirror) -> None:
    one = registered(mirror)
    for _ in range(MOST_READ // A_COMMIT):
        one.repo.publish({"a": b"a"}, branch=None, registry=True)
    for target in (f"blobs/sha256:{NOWHERE}", f"manifests/sha256:{NOWHERE}"):
        assert errors(mirror.get(f"{one.at}/{target}")) == (413, ["UNKNOWN"])
    assert mirror.get(f"{one.at}/blobs/sha256:{Sha256.of(FILES['README.md'])}").body == FILES["README.md"]


class Pull(NamedTuple):
    """A request of the conformance suite: what it asks for, in words that `_filled` knows, and what is right."""

    method: str
    target: str
    status: int
    code: str = ""


PULLS = (
    Pull("GET", "/manifests/main", 200),
    Pull("HEAD", "/manifests/main", 200),
    Pull("GET", "/manifests/latest", 200),
    Pull("GET", "/manifests/{commit}", 200),
    Pull("GET", "/manifests/sha256:{manifest}", 200),
    Pull("GET", "/manifests/sha256%3A{manifest}", 200),
    Pull("HEAD", "/manifests/sha256:{manifest}", 200),
    Pull("GET", "/manifests/none", 404, "MANIFEST_UNKNOWN"),
    Pull("HEAD", "/manifests/none", 404),
    Pull("GET", "/manifests/sha256:" + NOWHERE, 404, "MANIFEST_UNKNOWN"),
    Pull("GET", "/manifests/sha256:{file}", 404, "MANIFEST_UNKNOWN"),
    Pull("GET", "/manifests/.none", 404, "NAME_UNKNOWN"),
    Pull("GET", "/blobs/sha256:{file}", 200),
    Pull("HEAD", "/blobs/sha256:{file}", 200),
    Pull("GET", "/blobs/sha256:{config}", 200),
    Pull("HEAD", "/blobs/sha256:{config}", 200),
    Pull("GET", "/blobs/sha256:{manifest}", 200),
    Pull("GET", "/blobs/sha256:" + NOWHERE, 404, "BLOB_UNKNOWN"),
    Pull("HEAD", "/blobs/sha256:" + NOWHERE, 404),
    Pull("GET", "/blobs/sha256:none", 404, "NAME_UNKNOWN"),
    Pull("GET", "/tags/list", 200),
    Pull("GET", "/tags/list?n=none", 400, "NAME_INVALID"),
    Pull("GET", "/tags/list?n=1%0A", 400, "NAME_INVALID"),
    Pull("GET", "/referrers/sha256:{manifest}", 200),
    Pull("GET", "/referrers/sha256:" + NOWHERE, 200),
    Pull("POST", "/blobs/uploads/", 405, "UNSUPPORTED"),
    Pull("PUT", "/manifests/main", 405, "UNSUPPORTED"),
    Pull("DELETE", "/manifests/sha256:{manifest}", 405, "UNSUPPORTED"),
    Pull("GET", "/_catalog/x", 404, "NAME_UNKNOWN"),
)


@pytest.mark.parametrize("pull", PULLS, ids=lambda pull: f"{pull.method} {pull.target}")
def test_the_pull_part_of_the_conformance_suite(mirror: Mirror, pull: Pull) -> None:
    one = registered(mirror)
    manifest = mirror.get(f"{one.at}/manifests/main").body
    words = {
        "commit": one.commit,
        "manifest": Sha256.of(manifest),
        "config": json.loads(manifest)["config"]["digest"].partition(":")[2],
        "file": Sha256.of(FILES["model.safetensors"]),
    }
    reply = mirror.ask(pull.method, one.at + pull.target.format_map(words))
    assert reply.status == pull.status, reply.body[:300]
    if pull.code:
        assert errors(reply) == (pull.status, [pull.code])
        assert (reply.header("Content-Type") or "").startswith("application/json")
    if pull.method == "HEAD" and pull.status == 200:
        got = mirror.get(one.at + pull.target.format_map(words))
        for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Location"):
            assert reply.header(name) == got.header(name), name


def test_a_repo_that_is_none_is_told_in_the_form_of_the_spec(mirror: Mirror) -> None:
    for target in ("manifests/main", f"blobs/sha256:{NOWHERE}", "tags/list", f"referrers/sha256:{NOWHERE}"):
        assert errors(mirror.get(f"/v2/acme/not-here/{target}")) == (404, ["NAME_UNKNOWN"]), target


def test_a_blob_is_given_of_its_own_repo_alone(mirror: Mirror) -> None:
    one, other = registered(mirror), registered(mirror, {"f": b"of the other one alone"})
    assert errors(mirror.get(f"{one.at}/blobs/sha256:{Sha256.of(b'of the other one alone')}")) == (
        404,
        ["BLOB_UNKNOWN"],
    )
    assert mirror.get(f"{other.at}/blobs/sha256:{Sha256.of(b'of the other one alone')}").status == 200


def test_a_blob_answers_ranges_and_conditions(mirror: Mirror) -> None:
    one, body = registered(mirror), FILES["model.safetensors"]
    at = f"{one.at}/blobs/sha256:{Sha256.of(body)}"
    part = mirror.get(at, Range="bytes=7-13")
    assert (part.status, part.body, part.header("Content-Range")) == (206, body[7:14], f"bytes 7-13/{len(body)}")
    assert mirror.get(at, Range="bytes=99999-").status == 416
    assert mirror.get(at, If_None_Match=f'"{Sha256.of(body)}"').status == 304


def test_names_are_matched_in_any_letters_and_former_ones_too(mirror: Mirror) -> None:
    one = registered(mirror)
    body = encode_alias(one.repo.repo)
    former = f"{one.repo.repo.id.lower()}-before"
    mirror.store.put(alias_key(Repo(Kind.MODEL, former)), body, Sha256.of(body))
    digest = mirror.get(f"{one.at}/manifests/main").header("Docker-Content-Digest")
    for name in (one.repo.repo.id, one.repo.repo.id.upper(), former):
        reply = mirror.get(f"/v2/{name}/manifests/latest")
        assert (reply.status, reply.header("Docker-Content-Digest")) == (200, digest), name


def test_a_dataset_has_its_kind_in_front(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    repo.publish({"data/train.parquet": b"rows"}, registry=True)
    reply = mirror.get(f"/v2/datasets/{repo.repo.id}/manifests/latest")
    assert reply.json["layers"][0]["mediaType"] == "application/vnd.cncf.model.dataset.v1.raw"
    assert mirror.get(f"/v2/{repo.repo.id}/manifests/latest").status == 404


def test_tags_are_the_names_of_commits_in_pages(mirror: Mirror) -> None:
    one = registered(mirror)
    one.repo.tag("v1.0", one.commit)
    one.repo.name("refs/pr/1", one.commit)
    wanted = sorted(["latest", "latest-image", "main", "main-image", "v1.0", one.commit])
    mirror.get_until(
        f"{one.at}/tags/list", json.dumps({"name": one.at[4:], "tags": wanted}, separators=(",", ":")).encode()
    )
    first = mirror.get(f"{one.at}/tags/list?n=3")
    assert first.json["tags"] == wanted[:3]
    assert first.next_page == f"{one.at}/tags/list?n=3&last={wanted[2]}"
    rest = mirror.get(first.next_page or "")
    assert (rest.json["tags"], rest.next_page) == (wanted[3:], None)
    assert mirror.get(f"{one.at}/tags/list?n=0").json["tags"] == []


def test_what_proves_a_commit_refers_to_its_manifest(mirror: Mirror) -> None:
    one = registered(mirror, attached=ATTACHED)
    manifest = mirror.get(f"{one.at}/manifests/main")
    digest = manifest.header("Docker-Content-Digest")
    index = mirror.get(f"{one.at}/referrers/{digest}")
    assert index.header("Content-Type") == "application/vnd.oci.image.index.v1+json"
    kinds = [each["artifactType"] for each in index.json["manifests"]]
    assert kinds == ["application/vnd.mirror-sync.sha256sums.v1", "application/vnd.cyclonedx+json"]
    given = {}
    for each in index.json["manifests"]:
        reply = mirror.get(f"{one.at}/manifests/{each['digest']}")
        assert (reply.status, reply.header("Content-Type"), len(reply.body)) == (200, OCI, each["size"])
        assert reply.json["subject"]["digest"] == digest
        assert mirror.get(f"{one.at}/blobs/{reply.json['config']['digest']}").body == b"{}"
        for layer in reply.json["layers"]:
            blob = mirror.get(f"{one.at}/blobs/{layer['digest']}")
            given[layer["annotations"]["org.opencontainers.image.title"]] = blob.body
    assert given == ATTACHED
    some = mirror.get(f"{one.at}/referrers/{digest}?artifactType=application/vnd.cyclonedx%2Bjson")
    assert [each["artifactType"] for each in some.json["manifests"]] == ["application/vnd.cyclonedx+json"]
    assert some.header("OCI-Filters-Applied") == "artifactType"


def test_an_older_commit_is_pulled_by_its_id_and_its_digest(mirror: Mirror) -> None:
    one = registered(mirror)
    old = mirror.get(f"{one.at}/manifests/{one.commit}")
    one.repo.publish({"f": b"the newer one"}, registry=True)
    mirror.get_until(f"{one.repo.at}/resolve/main/f", b"the newer one")
    assert mirror.get(f"{one.at}/manifests/{one.commit}").body == old.body
    assert mirror.get(f"{one.at}/manifests/{old.header('Docker-Content-Digest')}").body == old.body
    assert mirror.get(f"{one.at}/blobs/sha256:{Sha256.of(FILES['README.md'])}").body == FILES["README.md"]


def test_what_was_published_before_the_door_was_opened_says_how_it_gets_there(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"older"})
    reply = mirror.get(f"/v2/{repo.repo.id}/manifests/main")
    assert errors(reply) == (404, ["MANIFEST_UNKNOWN"])
    assert "mirror-sync doors" in reply.json["errors"][0]["message"]


def test_a_large_blob_comes_whole_and_in_ranges_and_says_where_it_is(mirror: Mirror) -> None:
    body = bytes(range(251)) * 12_000  # three megabytes, which a front before S3 reads in slices
    one = registered(mirror, {"model.safetensors": body})
    at, digest = f"{one.at}/blobs/sha256:{Sha256.of(body)}", f"sha256:{Sha256.of(body)}"
    whole = mirror.get(at)
    assert (whole.status, whole.body == body) == (200, True)
    part = mirror.get(at, Range="bytes=2000000-2999999")
    assert (part.status, part.body == body[2_000_000:3_000_000]) == (206, True)
    for reply in (whole, part, mirror.head(at)):
        assert (reply.header("Location"), reply.header("Docker-Content-Digest")) == (at, digest)
        assert reply.header("Content-Type") == "application/octet-stream"


def test_what_was_taken_down_is_denied_with_the_word_why(mirror: Mirror) -> None:
    one = registered(mirror)
    one.repo.bury(Tombstone("2026-11-20T08:00:00Z", "a lawyer said so"))
    for target in ("manifests/main", f"blobs/sha256:{Sha256.of(FILES['README.md'])}", "tags/list"):
        limit = time.monotonic() + PATIENCE
        while (reply := mirror.get(f"{one.at}/{target}")).status == 200:
            assert time.monotonic() < limit
        assert errors(reply) == (403, ["DENIED"])
        assert "a lawyer said so" in reply.json["errors"][0]["message"]


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_the_door_is_shut_unless_it_was_opened(front: str, tmp_path: Path) -> None:
    with by_either(front, DirectoryTarget(tmp_path / "bucket"), tmp_path / "front", doors=frozenset()) as mirror:
        one = registered(mirror)
        for target in ("/v2/", "/v2/token", f"{one.at}/manifests/main", f"{one.at}/blobs/sha256:{NOWHERE}"):
            reply = mirror.get(target)
            assert errors(reply) == (404, ["NAME_UNKNOWN"]), target
            assert "front: {oci: true}" in reply.json["errors"][0]["message"]
