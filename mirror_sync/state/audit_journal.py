"""The end of an audit's chain that is not in the target yet: records that are written here before anything is done.

In `audit/<place>/` of the state folder:

    journal.jsonl   the next segment, as it will be: its first line, and a line for each act, synced one by one
    sealed.jsonl    the same, while it is put into the target: nothing is added to it any more
    head.json       the newest segment that the target took
    states.json     what was recorded last of holds and of jobs.yaml; may be lost

A process that is killed leaves a journal, a sealed segment or both to the next one. Nothing here is thrown away before
the target has it. Whoever calls holds the lock of the place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mirror_sync.domain.audit_record import AuditHead, SegmentHeader, lines_of
from mirror_sync.errors import NotRecorded
from mirror_sync.owners import PRIVATE, write_anew
from mirror_sync.state.locks import locks_of

_LINE = 4096  # bytes; a first line is far shorter


def audit_folder(state_dir: Path, place: str) -> Path:
    """Where the journal of a target lies: the same one for the same place, however the target is named."""
    return state_dir / "audit" / locks_of(state_dir, place).name


class AuditJournal:
    """One folder. All verbs raise OSError where it cannot be read or written, and NotRecorded for what is not ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal, self._sealed = folder / "journal.jsonl", folder / "sealed.jsonl"
        self._head, self._states = folder / "head.json", folder / "states.json"

    def head(self) -> AuditHead | None:
        """The newest segment that is known to be in the target; None where nothing is known."""
        try:
            return AuditHead.decode(json.loads(self._head.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            why = f"{self._head} cannot be read ({error})"
            raise NotRecorded(f"{why}; remove it, and the end of the chain is looked for in the target") from error

    def header(self) -> SegmentHeader | None:
        """The first line of the journal; None without one. What a torn write has left of one is removed."""
        try:
            with self._journal.open("rb") as file:
                line = file.readline(_LINE)
        except FileNotFoundError:
            return None
        if line.endswith(b"\n"):
            return SegmentHeader.decode(line)
        self._journal.unlink(missing_ok=True)
        return None

    def has_some(self) -> bool:
        """Whether anything waits here; nothing where the folder cannot be looked into: who records there is told."""
        return any(map(os.path.lexists, (self._journal, self._sealed)))

    def waiting(self) -> int:
        """How many acts are recorded here and not in the target, as far as that is known."""
        return sum(max(0, len(lines_of(self._read(path))) - 1) for path in (self._sealed, self._journal))

    def sealed(self) -> bytes:
        """The segment that is being put; empty for none."""
        return self._read(self._sealed)

    def begin(self, header: SegmentHeader, lines: Sequence[bytes] = ()) -> None:
        """A new journal, in the place of an older one, with these records already."""
        self.folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        write_anew(self._journal, b"".join([header.encode(), *lines]).decode())
        _sync(self.folder)

    def append(self, lines: Sequence[bytes]) -> int:
        """Records are on the disk when this returns: all of them, or none where it raises. The bytes of the journal."""
        descriptor = os.open(self._journal, os.O_RDWR | os.O_NOFOLLOW)
        try:
            size = _whole(descriptor)
            try:
                _write_at(descriptor, size, b"".join(lines))
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def seal(self) -> bytes:
        """Let nothing be added any more; the segment as it is to be put."""
        descriptor = os.open(self._journal, os.O_RDWR | os.O_NOFOLLOW)
        try:
            _whole(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._journal.replace(self._sealed)
        _sync(self.folder)
        return self.sealed()

    def landed(self, head: AuditHead) -> None:
        """The target has the sealed segment."""
        write_anew(self._head, json.dumps(head.encode()))
        _sync(self.folder)
        self._sealed.unlink(missing_ok=True)

    def rename(self, header: SegmentHeader) -> None:
        """Let all that waits begin under another header: the machine has another name now."""
        lines = [line + b"\n" for path in (self._sealed, self._journal) for line in lines_of(self._read(path))[1:]]
        self.begin(header, lines)
        self._sealed.unlink(missing_ok=True)

    def states(self) -> dict[str, str]:
        """Empty where they cannot be read."""
        try:
            read = json.loads(self._states.read_bytes())
            return {str(name): str(state) for name, state in read.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}

    def keep_states(self, states: Mapping[str, str]) -> None:
        """Replace them."""
        write_anew(self._states, json.dumps(states), synced=False)

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""


def _whole(descriptor: int) -> int:
    """The size of a file of lines, after what a killed writer has left of its last one was cut off: its act was never
    done.
    """
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        size = os.pread(descriptor, size, 0).rfind(b"\n") + 1
        os.ftruncate(descriptor, size)
    return size


def _write_at(descriptor: int, offset: int, body: bytes) -> None:
    while body:
        count = os.pwrite(descriptor, body, offset)
        offset, body = offset + count, body[count:]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
