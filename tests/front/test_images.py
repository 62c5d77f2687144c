"""A commit as an image: layers that no target stores, put together as they are read, the same by every front."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.content.keys import BLOBS, blob_key
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from tests.front.bucket import Published, model
from tests.front.mirrors import Mirror, by_either

FILES = {
    "README.md": b"# a model",
    "model.safetensors": bytes(range(256)) * 700,
    "empty": b"",
    "sub dir/gr\u00f6\u00dfe.txt": b"more",
    "deep/er/" + "n" * 150: b"x" * 512,
}
MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


def imaged(mirror: Mirror, files: dict[str, bytes] | None = None) -> tuple[Published, CommitId, str]:
    repo = model(mirror.store)
    commit = repo.publish(files or FILES, registry=True)
    return repo, commit, f"/v2/{repo.repo.id.lower()}"


def manifest_of(mirror: Mirror, at: str, tag: str = "latest-image") -> dict[str, Any]:
    """By the index, as clients that run on amd64 take it."""
    index = mirror.get(f"{at}/manifests/{tag}", Accept=MANIFESTS)
    assert (index.status, index.header("Content-Type")) == (200, "application/vnd.oci.image.index.v1+json")
    assert index.header("Docker-Content-Digest") == f"sha256:{Sha256.of(index.body)}"
    assert mirror.get(f"{at}/manifests/sha256:{Sha256.of(index.body)}").body == index.body
    (one,) = [each for each in index.json["manifests"] if each["platform"]["architecture"] == "amd64"]
    found: dict[str, Any] = mirror.get(f"{at}/manifests/{one['digest']}").json
    return found


def test_a_layer_of_many_empty_files_is_the_same_bytes(mirror: Mirror) -> None:
    _, _, at = imaged(mirror, {"README.md": b"r"} | {f"marks/{number:04}": b"" for number in range(2000)})
    (layer,) = manifest_of(mirror, at)["layers"]
    reply = mirror.get(f"{at}/blobs/{layer['digest']}")
    assert f"sha256:{Sha256.of(reply.body)}" == layer["digest"]
    some = mirror.get(f"{at}/blobs/{layer['digest']}", Range="bytes=700000-700999")
    assert (some.status, some.body) == (206, reply.body[700000:701000])


def test_an_image_unpacks_to_the_very_files_and_nothing_of_it_is_stored(mirror: Mirror) -> None:
    _, commit, at = imaged(mirror)
    for tag in ("latest-image", "main-image", f"{commit}-image"):
        manifest = manifest_of(mirror, at, tag)
        config = mirror.get(f"{at}/blobs/{manifest['config']['digest']}")
        assert config.status == 200
        (layer,) = manifest["layers"]
        assert config.json["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}
        reply = mirror.get(f"{at}/blobs/{layer['digest']}")
        assert (reply.status, len(reply.body)) == (200, layer["size"])
        assert f"sha256:{Sha256.of(reply.body)}" == layer["digest"]
        assert reply.header("X-Repo-Commit") == commit
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
            members = archive.getmembers()
            found = {one.name: archive.extractfile(one).read() for one in members if one.isfile()}  # type: ignore[union-attr]
        assert found == FILES
        assert {(one.uid, one.gid, one.mtime, one.mode) for one in members if one.isfile()} == {(0, 0, 0, 0o644)}
    assert blob_key(Sha256.of(reply.body)) not in {stat.key for stat in mirror.store.list(BLOBS)}


def test_ranges_go_over_the_seams_and_head_says_what_get_does(mirror: Mirror) -> None:
    _, _, at = imaged(mirror)
    target = f"{at}/blobs/{manifest_of(mirror, at)['layers'][0]['digest']}"
    whole = mirror.get(target)
    size = len(whole.body)
    for first, last in ((0, 0), (511, 512), (500, 1100), (1023, size - 1), (size - 1030, size - 1), (size - 1, size)):
        reply = mirror.get(target, Range=f"bytes={first}-{last}")
        assert (reply.status, reply.body) == (206, whole.body[first : last + 1]), (first, last)
        assert reply.header("Content-Range") == f"bytes {first}-{min(last, size - 1)}/{size}"
    assert mirror.get(target, Range="bytes=-700").body == whole.body[-700:]
    assert mirror.get(target, Range=f"bytes={size}-").status == 416
    assert mirror.get(target, **{"If-None-Match": str(whole.header("ETag"))}).status == 304
    head = mirror.head(target)
    for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Access-Control-Allow-Origin"):
        assert head.header(name) == whole.header(name), name
    assert whole.header("Access-Control-Allow-Origin") == "*"


def test_a_layer_is_given_of_its_own_repo_alone(mirror: Mirror) -> None:
    _, _, at = imaged(mirror)
    _, _, other = imaged(mirror, {"other": b"else"})
    digest = manifest_of(mirror, at)["layers"][0]["digest"]
    assert mirror.get(f"{other}/blobs/{digest}").status == 404
    assert mirror.head(f"{at}/blobs/{digest}").status == 200


def test_a_branch_that_is_called_like_an_image_is_that_branch(mirror: Mirror) -> None:
    repo, commit, at = imaged(mirror)
    repo.name("refs/heads/main-image", commit)
    reply = mirror.get(f"{at}/manifests/main-image")
    assert reply.header("Content-Type") == "application/vnd.oci.image.manifest.v1+json"
    assert reply.json["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"


def test_tags_name_the_image_and_what_has_none_says_why(mirror: Mirror) -> None:
    _, _, at = imaged(mirror)
    assert {"main-image", "latest-image"} <= set(mirror.get(f"{at}/tags/list").json["tags"])
    _, _, odd = imaged(mirror, {".wh.README.md": b"deletes another", "README.md": b"x"})
    reply = mirror.get(f"{odd}/manifests/latest-image")
    assert reply.status == 404
    assert ".wh." in reply.json["errors"][0]["message"]
    assert mirror.get(f"{at}/manifests/none-image").status == 404


def test_a_layer_of_which_a_file_is_gone_breaks_off(mirror: Mirror) -> None:
    lost = b"lost" * 100_000
    repo, _, at = imaged(mirror, {**FILES, "lost": lost})
    digest = manifest_of(mirror, at)["layers"][0]["digest"]
    repo.store.delete([blob_key(Sha256.of(lost))])
    with pytest.raises(Exception, match=r"IncompleteRead|more expected|reset|closed"):
        mirror.get(f"{at}/blobs/{digest}")


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_no_image_is_given_where_jobs_yaml_opens_none(front: str, tmp_path: Path) -> None:
    doors = frozenset({"oci"})
    with by_either(front, DirectoryTarget(tmp_path / "bucket"), tmp_path / "front", doors=doors) as mirror:
        _, _, at = imaged(mirror)
        assert mirror.get(f"{at}/manifests/main").status == 200
        assert mirror.get(f"{at}/manifests/latest-image").status == 404
        assert not [tag for tag in mirror.get(f"{at}/tags/list").json["tags"] if tag.endswith("-image")]
        assert json.loads(mirror.get("/v2/").body) == {}
