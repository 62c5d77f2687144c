"""What is read at a registry is counted as reads of the repo's files, whatever a client calls the repo."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.alias import encode
from mirror_sync.domain.content.keys import alias_key, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.traffic import TrafficReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.test_access_log import logged
from tests.front.test_ollama import GoClient
from tests.signing.mirrors import SignedMirror

REPO = Repo(Kind.MODEL, "acme/Tiny")
FILES = {"tiny-Q4_K_M.gguf": "GGUF " * 5000, "config.json": "{}"}
FILES_AND_CARD = len(FILES) + 1


@pytest.fixture
def made(tmp_path: Path) -> SignedMirror:
    """A directory with a registry's documents."""
    mirror = SignedMirror(tmp_path, {"url": (tmp_path / "bucket").as_uri()}, front={"oci": True})
    mirror.trust = {}
    mirror.add(REPO.id, FILES)
    with closing(mirror.mirror()) as running:
        assert running.sync(BY_DAEMON).ok
    return mirror


def counted(made: SignedMirror, log: Path) -> TrafficReport:
    with closing(made.mirror()) as running:
        return running.traffic("mirror", [str(log)])


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_each_client_of_a_registry_counts_the_files_that_it_reads(made: SignedMirror, front: str) -> None:
    store = DirectoryStore(made.folder / "bucket")
    former = Repo(REPO.kind, "old/name")
    alias = encode(REPO)
    store.put(alias_key(former), alias, Sha256.of(alias))
    with logged(front, made.folder, store) as (mirror, log):
        _, layers = GoClient(mirror.url).pull("acme/tiny", "Q4_K_M")
        assert layers["model"] == FILES["tiny-Q4_K_M.gguf"].encode()
        for name in ("acme/Tiny", "acme/tiny", "OLD/name"):
            manifest = mirror.get(f"/v2/{name}/manifests/latest").json
            for layer in (*manifest["layers"], manifest["config"]):
                assert mirror.get(f"/v2/{name}/blobs/{layer['digest']}").status == 200
        for name in ("acme/none", "old/names"):
            assert mirror.get(f"/v2/{name}/manifests/latest").status == 404
    report = counted(made, log)
    assert set(report.repos) == {REPO}
    assert report.repos[REPO].downloads == 1 + 3 * FILES_AND_CARD
    assert report.repos[REPO].bytes > 4 * len(FILES["tiny-Q4_K_M.gguf"])
    assert {str(repo) for repo in report.misses} == {"acme/none", "old/names"}


def test_who_reads_far_more_than_usual_at_a_registry_is_told(made: SignedMirror) -> None:
    today, lines = datetime.now(UTC), []
    blob = f"/v2/acme/tiny/blobs/sha256:{Sha256.of(FILES['tiny-Q4_K_M.gguf'].encode())}"
    fields = {"method": "GET", "uri": blob, "status": 200, "seconds": 0.1, "range": "", "commit": "", "agent": "skopeo"}
    for days in range(5):
        at = (today - timedelta(days=days)).isoformat(timespec="seconds")
        lines.append(json.dumps({"time": at, "client": "10.0.0.1", "bytes": 10**6, **fields}))
        if not days:
            lines.append(json.dumps({"time": at, "client": "10.0.0.9", "bytes": 10**9, **fields}))
    log = made.folder / "access.log"
    log.write_text("\n".join(lines), encoding="utf-8")
    (found,) = counted(made, log).unusual
    assert (found.kind, found.client, found.names) == ("newcomer", "10.0.0.9", 1)


def test_a_registry_whose_documents_are_damaged_is_counted_all_the_same(made: SignedMirror) -> None:
    store = DirectoryStore(made.folder / "bucket")
    root = made.root(REPO.id)
    (made.folder / "bucket" / blob_key(root.attachments["oci.more"])).write_bytes(b"{}")
    with logged("serve", made.folder, store) as (mirror, log):
        manifest = mirror.get("/v2/acme/tiny/manifests/main")
        digest = Sha256.of(FILES["config.json"].encode())
        assert manifest.status >= 400
        assert mirror.get(f"/v2/acme/tiny/blobs/sha256:{digest}").status == 200
    assert counted(made, log).repos[REPO].downloads == 1
