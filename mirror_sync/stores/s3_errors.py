"""What an S3 server's refusals mean. Messages name the bucket, the key, the status and the code, never a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)

from mirror_sync.errors import KeyMissing, StoreDenied, StoreError, StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ErrorTypeDef

_KEY_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull"})
# A body that is not what its digest promises was changed on its way, most likely: worth another try.
_TRANSIENT = frozenset(
    {"RequestTimeout", "SlowDown", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "NoSuchUpload"}
)
_DENIED_STATUS = (401, 403)
_FULL_STATUS = 507
_SERVER_STATUS = 500  # and above, but for
_NOT_OFFERED_STATUS = 501  # rclone's server answers so to a part that it has already: it will never be otherwise
_TRANSIENT_STATUS = (408, 409, 425, 429)
_STATUS_OF_CODE = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503}  # where a batch gives none
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_TRANSPORT = (
    NoConnection,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    urllib3.exceptions.HTTPError,
    OSError,
)


@contextmanager
def store_errors(where: str, key: str = "") -> Iterator[None]:
    """Turns what botocore raises into the StoreError that it means. `where` names bucket, prefix and server."""
    try:
        yield
    except ClientError as error:
        raise _refusal(where, key, error) from error
    except _NO_CREDENTIALS as error:
        raise StoreDenied(f"{where}: {_line(error)}") from error
    except _TRANSPORT as error:
        raise StoreUnavailable(f"{_place(where, key)}: {_line(error)}") from error
    except (BotoCoreError, ValueError) as error:  # a bucket's name, an endpoint, a profile that cannot be used
        raise StoreError(f"{_place(where, key)}: {_line(error)}") from error


def code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def no_bucket(where: str) -> StoreError:
    return StoreError(f"{where}: the bucket does not exist")


def refused_each(where: str, faults: Sequence[ErrorTypeDef]) -> StoreError:
    """What a batch answered about those of its keys that it refused: the first, and how many there are."""
    first = faults[0]
    kind = _kind(first.get("Code", ""), _STATUS_OF_CODE.get(first.get("Code", ""), 0))
    text = f"{first.get('Code', '')}: {_line(first.get('Message') or '')}".rstrip(": ")
    return kind(f"{_place(where, first.get('Key', ''))}: {text} ({len(faults)} keys)")


def _refusal(where: str, key: str, error: ClientError) -> StoreError:
    code, status = code_of(error), _status_of(error)
    if code == "NoSuchBucket":
        return no_bucket(where)
    if code in _KEY_MISSING:
        return KeyMissing(key)
    message = error.response.get("Error", {}).get("Message") or ""
    return _kind(code, status)(f"{_place(where, key)}: HTTP {status} {code}: {_line(message)}".rstrip(": "))


def _kind(code: str, status: int) -> type[StoreError]:
    if code in _FULL or status == _FULL_STATUS:
        return StoreFull
    failing = status >= _SERVER_STATUS and status != _NOT_OFFERED_STATUS
    if code in _TRANSIENT or failing or status in _TRANSIENT_STATUS:
        return StoreUnavailable
    return StoreDenied if status in _DENIED_STATUS else StoreError


def _status_of(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _place(where: str, key: str) -> str:
    return f"{where}, key {key}" if key else where


def _line(text: object) -> str:
    return " ".join(str(text).split())[:500]
