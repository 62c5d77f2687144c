"""A small JSON document in the state folder, replaced in one step: how far a verification came.

It may be lost, which costs a verification from the start; so it is not synced to the disk, and no fault of the disk
stops anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from mirror_sync.owners import with_hindrance, write_anew

_log = structlog.get_logger("mirror_sync.checkpoint")


class FileCheckpoint:
    """Implements the engine's `Checkpoint`; of one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = True

    def load(self) -> Mapping[str, Any] | None:
        """None when there is no document, or none that can be read."""
        try:
            document = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def save(self, document: Mapping[str, Any]) -> None:
        """A document that cannot be written costs one warning; the last one stands."""
        try:
            write_anew(self._path, json.dumps(document), synced=False)
        except OSError as error:
            self._warn(error)
        else:
            self._written = True

    def _warn(self, error: OSError) -> None:
        """Once, until it goes well again: it is written every few blobs."""
        if self._written:
            why = with_hindrance(error.strerror or str(error), self._path)
            _log.warning("checkpoint.not-written", file=str(self._path), reason=why)
        self._written = False
