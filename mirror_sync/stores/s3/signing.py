"""AWS Signature Version 4 for the requests that are made by the thousand: PUT and HEAD of an object.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. botocore signs all else; for its
signature of a request it needs more time than a small object needs on its way.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signed:
    """What is signed: `path` as it stands in the request line, `payload` the digest of the body in hex.

    `media_type` of the body; empty for none.
    """

    method: str
    host: str
    path: str
    payload: str
    media_type: str = ""


def signed_headers(asked: Signed, region: str, keys: ReadOnlyCredentials, now: str) -> Mapping[str, str]:
    """The headers that belong on the request, but for `host`. `now` in UTC as 20260131T235959Z."""
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    headers = {"host": asked.host, "x-amz-content-sha256": asked.payload, "x-amz-date": now}
    if asked.media_type:
        headers = {"content-type": asked.media_type, **headers}  # in the order of names
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"{asked.method}\n{asked.path}\n\n{lines}\n{names}\n{asked.payload}"
    text = f"{_ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_day_key(keys.secret_key, now[:8], region), text.encode(), "sha256").hex()
    del headers["host"]
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=4)
def _day_key(secret: str, day: str, region: str) -> bytes:
    """The same for all requests of a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
