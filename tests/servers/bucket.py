"""What every S3 server of the tests looks like to a test."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from mirror_sync.domain.job.targets import S3Target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """Where an S3 server answers, and the keys of a user who may do everything."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = REGION
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1), repr=False, compare=False)

    def client(self) -> S3Client:
        """A boto3 client of its own, path-addressed, without the checksums that only AWS knows."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
                retries={"max_attempts": 1},
            ),
        )

    def make_bucket(self, name: str | None = None) -> str:
        """Makes an empty bucket and returns its name; a new name at every call unless one is given."""
        bucket = name or f"bucket-{next(self._numbers)}"
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def target(self, prefix: str = "", *, bucket: str | None = None, endpoint_url: str | None = None) -> S3Target:
        """In a bucket of its own, unless one is named; `prefix` ends with a slash, if it is any."""
        return S3Target(
            bucket or self.make_bucket(),
            endpoint_url or self.endpoint_url,
            self.region,
            self.access_key,
            self.secret_key,
            prefix,
            addressing="path",
        )

    def place(self, prefix: str = "", *, bucket: str | None = None, endpoint_url: str | None = None) -> dict[str, str]:
        """The same as jobs.yaml has it."""
        return {
            "url": f"s3://{bucket or self.make_bucket()}/{prefix}".rstrip("/"),
            "endpoint_url": endpoint_url or self.endpoint_url,
            "region": self.region,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "addressing": "path",
        }

    def empty(self, bucket: str) -> None:
        """Removes everything from a bucket, unfinished uploads included."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for one in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=one["Key"])
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
