"""Which requests are meant for the S3 door, and the address of ours that each of them comes to.

At the front's own address a request is S3's that says so by a query or a header of S3's clients, and it wins over all
other routes; at the door's own port every one is. What S3 has in a query (a listing, a bucket's location) becomes a
path below ROOT, so that the one table of routes, and who may read what, hold for it: a listing ends with "!", which
no percent-encoded prefix has. Source: Amazon S3 API reference, 2006-03-01, "Actions".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from urllib.parse import parse_qs, quote

from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.protocol import GET

ROOT = "/ s3"  # no address of a request has a space: nobody else comes there
BUCKETS = ("models", "datasets")
MARKS = (
    *("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-checksum-mode", "x-amz-user-agent"),
    *("x-amz-request-payer", "x-amz-expected-bucket-owner", "amz-sdk-invocation-id", "amz-sdk-request"),
)
"""Headers of a request that S3's clients send, and nobody else."""
SIGNED = "AWS4-"  # how their Authorization begins
MARKED_QUERY = r"(?:^|&)(?:list-type=2|X-Amz-(?:Algorithm|Credential|Signature)=|AWSAccessKeyId=)"
PRESIGNED = ("X-Amz-Credential", "X-Amz-Signature", "AWSAccessKeyId")  # of a URL that was signed; the last is of old
# What S3 has of buckets and objects that a mirror has not.
SUBRESOURCES = (
    *("accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory"),
    *("legal-hold", "lifecycle", "logging", "metadataTable", "metrics", "notification", "object-lock"),
    *("ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore"),
    *("retention", "select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions"),
    "website",
)
_MARKED_QUERY = re.compile(MARKED_QUERY)


def is_marked(headers: Mapping[str, str], query: str) -> bool:
    """Whether a request says by itself that it is S3's; names of headers in any letters."""
    if headers.get("authorization", "").lower().startswith(SIGNED.lower()):
        return True
    return any(headers.get(name) for name in MARKS) or _MARKED_QUERY.search(query) is not None


def addressed(asked: FrontRequest, *, tokens: bool) -> FrontRequest:
    """The same request at its address below ROOT. `tokens`: readers may have some."""
    return replace(asked, raw_path=address_of(asked.method, asked.raw_path, asked.query, tokens=tokens))


def address_of(method: str, raw_path: str, query: str, *, tokens: bool) -> str:
    """The address below ROOT of what is asked of the door by a method, a path and a query, both as they came."""
    arguments = parse_qs(query, keep_blank_values=True)
    bucket, _, key = raw_path.lstrip("/").partition("/")
    return f"{ROOT}/{_place(method, bucket, key, arguments, tokens=tokens)}"


def _place(method: str, bucket: str, key: str, arguments: Mapping[str, Collection[str]], *, tokens: bool) -> str:
    if not bucket or method not in GET:
        return "buckets"  # by whose route it is refused where something would be written
    if tokens and any(name in arguments for name in PRESIGNED):
        return "presigned"
    if bucket not in BUCKETS or any(name in arguments for name in SUBRESOURCES):
        return "other" if bucket in BUCKETS else "none"
    if key:
        return f"object/{bucket}/{key}"
    if method == "HEAD" or "location" in arguments:
        return f"{'bucket' if method == 'HEAD' else 'location'}/{bucket}"
    prefix = [*arguments.get("prefix", ()), ""][0]
    return f"list/{bucket}/{quote(prefix, safe='/')}!"
