"""What the daemon tries again before its next time: a small file in the state folder, which `status` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.logger import Logger
from mirror_sync.owners import cause, is_there, write_anew

FILE = "tries.json"

_log = Logger()


@dataclass(frozen=True, slots=True)
class Try:
    """A repo of a job, or all of the job where `repo` is None; the `number`th try, from 1, is due `at`."""

    job: str
    repo: Repo | None
    at: datetime
    number: int


def read_tries(folder: Path) -> tuple[Try, ...]:
    """What waits. A file that nobody can read holds nothing: the next whole run does what it would have said."""
    path = folder / FILE
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            Try(
                str(one["job"]),
                None if one["repo"] is None else Repo.parse(str(one["repo"])),
                datetime.fromisoformat(one["at"]).astimezone(UTC),
                int(one["number"]),
            )
            for one in written
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        _log.warning("tries.unreadable", file=str(path), reason=cause(error, path))
        return ()


def write_tries(folder: Path, tries: Iterable[Try]) -> None:
    """Replace what waits. OSError when the state folder cannot be written."""
    document = [_document(one) for one in tries]
    path = folder / FILE
    if not document and not is_there(path):
        return
    write_anew(path, json.dumps(document, indent=2))


def _document(one: Try) -> dict[str, Any]:
    repo = None if one.repo is None else str(one.repo)
    return {"job": one.job, "repo": repo, "at": iso_utc(one.at), "number": one.number}
