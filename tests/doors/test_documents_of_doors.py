"""What a registry needs is made with a snapshot, or later of what is published: few documents, and no file twice."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from mirror_sync.app.trust.signing_repos import SignReport
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import BLOBS, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.oci_documents import CONFIG, MANIFEST, MORE
from mirror_sync.domain.doors.oci_images import IMAGE, LAYERS, image_fault, layer_of
from mirror_sync.domain.doors.tar_layers import pieces_of
from mirror_sync.engine.doors.image_layers import image_layers
from mirror_sync.errors import DocumentError, Interrupted, UsageError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Store
from mirror_sync.stores.wrapped_store import WrappedStore
from tests.published_files import read_manifest
from tests.signing.mirrors import REPO, SignedMirror

DOCUMENTS = {MANIFEST, CONFIG, MORE, IMAGE, LAYERS}
MOST = 10  # documents of a commit, whatever its number of files


def doors(mirror: SignedMirror) -> SignReport:
    with closing(mirror.mirror()) as running:
        return running.open_doors(BY_DAEMON)


def blobs(mirror: SignedMirror) -> dict[str, int]:
    """All that is stored but refs.json and the like, by key: bytes."""
    return {stat.key: stat.size for stat in mirror.store.list(BLOBS)}


def test_a_sync_makes_what_a_registry_needs_and_the_next_one_changes_nothing(opened: SignedMirror) -> None:
    opened.sync()
    refs, root = opened.refs(), opened.root()
    assert set(root.attachments) == DOCUMENTS
    layers = json.loads(opened.attachment(MANIFEST))["layers"]
    found = {layer["annotations"]["org.cncf.model.filepath"]: layer["digest"] for layer in layers}
    assert found == {path: f"sha256:{file.sha256}" for path, file in read_manifest(opened.store, root).items()}
    opened.sync()
    assert opened.refs() == refs


@pytest.mark.parametrize("files", [3, 400])
def test_no_byte_of_a_file_is_stored_twice_and_documents_are_few_whatever_there_is(tmp_path: Path, files: int) -> None:
    made, stored = SignedMirror(tmp_path, {}), []
    made.trust = {}
    made.add(REPO, {f"part-{number:03}.bin": f"{number}" * 40 for number in range(files)})
    made.add(REPO, {f"model-{name}.gguf": f"GGUF {name}" * 50 for name in ("Q4_K_M", "Q8_0", "F16", "IQ2_XS")})
    for name, made.front in (("shut", {}), ("open", {"oci": {"images": True}})):
        made.target = {"url": (tmp_path / name).as_uri()}
        made.sync()
        stored.append((blobs(made), made.root()))
    (shut, _), (opened, root) = stored
    more = {key: size for key, size in opened.items() if key not in shut}
    documents = {blob_key(digest) for digest in root.attachments.values()}
    assert documents <= set(more)
    assert len(more) - 1 == len(documents) <= MOST, "what is new are these documents, and the root that names them"
    assert sum(more.values()) < 1024 * (files + 20), "some hundred bytes a file, and some thousand a quantization"


def test_what_was_published_before_the_door_was_opened_is_made_ready_by_one_command(opened: SignedMirror) -> None:
    opened.front = {}
    opened.sync()
    before = opened.refs()
    with pytest.raises(UsageError, match=r"front: \{oci: true\}"):
        doors(opened)
    opened.front = {"oci": {"images": True}}
    (done,) = doors(opened).repos
    assert (done.snapshots, done.problem) == (1, "")
    after = opened.refs()
    assert (after.refs, after.snapshots.keys()) == (before.refs, before.snapshots.keys())
    assert set(opened.root().attachments) == DOCUMENTS
    (again,) = doors(opened).repos
    assert (again.snapshots, opened.refs()) == (0, after)
    opened.sync()
    assert opened.refs() == after, "a snapshot that is made ready is no other one"


def test_layers_are_hashed_of_the_very_bytes_and_what_has_not_changed_is_not_read_again(opened: SignedMirror) -> None:
    opened.sync()
    (layer,) = json.loads(next(text for kind, text in _texts(opened) if kind.endswith("image.manifest.v1+json")))[
        "layers"
    ]
    one = layer_of(opened.attachment(LAYERS), Sha256(layer["digest"].partition(":")[2]))
    assert one is not None
    bodies = (piece if isinstance(piece, bytes) else opened.body(piece.sha256) for piece in pieces_of(one.files))
    body = b"".join(bodies)
    assert (Sha256.of(body), len(body)) == (one.digest, layer["size"])
    base = opened.root()
    files = read_manifest(opened.store, base).values()
    counted = CountedReads(opened.store, {blob_key(file.sha256) for file in files})
    assert image_layers(counted, files, base, lambda: None) == [one]
    assert counted.files == 0
    assert image_layers(counted, files, None, lambda: None) == [one]
    assert counted.files == len([file for file in files if file.size])
    with pytest.raises(Interrupted):
        image_layers(opened.store, files, None, _stop)


def test_no_image_is_made_of_bytes_that_rotted(opened: SignedMirror) -> None:
    opened.sync()
    file = max(read_manifest(opened.store, opened.root()).values(), key=lambda one: one.size)
    opened.overwrite(file.sha256, b"?" * file.size)
    with pytest.raises(DocumentError, match="holds other bytes"):
        image_layers(opened.store, [file], None, lambda: None)


class CountedReads(WrappedStore):
    """Counts reads of some blobs."""

    def __init__(self, store: Store, counted: Collection[str]) -> None:
        super().__init__(store)
        self._counted, self.files = counted, 0

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self.files += key in self._counted
        return super().read(key, start, stop)


def _stop() -> None:
    raise Interrupted("stopped before the end")


def _texts(mirror: SignedMirror) -> list[list[str]]:
    found: list[list[str]] = list(json.loads(mirror.attachment(IMAGE))["texts"].values())
    return found


def test_the_documents_are_kept_and_proved_with_the_snapshot(opened: SignedMirror) -> None:
    opened.sync()
    with closing(opened.mirror()) as mirror:
        assert mirror.verify(BY_DAEMON).ok
        mirror.prune(BY_DAEMON)
        assert mirror.verify(BY_DAEMON).ok
        opened.overwrite(opened.root().attachments[MANIFEST], b"something else")
        assert not mirror.verify(BY_DAEMON).ok


def test_a_commit_that_makes_no_image_is_told_with_the_reason(tmp_path: Path) -> None:
    made = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    made.trust = {}
    made.add("acme/odd", {"a/.wh.b": "deletes another one"})
    made.sync()
    made.front = {"oci": {"images": True}}
    for ready in (1, 0):
        told = {one.repo.id: one for one in doors(made).repos}
        assert (told[REPO].snapshots, told[REPO].imageless) == (ready, ())
        (why,) = told["acme/odd"].imageless
        assert why.endswith(": a/.wh.b has a part that begins with .wh., which in a layer deletes another file")
    assert "nothing could be mounted" in image_fault(())


def test_what_is_signed_anew_is_told_of_anew(tmp_path: Path) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()}, front={"oci": True})
    trust, signed.trust = signed.trust, {}
    signed.sync()
    assert json.loads(signed.attachment(MORE))["referrers"] == []
    manifest = signed.root().attachments[MANIFEST]
    signed.trust = trust
    with closing(signed.mirror()) as mirror:
        assert mirror.sign(BY_DAEMON).ok
    kinds = [one["artifactType"] for one in json.loads(signed.attachment(MORE))["referrers"]]
    assert kinds == [
        "application/vnd.mirror-sync.sha256sums.v1",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.cyclonedx+json",
        "application/spdx+json",
    ]
    assert signed.root().attachments[MANIFEST] == manifest, "a manifest says nothing of what signs it"
    assert signed.prove().ok


def test_a_manifest_is_a_function_of_the_snapshot(tmp_path: Path) -> None:
    digests = set[Sha256]()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        made = SignedMirror(tmp_path / name, {"url": (tmp_path / name / "mirror").as_uri()}, front={"oci": True})
        made.trust = {}
        made.sync()
        digests.add(made.root().attachments[MANIFEST])
    assert len(digests) == 1
