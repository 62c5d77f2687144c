"""Whether the keys that jobs.yaml names can sign, each fault with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirror_sync.config.load import fault_at
from mirror_sync.config.settings import Settings
from mirror_sync.errors import Fault, SigningError
from mirror_sync.signing.private_keys import read_ed25519, read_elliptic


def key_faults(settings: Settings, path: Path) -> Iterator[Fault]:
    """What is wrong with each key: not there, of another kind, or others may read it. `path` is that of jobs.yaml."""
    for name, key in settings.trust.keys.items():
        read = read_ed25519 if name == "key" else read_elliptic
        try:
            read(key)
        except SigningError as error:
            yield fault_at(path, ("trust", *name.split(".")), str(error))
