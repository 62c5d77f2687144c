"""What jobs.yaml says reaches the part that acts on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.bootstrap import Mirror
from mirror_sync.config.load import load
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.errors import StoreDenied
from mirror_sync.ports import read_all
from mirror_sync.stores.s3 import S3Options, S3Store
from tests.servers.bucket import S3Server
from tests.stores.scripted import Answer, scripted

STRAY = b"nothing refers to this"
KEY = blob_key(Sha256.of(STRAY))


def _mirror(folder: Path, target: dict[str, Any], **more: Any) -> Mirror:
    settings = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"local": {"kind": "directory", "url": str(folder / "upstream")}},
        "targets": {"it": target},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "a", "repos": ["acme/x"]}],
        **more,
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return Mirror(load(path, {}))


@pytest.mark.parametrize(("grace", "removed"), [("0s", 1), ("48h", 0)])
def test_the_grace_of_a_target_decides_what_prune_spares(tmp_path: Path, grace: str, removed: int) -> None:
    mirror = _mirror(tmp_path, {"url": str(tmp_path / "mirror"), "grace": grace})
    store = mirror.store("it")
    store.put(KEY, STRAY, Sha256.of(STRAY))
    report = mirror.prune()
    assert (report.blobs, report.blobs + report.young) == (removed, 1)
    assert (store.stat(KEY) is None) is bool(removed)
    mirror.close()


@pytest.mark.parametrize("access", ["public", "private"])
def test_a_front_reads_a_bucket_signed_unless_it_is_public(
    radosgw: S3Server, tmp_path: Path, access: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = radosgw.make_bucket()
    signed = S3Options(radosgw.endpoint_url, access_key=radosgw.access_key, secret_key=radosgw.secret_key)
    S3Store(bucket, "", signed).put(KEY, STRAY, Sha256.of(STRAY))
    everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    radosgw.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    target = {"url": f"s3://{bucket}", "endpoint_url": radosgw.endpoint_url}
    store = _mirror(tmp_path, target, front={"bucket": access}).store("it")
    if access == "public":
        assert read_all(store, KEY, 100) == STRAY
    else:
        with pytest.raises(StoreDenied):
            read_all(store, KEY, 100)


@pytest.mark.parametrize("signs", [True, False])
def test_the_parts_of_a_bucket_are_signed_where_its_target_says_so(tmp_path: Path, signs: bool) -> None:
    """Over plain http too: the second hash of every byte is the operator's to ask for."""
    begun = Answer(body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    with scripted(lambda asked: begun if asked.method == "POST" else Answer(headers={"ETag": '"e"'})) as server:
        keys = {"access_key": "AKEY", "secret_key": "a-secret", "region": "us-east-1", "addressing": "path"}
        target = {"url": "s3://models", "endpoint_url": server.endpoint_url, "sign_parts": signs, **keys}
        _mirror(tmp_path, target).store("it").begin(KEY, len(STRAY)).put(0, STRAY)
    (part,) = [asked for asked in server.asked if asked.method == "PUT"]
    assert part.headers["x-amz-content-sha256"] == (Sha256.of(STRAY) if signs else "UNSIGNED-PAYLOAD")
