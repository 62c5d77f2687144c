"""Secrets that others on this machine may read: written into a jobs.yaml, or in a token's file, that is open to all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_IMODE, S_IROTH, S_IXOTH

from mirror_sync.config.checks.credentials import texts_of_secrets
from mirror_sync.config.findings import Finding, Trail, quoted
from mirror_sync.config.keys import address_values

_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}")  # one with a default holds a text of its own


def doubts(written: object, tree: Mapping[str, object], files: Iterable[Trail], path: Path) -> Iterator[Finding]:
    """`written` is jobs.yaml at `path` before variables are put in, `tree` after; `files` name tokens' files in it."""
    mode = _open_mode(path)
    for trail, text in texts_of_secrets(written) if mode else ():
        if trail[-1] != "access_key" and _VARIABLE.sub("", text).strip():
            right = 'write "${NAME}" and set it in the environment, or let none but its readers read the file: chmod o='
            yield Finding(
                trail, f"stands here as text, and {path.name} may be read by everybody here ({mode}); {right}"
            )
    for trail in files:
        name = _at(tree, trail)
        mode = _open_mode(path.absolute().parent / address_values.folder(name).path)
        if mode:
            yield Finding(trail, f"{quoted(name)} may be read by everybody here ({mode}); chmod 600 it")


def _at(tree: object, trail: Trail) -> str:
    for step in trail:
        tree = tree[step]  # type: ignore[index]  # a trail leads through mappings and lists
    return str(tree)


def _open_mode(path: Path) -> str:
    """The mode of a file that everybody may read, as in `mode 0644`; empty for one that they may not, or not reach."""
    try:
        real = path.resolve()
        mode = real.stat().st_mode
        reached = all(folder.stat().st_mode & S_IXOTH for folder in real.parents)
    except OSError:
        return ""  # what we cannot look at, others cannot either
    return f"mode {S_IMODE(mode):04o}" if mode & S_IROTH and reached else ""
