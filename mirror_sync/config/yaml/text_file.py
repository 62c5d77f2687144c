"""Small text files, read whole: jobs.yaml itself, a token's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror_sync.domain.digest import Sha256
from mirror_sync.owners import unread_cause

MISSING = "there is no such file"
_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file, a byte order mark left out, and the digest of its bytes as they lie there."""

    text: str
    digest: Sha256


def read_text(path: Path) -> TextFile:
    """A UTF-8 file. ValueError, with the reason, when it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(MISSING) from None
    except IsADirectoryError:
        raise ValueError("this is a directory, not a file") from None
    except OSError as error:
        raise ValueError(f"the file cannot be read: {unread_cause(error, path)}") from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"the file is larger than {_MAX_BYTES // 1024**2} MiB")
    try:
        return TextFile(content.decode("utf-8-sig"), Sha256.of(content))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"the file is not UTF-8 text (line {line})") from None
