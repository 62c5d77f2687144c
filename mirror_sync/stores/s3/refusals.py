"""What an S3 server's refusals mean.

Messages name the bucket, its server, the key, the operation, the status and the code, never a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)
from botocore.parsers import ResponseParserError

from mirror_sync.errors import BlobFrozen, KeyMissing, StoreDenied, StoreError, StoreFull, StoreUnavailable, cause_of

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ErrorTypeDef

_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull"})
# A body that is not what its digest promises was changed on its way, most likely: worth another try.
_TRANSIENT = frozenset(
    {"RequestTimeout", "SlowDown", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "NoSuchUpload"}
)
_DENIED_STATUS = (401, 403)
# Of an object in a class that has to be restored first: to a GET, and to a copy.
# docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, API_CopyObject.html
_FROZEN = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_FULL_STATUS = 507
_SERVER_STATUS = 500  # and above, but for
_NOT_OFFERED_STATUS = 501  # rclone's server answers so to a part that it has already: it will never be otherwise
_NOT_FOUND = 404
_NOT_OFFERED = (400, 404, 405, _NOT_OFFERED_STATUS)  # what servers without multipart uploads answer to the first call
_WITHOUT_PARTS = "if this server has no multipart uploads, say `multipart: off` for the target"
_TRANSIENT_STATUS = (408, 409, 425, 429)
_STATUS_OF_CODE = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503}  # where a batch gives none
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_TRANSPORT = (
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    urllib3.exceptions.HTTPError,
    OSError,
)


class NotS3(Exception):
    """An answer that no S3 server gives: which, in words."""


class CutShort(Exception):
    """An answer that is not the whole of what was asked for, and does not say how to have the rest: which, in words."""


class BotoErrors(AbstractContextManager[None]):
    """Turns what botocore raises into the StoreError that it means. `where` names bucket, prefix and server.

    A class, since every small object passes here: a generator costs twice as much.
    """

    __slots__ = ("_key", "_operation", "_where")

    def __init__(self, where: str, key: str = "", operation: str = "") -> None:
        self._where, self._key, self._operation = where, key, operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            with _meant(self._where, self._key, self._operation):
                raise error


store_errors = BotoErrors


@contextmanager
def _meant(where: str, key: str, operation: str) -> Iterator[None]:
    place = _place(where, key) + (f": {operation}" if operation else "")
    try:
        yield
    except ClientError as error:
        raise _refusal(where, key, error) from error
    except _NO_CREDENTIALS as error:
        raise StoreDenied(f"{where}: {_line(error)}") from error
    except NotS3 as error:
        raise _no_answer(_place(where, key), str(error)) from error
    except CutShort as error:
        raise StoreUnavailable(f"{_place(where, key)}: {error}") from error
    except KeyError as lacking:  # nanio copies a part, and gives no ETag of it: boto3 looks for it in vain
        raise _no_answer(place, f"an answer without {lacking}") from lacking
    except ResponseParserError as error:
        raise _no_answer(place, "an answer that is not the XML of an S3 server") from error
    except (NoConnection, ReadTimeoutError) as error:  # their words are the whole address again, without the reason
        raise StoreUnavailable(f"{place}: no answer: {cause_of(error)}") from error
    except _TRANSPORT as error:
        raise StoreUnavailable(f"{place}: {_line(error)}") from error
    except (BotoCoreError, ValueError) as error:  # a bucket's name, an endpoint, a profile that cannot be used
        raise StoreError(f"{place}: {_line(error)}") from error


def code_of(error: ClientError) -> str:
    """The word by which the server names what is wrong; empty without one."""
    return error.response.get("Error", {}).get("Code", "")


def status_of(error: ClientError) -> int:
    """The HTTP status of a refusal; 0 without one."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def headers_of(error: ClientError) -> Mapping[str, str]:
    """By their names in small letters."""
    return error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})


def no_bucket(where: str) -> StoreError:
    """What a bucket that does not exist is told as; `where` names target and bucket."""
    return StoreError(f"{where}: the bucket does not exist")


def refused_each(where: str, faults: Sequence[ErrorTypeDef]) -> StoreError:
    """What DeleteObjects answered about those of its keys that it refused: the first, and how many there are."""
    first = faults[0]
    kind = _kind(first.get("Code", ""), _STATUS_OF_CODE.get(first.get("Code", ""), 0))
    text = f"{first.get('Code', '')}: {_line(first.get('Message') or '')}".rstrip(": ")
    return kind(f"{_place(where, first.get('Key', ''))}: DeleteObjects: {text} ({len(faults)} keys)")


def _refusal(where: str, key: str, error: ClientError) -> StoreError:
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket":
        return no_bucket(where)
    if code == "NoSuchKey" and key:
        return KeyMissing(key)
    if code in _FROZEN:
        return BlobFrozen(_place(where, key))
    place, operation = _place(where, key), error.operation_name
    if status == _NOT_FOUND and (not code or code.isdecimal()):
        return _no_answer(place, f"{operation}: HTTP {status} without the code of an S3 server")
    message = error.response.get("Error", {}).get("Message") or ""
    text = f"{place}: {operation}: HTTP {status} {code}: {_line(message)}".rstrip(": ")
    return _kind(code, status)(f"{text}; {_WITHOUT_PARTS}" if _has_no_parts(operation, status) else text)


def _has_no_parts(operation: str, status: int) -> bool:
    return operation == "CreateMultipartUpload" and status in _NOT_OFFERED


def _no_answer(place: str, what: str) -> StoreError:
    return StoreUnavailable(f"{place}: {what}: something else answers at this address")


def _kind(code: str, status: int) -> type[StoreError]:
    if code in _FULL or status == _FULL_STATUS:
        return StoreFull
    failing = status >= _SERVER_STATUS and status != _NOT_OFFERED_STATUS
    if code in _TRANSIENT or failing or status in _TRANSIENT_STATUS:
        return StoreUnavailable
    return StoreDenied if status in _DENIED_STATUS else StoreError


def _place(where: str, key: str) -> str:
    return f"{where}, key {key}" if key else where


def _line(text: object) -> str:
    return " ".join(str(text).split())[:500]
