"""Whether the keys that jobs.yaml names can sign, each fault with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mirror_sync.config.load import fault_at
from mirror_sync.config.settings import Settings
from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.errors import Fault, SigningError
from mirror_sync.signing.hardware_keys import open_elliptic
from mirror_sync.signing.model_bundle import EllipticSigner
from mirror_sync.signing.private_keys import read_certificates, read_ed25519


def key_faults(settings: Settings, path: Path) -> Iterator[Fault]:
    """What is wrong with each key: not there, of another kind, or others may read it. `path` is that of jobs.yaml."""
    trust = settings.trust
    if trust.key is not None:
        yield from _faults(path, ("key",), partial(read_ed25519, trust.key))
    if trust.model_key is None:
        return
    opened: list[EllipticSigner] = []  # once: a PIN that is wrong is given once
    place = trust.model_key
    named = "pkcs11" if isinstance(place, Pkcs11Uri) else "key"
    yield from _faults(path, ("model_signing", named), lambda: opened.append(open_elliptic(place)))
    if trust.certificate is not None and opened:
        read = partial(read_certificates, opened[0].public_key(), trust.certificate, trust.chain)
        yield from _faults(path, ("model_signing", "certificate"), read)


def _faults(path: Path, below: tuple[str, ...], read: Callable[[], object]) -> Iterator[Fault]:
    try:
        read()
    except SigningError as error:
        yield fault_at(path, ("trust", *below), str(error))
