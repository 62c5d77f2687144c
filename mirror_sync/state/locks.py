"""Locks in the state folder: one writer of a repo, of a checkpoint, of a catalogue, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path

from mirror_sync.logger import Logger
from mirror_sync.owners import PRIVATE
from mirror_sync.ports.memory import Checkpoint, NoCheckpoint
from mirror_sync.state.checkpoint_file import FileCheckpoint
from mirror_sync.state.file_lock import Held, hold

_POLL = 0.2  # seconds between two calls of `go_on`

_log = Logger()


def locks_of(state_dir: Path, place: str) -> Path:
    """The folder of a target's locks: the same one for the same place, however the target is named."""
    return state_dir / "locks" / sha256(place.encode()).hexdigest()[:12]


def acquired(path: Path, go_on: Callable[[], None]) -> AbstractContextManager[object]:
    """The lock, held until the block's end. While it is waited for `go_on` is called, and ends that by raising.

    Safe for many threads. OSError when the folder cannot be written.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return hold(path, _POLL)
        except Held:
            go_on()


@contextmanager
def kept_checkpoint(state_dir: Path, name: str) -> Iterator[Checkpoint]:
    """The checkpoint of a name, for the block alone; one that forgets while another process, or thread, has it."""
    path = state_dir / f"{name}.json"
    lock: AbstractContextManager[object] = nullcontext()
    try:
        folder = state_dir / "locks"
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        lock = hold(folder / f"{name}.lock", 0)
    except Held:
        _log.info("checkpoint.taken", file=str(path))
        yield NoCheckpoint()
        return
    except OSError:
        pass  # a folder that cannot be written: whoever saves there says so
    with lock:
        yield FileCheckpoint(path)
