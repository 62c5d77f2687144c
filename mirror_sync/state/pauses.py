"""Jobs that a person has paused: a small file in the state folder, which the daemon reads when a job is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.logger import Logger
from mirror_sync.owners import PRIVATE, cause, write_anew
from mirror_sync.state.file_lock import FileHold, hold

FILE = "paused.json"

_log = Logger()


class Pauses:
    """Safe for several processes: what is read is the file as one of them left it. `now` knows its zone."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder, self._path, self._now = folder, folder / FILE, now

    def all(self) -> dict[str, datetime | None]:
        """The jobs that are paused now, and until when; None for until somebody resumes them.

        A file that nobody can read pauses nothing: the mirror's purpose is to run.
        """
        try:
            written = json.loads(self._path.read_text(encoding="utf-8"))
            ends = {str(job): None if end is None else datetime.fromisoformat(end) for job, end in written.items()}
            return {job: end for job, end in ends.items() if end is None or end > self._now()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            _log.warning("pauses.unreadable", file=str(self._path), reason=cause(error, self._path))
            return {}

    def pause(self, job: str, until: datetime | None) -> None:
        """OSError when the state folder cannot be written, here and below."""
        with self._locked():
            self._write({**self.all(), job: until})

    def resume(self, job: str) -> bool:
        """Whether it was paused."""
        with self._locked():
            pauses = self.all()
            if job not in pauses:
                return False
            del pauses[job]
            self._write(pauses)
            return True

    def put(self, pauses: Mapping[str, datetime | None]) -> None:
        """Those of another machine, in the place of all that there are."""
        with self._locked():
            if self.all() != pauses:
                self._write(pauses)

    def _locked(self) -> FileHold:
        self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        return hold(self._folder / f"{FILE}.lock")

    def _write(self, pauses: Mapping[str, datetime | None]) -> None:
        document = {job: None if end is None else end.isoformat() for job, end in pauses.items()}
        write_anew(self._path, json.dumps(document, indent=2))


def pause_lines(pauses: Mapping[str, datetime | None]) -> Iterator[str]:
    """job nightly is paused until 2026-01-01 06:00 UTC."""
    for job, end in sorted(pauses.items()):
        until = "until mirror-sync resume" if end is None else f"until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        yield f"job {job} is paused {until}"
