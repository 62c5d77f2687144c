"""`prove`, put together without a jobs.yaml: from an address and a file of public keys."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from mirror_sync.config.keys.values.address_values import bucket
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.url import Url
from mirror_sync.errors import UsageError
from mirror_sync.signing.allowed_signers import LARGEST, AllowedSigners
from mirror_sync.signing.evidence import Evidence, FrontEvidence, StoreEvidence
from mirror_sync.signing.private_keys import expect_library
from mirror_sync.signing.proof import Asked, Proof, Prover
from mirror_sync.stores.wrapped_store import ReadOnlyStore
from mirror_sync.wiring.adapters import open_store


def prove(asked: Asked, url: str, signers: Path) -> Proof:
    """What is found at an address: http(s):// of a front, file:// or s3:// of a target.

    Raises UsageError, OSError for the file of keys, SigningError where no signature can be checked here, and StoreError
    where nobody could look.
    """
    known = known_signers(signers)
    return Prover(_evidence(url), known, datetime.now(UTC)).prove(asked)


def known_signers(path: Path) -> AllowedSigners:
    """Whose signatures count. UsageError for a file without a key, OSError, SigningError where none can be checked."""
    expect_library()
    with path.open("rb") as file:
        known = AllowedSigners.decode(file.read(LARGEST))
    if not known.signers:
        raise UsageError(f'{path} names no Ed25519 key: a line is `NAME namespaces="mirror-sync" ssh-ed25519 AAAA...`')
    return known


def _evidence(url: str) -> Evidence:
    scheme = url.partition("://")[0].lower()
    try:
        if scheme in ("http", "https"):
            return FrontEvidence(f"{Url.parse(url)}")
        if scheme in ("file", "s3"):
            return _stored(_target(url), url)
    except ValueError as error:
        raise UsageError(f"--from: {error}") from None
    raise UsageError("--from is the address of a front, https://..., or of a target, s3://... or file:///...")


def _target(url: str) -> Target:
    """A bucket as the environment says how it is reached: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and the like."""
    if url.lower().startswith("file:"):
        root = Path(unquote(url.partition("://")[2]))
        if not root.is_absolute():
            raise ValueError("write file:// and an absolute path: file:///srv/mirror")
        return DirectoryTarget(root)
    address = bucket(url)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return S3Target(bucket=address.name, prefix=address.prefix, endpoint_url=endpoint or None)


def _stored(target: Target, url: str) -> Evidence:
    if isinstance(target, DirectoryTarget) and not target.root.is_dir():
        raise UsageError(f"--from: {url} is no folder")
    return StoreEvidence(ReadOnlyStore(open_store(target, unsigned=_is_unsigned(target))))


def _is_unsigned(target: Target) -> bool:
    """Whether a bucket is read as a public one: where the environment has no credentials."""
    if isinstance(target, DirectoryTarget):
        return False
    import botocore.session

    return botocore.session.get_session().get_credentials() is None
