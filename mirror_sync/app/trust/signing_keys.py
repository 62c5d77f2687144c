"""Whether the keys that jobs.yaml names can sign, each fault with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mirror_sync.config.load import fault_at
from mirror_sync.config.settings import Settings
from mirror_sync.errors import Fault, SigningError
from mirror_sync.signing.private_keys import read_certificates, read_ed25519, read_elliptic


def key_faults(settings: Settings, path: Path) -> Iterator[Fault]:
    """What is wrong with each key: not there, of another kind, or others may read it. `path` is that of jobs.yaml."""
    trust = settings.trust
    if trust.key is not None:
        yield from _faults(path, ("key",), partial(read_ed25519, trust.key))
    if trust.model_key is None:
        return
    key = partial(read_elliptic, trust.model_key)
    found = tuple(_faults(path, ("model_signing", "key"), key))
    yield from found
    if trust.certificate is not None and not found:
        certificate, chain = trust.certificate, trust.chain
        yield from _faults(path, ("model_signing", "certificate"), lambda: read_certificates(key(), certificate, chain))


def _faults(path: Path, below: tuple[str, ...], read: Callable[[], object]) -> Iterator[Fault]:
    try:
        read()
    except SigningError as error:
        yield fault_at(path, ("trust", *below), str(error))
