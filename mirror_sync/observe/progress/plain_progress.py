"""Progress where nobody watches a terminal: a log line a minute while a run goes on, also when nothing moves."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from mirror_sync.domain.outcome.events import Verified
from mirror_sync.logger import Logger
from mirror_sync.observe.figures import in_bytes, in_time
from mirror_sync.observe.tally import Progress, Tally

_EVERY = 60.0  # seconds


class PlainProgress:
    """A context manager; what it says it reads from the tally."""

    def __init__(self, tally: Tally, every: float = _EVERY) -> None:
        self._tally, self._every = tally, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            progress = self._tally.now()
            if progress.verified is not None:
                Logger().info("progress", **verified_of(progress.verified))
            elif progress.runs:
                Logger().info("progress", **fields_of(progress))


def verified_of(verified: Verified) -> dict[str, str]:
    return {
        "blobs": f"{verified.blobs:,}",
        "verified": in_bytes(verified.bytes),
        "faults": f"{verified.faults:,}",
    }


def fields_of(progress: Progress) -> dict[str, str]:
    return {
        "job": f"{progress.job_number}/{progress.jobs} {progress.job}".rstrip(),
        "repos": f"{progress.repos_done}/{progress.repos}",
        "files": f"{progress.files_done}/{progress.files}",
        "fetched": f"{in_bytes(progress.bytes_done)} of {in_bytes(progress.bytes)}",
        "rate": f"{in_bytes(progress.rate)}/s",
        "left": "unknown" if progress.left is None else in_time(progress.left),
    }
