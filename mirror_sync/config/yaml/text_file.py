"""Small text files, read whole: jobs.yaml itself, a token's file."""

from __future__ import annotations

from pathlib import Path

from mirror_sync.owners import unread_cause

MISSING = "there is no such file"
_MAX_BYTES = 4 * 1024 * 1024


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, a byte order mark left out. ValueError, with the reason, when that cannot be."""
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
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"the file is not UTF-8 text (line {line})") from None
