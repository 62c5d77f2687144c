"""A small JSON document in the state folder, replaced in one step: how far a verification came. Notes that belong to it
are added to a file of lines beside it; the document says how many bytes of them are its own.

All of it may be lost, which costs a verification from the start; so it is not synced to the disk, and no fault of the
disk stops anybody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from mirror_sync.logger import Logger
from mirror_sync.owners import cause, write_anew

_FILE = 0o666  # less the umask: what keeps others out is the folder

_log = Logger()


class FileCheckpoint:
    """Implements the engine's `Checkpoint`; of one thread."""

    def __init__(self, path: Path) -> None:
        self._path, self._notes = path, path.with_suffix(".notes")
        self._noted = 0  # bytes of notes that the document counts
        self._pending: list[Mapping[str, Any]] = []
        self._written = True

    def load(self) -> Mapping[str, Any] | None:
        """None when there is no document, or none that can be read with its notes."""
        try:
            document = json.loads(self._path.read_bytes())
            if not isinstance(document, dict):
                return None
            self._noted = int(document.pop("noted", 0))
            if self._noted:
                document["notes"] = self._read_notes()
        except (OSError, ValueError, TypeError, RecursionError):
            self._noted = 0
            return None
        return document

    def begin(self, document: Mapping[str, Any]) -> None:
        self._noted = 0
        self._pending.clear()
        self._attempt(partial(self._replace, document))
        with suppress(OSError):
            self._notes.unlink()

    def save(self, document: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> None:
        """A document that cannot be written costs one warning; the last one stands."""
        self._pending += notes

        def change() -> None:
            self._add_notes()
            self._replace(document)

        self._attempt(change)

    def _attempt(self, change: Callable[[], object]) -> None:
        try:
            change()
        except OSError as error:
            self._warn(error)
        else:
            self._written = True

    def _replace(self, document: Mapping[str, Any]) -> None:
        noted = {"noted": self._noted} if self._noted else {}
        write_anew(self._path, json.dumps({**document, **noted}), synced=False)

    def _add_notes(self) -> None:
        """What lies behind the notes that count was left by a process that was killed."""
        if not self._pending:
            return
        body = "".join(f"{json.dumps(note)}\n" for note in self._pending).encode()
        descriptor = os.open(self._notes, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, _FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.truncate(self._noted)
            file.seek(self._noted)
            file.write(body)
        self._noted += len(body)
        self._pending.clear()

    def _read_notes(self) -> list[Any]:
        with self._notes.open("rb") as file:
            body = file.read(self._noted)
        if len(body) < self._noted:
            raise ValueError("notes are missing")
        return [json.loads(line) for line in body.splitlines()]

    def _warn(self, error: OSError) -> None:
        """Once, until it goes well again: it is written every few blobs."""
        if self._written:
            _log.warning("checkpoint.not-written", file=str(self._path), reason=cause(error, self._path))
        self._written = False
