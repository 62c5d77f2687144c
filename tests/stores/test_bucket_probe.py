"""What `doctor` finds out of a bucket: a real server refuses what was not signed, and what conditions come to."""

from __future__ import annotations

from mirror_sync.stores.s3.bucket_probe import BucketProbe
from mirror_sync.stores.s3.client import S3Options
from tests.servers.radosgw import Gateway


def test_a_real_server_refuses_other_bytes_than_were_signed(radosgw: Gateway) -> None:
    bucket = radosgw.make_bucket()
    probe = BucketProbe(radosgw.target("p/", bucket=bucket), S3Options(attempts=1))
    assert not probe.takes_other_bytes("blobs/x")
    assert "Contents" not in radosgw.client().list_objects_v2(Bucket=bucket)
    radosgw.client().put_object(Bucket=bucket, Key="p/blobs/x", Body=b"there")
    assert probe.condition("blobs/x") == "kept"
