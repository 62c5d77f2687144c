"""The client of an S3 store: where it connects, with which keys, and how it signs what is uploaded.

It is botocore's, which boto3's is as well: what boto3 adds (resources, managed transfers) costs a start a third more.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import botocore.auth
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.loaders import JSONFileLoader, Loader

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.stores.parts import PART_SIZE
from mirror_sync.stores.s3.server_proof import ANSWERED_IN_XML, expect_xml

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Learn = Callable[[Iterable[str]], None]
"""Is told every secret that was taken or renewed, so that it is never shown."""

_UPLOADS = ("PutObject", "UploadPart")
_CHECKSUM = "x-amz-checksum-sha256"
_PAYLOAD = "mirror_sync_payload"  # in botocore's request context: what x-amz-content-sha256 will say
_SIGNER = "s3v4-known-payload"


def _forget(_: Iterable[str]) -> None:
    """By name: the options are sent to other processes."""


@dataclass(frozen=True)
class S3Options:
    """How the client works, whatever the bucket."""

    max_connections: int = 32
    part_size: int = PART_SIZE  # bytes; AWS wants 5 MiB or more
    connect_timeout: float = 5  # seconds
    read_timeout: float = 60  # seconds without a byte
    attempts: int = 3  # of one call, the first included
    unsigned: bool = False  # no credentials at all: reads a public bucket
    learn: Learn = field(default=_forget, repr=False, compare=False)


@dataclass(frozen=True)
class Access:
    """A client, and what else it found: `trusted` is a file of certificates, None for botocore's own."""

    client: S3Client
    trusted: str | None
    credentials: Credentials | None = field(repr=False)

    def keys(self) -> ReadOnlyCredentials | None:
        """The keys as they are now: those of a role are renewed when they are about to end. What botocore raises."""
        return None if self.credentials is None else self.credentials.get_frozen_credentials()


def open_access(target: S3Target, options: S3Options) -> Access:
    """What a bucket is reached with. Where no keys are given, they are those that the client finds as well."""
    session = botocore.session.get_session()
    client = make_client(target, options, session)
    trusted = _trusted() or session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    if options.unsigned:
        return Access(client, trusted, None)
    if target.access_key:
        return Access(client, trusted, Credentials(target.access_key, target.secret_key or ""))
    credentials = session.get_credentials()
    if credentials is not None:
        _tell_keys(credentials, options.learn)
    return Access(client, trusted, credentials)


def _tell_keys(credentials: Credentials, learn: Learn) -> None:
    """Have keys that others renew told before anybody signs with them: the client asks the same object."""
    take, last = credentials.get_frozen_credentials, None

    def told() -> ReadOnlyCredentials:
        nonlocal last
        keys = take()
        if keys != last:
            learn([*filter(None, (keys.access_key, keys.secret_key, keys.token)), *_identities()])
            last = keys
        return keys

    credentials.get_frozen_credentials = told  # type: ignore[method-assign]  # botocore has no event for it


def _identities() -> list[str]:
    """What the keys of a role are asked for with. Source: the environment of botocore's credential providers."""
    said = [os.environ.get(f"AWS_{name}", "") for name in ("CONTAINER_AUTHORIZATION_TOKEN", "SESSION_TOKEN")]
    for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        with suppress(OSError, ValueError):
            if path := os.environ.get(name):
                said.append(Path(path).read_text(encoding="utf-8").strip())
    return [text for text in said if text]


def make_client(target: S3Target, options: S3Options, session: botocore.session.Session | None = None) -> S3Client:
    """A client that is safe for many threads. Proxies are taken from the environment by botocore."""
    session = session or botocore.session.get_session()
    session.register_component("data_loader", _Models(session.get_config_variable("data_path")))
    made: Any = session.create_client(
        "s3",
        endpoint_url=target.endpoint_url,
        region_name=target.region,
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        verify=_trusted(),
        config=_config(target, options),
    )
    client: S3Client = made  # its stubs know no service
    events: Any = client.meta.events  # its stubs know no handler that answers
    for operation in _UPLOADS:
        events.register_first(f"choose-signer.s3.{operation}", _choose_signer)
        events.register_last(f"before-call.s3.{operation}", _fix_payload)
    events.register_last("before-call.s3.DeleteObjects", _add_md5)
    for operation in ANSWERED_IN_XML:
        events.register_last(f"before-parse.s3.{operation}", _expect_xml)
    return client


class Checked(TypedDict, total=False):
    """Arguments of an upload; empty: its payload is not signed."""

    ChecksumSHA256: str


def checked(digest: Sha256 | None) -> Checked:
    """The arguments that let a server refuse any body but the one with this digest; without one it takes any."""
    return {"ChecksumSHA256": base64.b64encode(bytes.fromhex(digest)).decode()} if digest else {}


class _Models(Loader):
    """What botocore knows of services, out of the same files as its own loader has it; `places` is AWS_DATA_PATH.

    Its own looks into the folders of all 400 services to see that S3 is one, and reads JSON into ordered dicts, which
    takes longer: together half of what it takes to make a client.
    """

    def __init__(self, places: str | None) -> None:
        more = [
            str(Path(os.path.expandvars(place)).expanduser()) for place in (places or "").split(os.pathsep) if place
        ]
        super().__init__(extra_search_paths=more, file_loader=_JsonFiles())

    def list_available_services(self, type_name: str) -> list[str]:
        """By the names of folders: whether there is such a model is seen when it is read."""
        return [folder.name for place in map(Path, self.search_paths) if place.is_dir() for folder in place.iterdir()]


class _JsonFiles(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """None where there is no such file."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            with suppress(FileNotFoundError, NotADirectoryError), opened(f"{file_path}{ending}", "rb") as file:
                return json.loads(file.read())
        return None


def _config(target: S3Target, options: S3Options) -> Config:
    return Config(
        # boto3's default since 1.36, a CRC in a chunked trailer, is refused by many S3-compatible servers
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if options.unsigned else None,
        s3={"addressing_style": target.addressing},
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        max_pool_connections=options.max_connections,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        tcp_keepalive=True,
    )


def _trusted() -> str | None:
    """The certificates to trust: botocore reads AWS_CA_BUNDLE by itself, but not SSL_CERT_FILE."""
    return None if os.environ.get("AWS_CA_BUNDLE") else os.environ.get("SSL_CERT_FILE") or None


class _KnownPayload(botocore.auth.S3SigV4Auth):
    """Signs the payload's digest that we were told, where botocore would hash the body once more.

    Saves a hash, and makes the server refuse any other body (XAmzContentSHA256Mismatch), even one that was changed in
    our own memory. S3SigV4Auth would put the digest of what it finds.
    """

    def payload(self, request: Any) -> str:
        return str(request.context.get(_PAYLOAD) or super().payload(request))


# The table that botocore's `choose-signer` event chooses from; its plug-ins register their signers the same way.
botocore.auth.AUTH_TYPE_MAPS[_SIGNER] = _KnownPayload


def _choose_signer(**_: Any) -> str:
    return _SIGNER


def _fix_payload(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Moves the digest out of a header that not every server knows, into the signature that all of them check."""
    encoded = params["headers"].pop(_CHECKSUM, None)
    context[_PAYLOAD] = base64.b64decode(encoded).hex() if encoded else botocore.auth.UNSIGNED_PAYLOAD


def _expect_xml(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    expect_xml(operation_model.name, response_dict)


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """OpenStack Swift and others still ask for Content-MD5 where botocore now sends a CRC."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
