"""A Scanner: who says of a file whether there is something bad in it, without loading it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.domain.policy.scan_policy import ScannedFile


class FileContent(Protocol):
    """The bytes of a stored file, in ranges or from end to end. Raises StoreError while reading."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from there on."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """All bytes, in order."""
        ...


class Scanner(Protocol):
    """Safe for many threads. What it cannot do is an answer (`failed`, `not scanned`), never an error of its own."""

    @property
    def name(self) -> str:
        """As verdicts call it."""
        ...

    @property
    def version(self) -> str:
        """Of its answers: what another version said of a file is not believed."""
        ...

    def wants(self, path: str, found: Classified) -> bool:
        """Whether a file is of a kind that it looks at; `found` is the file's class."""
        ...

    def scan(self, path: str, found: Classified, content: FileContent) -> ScannedFile:
        """Look at a file. Raises StoreError where it cannot be read, and Interrupted for a stop."""
        ...
