"""Reads a few blobs of a place and proves them: a disk that gives other bytes than it took says so to nobody else."""

from __future__ import annotations

import hashlib
import random
import time
from itertools import islice

from mirror_sync.app.looking.checkup import Health, Saying
from mirror_sync.app.looking.patient import Patient
from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.errors import BlobFrozen, KeyMissing
from mirror_sync.observe.figures import counted, in_bytes
from mirror_sync.owners import is_there
from mirror_sync.ports.store import Stat, Store

_BLOBS, _LARGEST = 8, 16 * 1024 * 1024  # how many are read; bytes of the largest
_ENOUGH = 5.0  # seconds after which no other is begun, and a slow one is let go
_LOOKED = 1000  # keys that are listed; of a place with more, those of a few prefixes
_PREFIXES = 4
_CHUNK = 256 * 1024  # bytes


def look_at_bytes(patient: Patient, name: str) -> Saying:
    """Whether a few blobs, chosen anew each time, hold what their names say."""
    target = patient.places[name]
    if isinstance(target, DirectoryTarget) and not is_there(target.root):
        yield Health.SKIPPED, "there is nothing to read yet"
        return
    store, until = patient.ways.store(target), time.monotonic() + _ENOUGH
    listed, known = _listed(store)
    small = [stat for stat in listed if stat.size <= _LARGEST]
    read = size = 0
    for stat in random.sample(small, min(_BLOBS, len(small))):
        try:
            actual = _hash(store, stat.key, until)
        except (KeyMissing, BlobFrozen):  # removed meanwhile, or wanted to be where nothing is given
            continue
        if not actual:
            break
        read, size = read + 1, size + stat.size
        if actual != blob_of(stat.key):
            advice = "what its disk gives is not what it took; have all that is wrong fetched again"
            yield (
                Health.FAULT,
                f"{stat.key} holds other bytes, of digest {actual}",
                advice,
                "mirror-sync verify --repair",
            )
            return
    if not listed:
        yield Health.SKIPPED, "it has no blobs yet"
    elif not read:
        yield Health.SKIPPED, f"none was read within {_ENOUGH:.0f} s, or all are above {in_bytes(_LARGEST)}: see verify"
    else:
        of = counted(len(listed), "blob") if known else f"at least {_LOOKED:,} blobs"
        yield Health.OK, f"{read:,} of {of}, {in_bytes(size)}, hold what their names say; verify proves all"


def _listed(store: Store) -> tuple[list[Stat], bool]:
    """Some blobs, and whether they are all that there are."""
    found = list(islice(store.list(BLOBS), _LOOKED))
    if len(found) < _LOOKED:
        return found, True
    prefixes = (f"{BLOBS}{number:02x}/" for number in random.sample(range(256), _PREFIXES))
    return [stat for prefix in prefixes for stat in islice(store.list(prefix), _LOOKED // _PREFIXES)] or found, False


def _hash(store: Store, key: str, until: float) -> str:
    """SHA-256 of an object; empty where there was no time for it."""
    digest, chunk = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with store.read(key) as stream:
        while count := stream.readinto(chunk):
            if time.monotonic() > until:
                return ""
            digest.update(chunk[:count])
    return digest.hexdigest()
