"""A bucket of two tiers: what nobody reads lies in a colder class of storage, under the same key.

A blob is moved by the server itself, which copies it onto itself in another class. Nothing is removed, and the server
replaces an object in one step. What it then says of class and size is asked for: a server without that class would keep
the old one, and say that all was well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, cast

from botocore.exceptions import ClientError

from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.domain.job.targets import FROZEN
from mirror_sync.errors import KeyMissing, StoreError
from mirror_sync.ports.store import Stat
from mirror_sync.ports.tiering import Placed
from mirror_sync.stores.s3.bucket_store import S3Store
from mirror_sync.stores.s3.refusals import code_of, status_of, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_STANDARD: Literal["STANDARD"] = "STANDARD"
_DAYS = 7  # for which a restored copy is kept: until then the next pass makes it the blob itself
_UNDER_WAY = "RestoreAlreadyInProgress"
_NOT_OFFERED = (405, 501)


class ClassTiers:
    """Implements `ports.Tiering` within the bucket of a store."""

    def __init__(self, store: S3Store, storage_class: str) -> None:
        self._store, self._class = store, storage_class

    def ready(self, *, begun: bool) -> None:
        """It is the bucket itself."""

    def cold_now(self) -> float:
        """No blob lies elsewhere, and none is told to."""
        return float("-inf")

    def placed(self) -> Iterator[Placed]:
        for stat, storage_class in self._store.list_classes(BLOBS):
            if blob_of(stat.key) is not None:
                yield Placed(stat, cold=storage_class == self._class)

    def is_cold(self, key: str) -> bool:
        try:
            return _class_of(self._head(key)) == self._class
        except KeyMissing:
            return False

    def chill(self, stat: Stat, go_on: Callable[[], None]) -> None:
        go_on()
        if _class_of(self._head(stat.key)) != self._class:
            self._move(stat, self._class)

    def warm(self, stat: Stat, go_on: Callable[[], None]) -> bool:
        """What is frozen is asked for first, and given by the server hours later, as a copy for some days."""
        go_on()
        found = self._head(stat.key)
        if _class_of(found) != self._class:
            return True
        if self._class in FROZEN:
            restored = found.get("Restore", "")
            if 'ongoing-request="false"' not in restored and (restored or self._asked(stat.key)):
                return False
        self._move(stat, _STANDARD)
        return True

    def _asked(self, key: str) -> bool:
        """Whether it is waited for: SeaweedFS keeps the word of a class, gives all at once, and restores nothing."""
        place = self._store.place(key)
        with store_errors(place.where, key, "RestoreObject"):
            try:
                request = {"Days": _DAYS, "GlacierJobParameters": {"Tier": "Standard"}}
                place.client.restore_object(Bucket=place.bucket, Key=place.name, RestoreRequest=request)  # type: ignore[arg-type]
            except ClientError as error:
                if status_of(error) in _NOT_OFFERED:
                    return False
                if code_of(error) != _UNDER_WAY:
                    raise
        return True

    def _move(self, stat: Stat, storage_class: str) -> None:
        """StoreError where the server then says that it is as it was, or of another size."""
        self._store.copy_onto_itself(stat.key, storage_class)
        found = self._head(stat.key)
        size, now = found["ContentLength"], _class_of(found)
        if (size, now) != (stat.size, storage_class):
            place = self._store.place(stat.key)
            said = f"{stat.size} bytes in class {storage_class}, and the server says {size} bytes in {now}"
            raise StoreError(f"{place.where}, key {stat.key}: it was to be {said}: has it that class?")

    def _head(self, key: str) -> HeadObjectOutputTypeDef:
        """KeyMissing where there is none."""
        if self._store.stat(key) is None:
            raise KeyMissing(key)
        place = self._store.place(key)
        with store_errors(place.where, key, "HeadObject"):
            return place.client.head_object(Bucket=place.bucket, Key=place.name)


def _class_of(found: HeadObjectOutputTypeDef) -> str:
    """No server says it of the standard one."""
    return cast("str", found.get("StorageClass", _STANDARD))
