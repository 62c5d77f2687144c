"""A public bucket is read without any credentials; nothing is written without."""

import json

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.errors import StoreDenied
from mirror_sync.ports.store import read_all
from mirror_sync.stores.s3.bucket_store import S3Options, S3Store
from tests.servers.bucket import S3Server
from tests.stores.places import target_on


@pytest.fixture
def bucket(radosgw: S3Server) -> str:
    target = target_on(radosgw)
    S3Store(target).put("a/b", b"hello", Sha256.of(b"hello"))
    return target.bucket


def _publish(server: S3Server, bucket: str) -> None:
    everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def test_a_public_bucket_is_read_unsigned(radosgw: S3Server, bucket: str) -> None:
    _publish(radosgw, bucket)
    store = S3Store(S3Target(bucket, radosgw.endpoint_url), S3Options(unsigned=True))
    assert read_all(store, "a/b", 100) == b"hello"
    assert store.stat("a/c") is None


def test_a_private_bucket_is_not(radosgw: S3Server, bucket: str) -> None:
    store = S3Store(S3Target(bucket, radosgw.endpoint_url), S3Options(unsigned=True))
    with pytest.raises(StoreDenied):
        read_all(store, "a/b", 100)
