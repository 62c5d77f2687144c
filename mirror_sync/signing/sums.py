"""SHA256SUMS: the digests of all files of a snapshot, as `sha256sum` writes them and `sha256sum -c` checks them.

Source: GNU coreutils 9.1. A line is the digest, two spaces and the name; where a name holds a backslash, a line feed or
a carriage return, these are escaped and the line begins with a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import SigningError

SUMS, SUMS_SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
_STDIN = "-"  # what `sha256sum -c` would read instead of a file of that name
_ESCAPED = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
_PLAIN = {escaped: char for char, escaped in _ESCAPED.items()}
_SPECIAL = re.compile(r"[\\\n\r]")
_ESCAPE = re.compile(r"\\.?")
_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")


def sum_lines(files: Iterable[MirroredFile]) -> Iterator[bytes]:
    """A line for each file, in the order in which they come: that of paths, wherever it is signed."""
    for file in files:
        name = f"./{_STDIN}" if file.path == _STDIN else file.path
        escaped = _SPECIAL.sub(lambda char: _ESCAPED[char[0]], name)
        yield f"{'' if escaped == name else chr(92)}{file.sha256}  {escaped}\n".encode()


def read_sums(body: bytes) -> Iterator[tuple[str, Sha256]]:
    """The paths and digests that a list says. SigningError for what is no such list."""
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    for number, line in enumerate(lines, 1):
        try:
            yield _read(line.decode())
        except (ValueError, KeyError):
            raise SigningError(f"not a list as sha256sum writes it: line {number}") from None


def _read(line: str) -> tuple[str, Sha256]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(line)
    name = _ESCAPE.sub(lambda char: _PLAIN[char[0]], match[3]) if match[1] else match[3]
    return name.removeprefix("./"), Sha256(match[2])
