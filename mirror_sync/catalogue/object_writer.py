"""The objects of a catalogue as they are stored: each is put only when its bytes are others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror_sync.domain.catalogue import rows
from mirror_sync.domain.catalogue.feed import FIRST_FEED
from mirror_sync.domain.catalogue.page_data import DATA
from mirror_sync.domain.content.keys import SITE, site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.replicas import MARK
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import KeyMissing, StoreError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import Stat, Store, read_all

_SOMETIMES = ("torrents.txt", "wanted.html", "asked.html", rows.WHOLE, FIRST_FEED, *DATA)
_PAGES = tuple(map(site_key, ("list/", *(f"{kind.plural}/" for kind in Kind), *_SOMETIMES)))
_ASSETS = site_key("assets/")
_STALE = timedelta(days=1)  # a page in some cache may name an asset of the program before


@dataclass(frozen=True, slots=True)
class PublishRun:
    """Where a catalogue is published. `go_on` raises Interrupted when it was asked to stop. `anew`: nothing that was
    remembered is believed, and every page is compared with what is there.
    """

    store: Store
    read_cache: ReadCache
    go_on: Callable[[], None]
    anew: bool = False


class ObjectWriter:
    """Listed once. Safe for many threads; raises StoreError. `style` names how values become bytes."""

    def __init__(self, publish_run: PublishRun, style: str) -> None:
        self._publish_run, self._style = publish_run, style
        self._stored = {stat.key: stat for stat in publish_run.store.list(SITE)}

    def read(self, key: str) -> bytes | None:
        """None when it was not there, is no more, or is larger than what is written here."""
        stat = self._stored.get(key)
        if stat is None or stat.size > rows.LARGEST:
            return None
        with suppress(KeyMissing):
            return read_all(self._publish_run.store, key, rows.LARGEST)
        return None

    def has(self, key: str) -> bool:
        """Whether something was stored there."""
        return key in self._stored

    def begin(self, key: str, body: bytes) -> None:
        """Put an object that will be settled: what leads to it may be put before that."""
        self._publish_run.go_on()
        self._publish_run.store.put(key, body, Sha256.of(body))

    def write_if_changed(self, key: str, write: Callable[[], bytes], values: str | None = None) -> bool:
        """Put an object unless it is there as it should be; returns whether it was put.

        `values` decide what is written, and spare writing what was written of them before; None: only writing tells.
        """
        self._publish_run.go_on()
        stat, version = self._stored.get(key), None if values is None else self._version(values)
        if stat is not None and version is not None and not self._publish_run.anew and self._is_kept(stat, version):
            return False
        body = write()
        there = stat if stat is not None and self._holds(stat, body) else None
        if there is None:
            self._publish_run.store.put(key, body, Sha256.of(body))
        if version is not None:
            self._remember(key, version, body, there)
        return there is None

    def spared(self, wanted: Collection[str], noted: Mapping[str, str], now: datetime) -> dict[str, str]:
        """The assets that are not wanted any more and stay for now, by their names, each with the time when that was
        first `noted`: this one for those that nobody has.
        """
        unused = (key.removeprefix(_ASSETS) for key in self._stored if key.startswith(_ASSETS) and key not in wanted)
        since = {name: min(moment(noted.get(name)) or now, now) for name in sorted(unused)}
        return {name: iso_utc(at) for name, at in since.items() if now - at < _STALE}

    def clear(self, wanted: Collection[str], spared: Collection[str]) -> int:
        """Remove the pages that are not wanted any more, and the assets that are not `spared`; returns how many."""
        self._publish_run.go_on()
        kept = {*wanted, *(f"{_ASSETS}{name}" for name in spared)}
        gone = [key for key in self._stored if key not in kept and key.startswith((*_PAGES, _ASSETS))]
        gone += [MARK] if MARK in self._stored else []  # what is published into is nobody's replica any more
        if gone:
            self._publish_run.store.delete(gone)
        return len(gone)

    def _version(self, values: str) -> str:
        return hashlib.sha256(f"{self._style}\n{values}".encode(errors="replace")).hexdigest()

    def _holds(self, stat: Stat, body: bytes) -> bool:
        if stat.size != len(body):
            return False
        if stat.md5 == _md5(body):
            return True
        if stat.size > rows.LARGEST:
            return False
        with suppress(KeyMissing):  # no MD5, or that of an encrypted object, which is none of its bytes
            return read_all(self._publish_run.store, stat.key, rows.LARGEST) == body
        return False

    def _is_kept(self, stat: Stat, version: str) -> bool:
        """Whether what was written of this version is there: what was put by us, and listed since, is read once."""
        with suppress(StoreError, ValueError, TypeError):
            size, md5, modified = json.loads(self._publish_run.read_cache.recall(stat.key, version) or b"[-1,0,0]")
            if size != stat.size or (stat.md5 is not None and stat.md5 != md5):
                return False
            if stat.md5 is not None or modified == stat.modified:
                return True
            if modified is None and size <= rows.LARGEST:
                with suppress(KeyMissing):
                    body = read_all(self._publish_run.store, stat.key, rows.LARGEST)
                    if _md5(body) == md5:
                        self._remember(stat.key, version, body, stat)
                        return True
        return False

    def _remember(self, key: str, version: str, body: bytes, there: Stat | None) -> None:
        """`there`: the object that has these bytes; None for one that was put just now."""
        md5 = _md5(body) if there is None or there.md5 is None else there.md5
        kept = [len(body), md5, None if there is None else there.modified]
        with suppress(StoreError):
            self._publish_run.read_cache.remember(key, version, json.dumps(kept).encode())


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
