"""Reads and writes the file of the tokens of readers, whole: two that write at once do so one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from mirror_sync.config.edited_files import alone_at, replace_file
from mirror_sync.domain.access.access_tokens import LARGEST_FILE, AccessToken, AccessTokens
from mirror_sync.errors import ConfigError, Fault, UsageError
from mirror_sync.owners import cause, unread_cause

_SHARED_WAY = 0o755  # nginx's workers read it


def read_tokens_file(path: Path) -> AccessTokens:
    """What stands there; a file that is not there holds none. ConfigError for one that cannot be read, or is broken."""
    try:
        with path.open("rb") as file:
            return AccessTokens.decode(file.read(LARGEST_FILE + 1))
    except FileNotFoundError:
        return AccessTokens()
    except OSError as error:
        said = f"the file cannot be read: {unread_cause(error, path)}"
    except ValueError as error:
        said = str(error)
    raise ConfigError((Fault(str(path), 0, 0, "", said),))


def known_tokens(path: Path | None) -> Sequence[AccessToken] | None:
    """What is known of a file for the audit; None where there is no file, or it cannot be read."""
    if path is None or not path.exists():
        return None
    with suppress(ConfigError):
        return read_tokens_file(path).every
    return None


def change_tokens_file(path: Path, change: Callable[[AccessTokens], AccessTokens]) -> None:
    """Write the file anew with a change, or make it. ConfigError for a broken one; UsageError where it cannot be."""
    path = path.resolve()
    try:
        path.parent.mkdir(_SHARED_WAY, parents=True, exist_ok=True)
        with alone_at(path):
            text = change(read_tokens_file(path)).encode()
            if len(text) > LARGEST_FILE:
                raise UsageError(f"{path} would have more than {LARGEST_FILE} bytes: remove what is revoked from it")
            replace_file(path, text.encode("ascii"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {cause(error, path.parent)}") from error
