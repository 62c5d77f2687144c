"""What is known of a published snapshot beside its files: is it signed, was it scanned, what of it runs code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mirror_sync.domain.content.snapshot import Entry
from mirror_sync.domain.formats.class_list import ClassList
from mirror_sync.domain.formats.file_class import FileClass, by_name, may_run, rank

SIGNED, SCANNED = "SHA256SUMS.sig", "scans"  # the attachments of a root that is signed, and that was scanned
_PATHS = 3  # of files that run code, that are named


@dataclass(frozen=True, slots=True)
class Assurance:
    """All None where nobody looked, or knows it any more.

    `scanned_at`: when scanners looked at what was new in it, ISO 8601 in UTC. `code_files` run code when they are
    loaded, `worst` is the worst class of all files; by names alone, where no policy looked at bytes, only of those that
    run code, empty for none. `code_paths` are the first of them.
    """

    signed: bool | None = None
    scanned: bool | None = None
    scanned_at: str | None = None
    worst: str | None = None
    code_files: int | None = None
    code_paths: tuple[str, ...] = ()  # last: what is remembered is in this order

    def named(self) -> dict[str, object]:
        """As documents for machines say it, names of files left out."""
        return {
            "signed": self.signed,
            "scanned": self.scanned,
            "scanned_at": self.scanned_at,
            "class": self.worst or None,
            "code_files": self.code_files,
        }


def assured(attachments: Collection[str], scanned_at: str | None, code: CodeCount | None) -> Assurance:
    """Of a root that names these attachments; `code` None where its files were not looked at."""
    scanned = SCANNED in attachments
    found = Assurance(SIGNED in attachments, scanned, scanned_at if scanned else None)
    return found if code is None else replace(found, worst=code.worst, code_files=code.files, code_paths=(*code.paths,))


@dataclass(slots=True)
class CodeCount:
    """How many files run code when they are loaded, and the worst class."""

    files: int = 0
    worst: str = ""
    paths: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, classes: ClassList) -> CodeCount:
        """As the bytes of all files tell."""
        files = sum(share.files for of, share in classes.shares.items() if of.runs)
        paths = [path for path, found in classes.named.items() if found.of.runs]
        return cls(files, max(classes.shares, key=rank, default=""), paths[:_PATHS])

    def add(self, path: str) -> None:
        """One file more, of which only the name is known."""
        if may_run(path):
            found = by_name(path) or FileClass.CODE
            self.files += 1
            if len(self.paths) < _PATHS:
                self.paths.append(path)
            self.worst = max(found, FileClass(self.worst), key=rank) if self.worst else found


Listed = TypeVar("Listed", bound=Entry)


def counting(entries: Iterable[Listed], count: CodeCount) -> Iterator[Listed]:
    """The same entries, counted by their names as they pass."""
    for entry in entries:
        if entry.sha256:  # a folder has none, and runs nothing whatever it is called
            count.add(entry.path)
        yield entry
