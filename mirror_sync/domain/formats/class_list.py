"""The attachment `classes` of a snapshot: the class of each of its files, in the order of its listing.

    {"format": 1, "classifier": "1", "classes": {"data": {"files": 400, "bytes": 123}, ...},
     "order": "d400t12p1", "named": [["pytorch_model.bin", "pickle", "torch zip"], ...]}

`order` has a letter for each class and how many files of it follow each other: a million files of one class cost some
bytes, and a million that alternate two megabytes. `named` has the first files of each class that runs code, or of
which nobody knows whether it does. A listing is in the order of snapshot.sort_key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mirror_sync.domain.bounds import short, text, whole
from mirror_sync.domain.formats.classifier import VERSION
from mirror_sync.domain.formats.file_class import RUNNING, Classified, FileClass
from mirror_sync.errors import DocumentError

CLASSES = "classes"  # the name of the attachment
_FORMAT = 1
_NAMED = 1000  # files of each class that are named
_WHAT = 80  # characters of what a file is
_LETTERS = dict(zip(FileClass, "dtcupox", strict=True))
_OF = {letter: of for of, letter in _LETTERS.items()}
_STEPS = re.compile(r"([dtcupox])([1-9][0-9]{0,8})")
_MOST = 10_000_000  # files of a snapshot


@dataclass(slots=True)
class Share:
    """How much of a snapshot is of one class; `bytes` of all of its files."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ClassList:
    """What was found of a snapshot. `named` by path, in the listing's order."""

    shares: dict[FileClass, Share]
    order: tuple[tuple[FileClass, int], ...]
    named: dict[str, Classified]
    classifier: str = VERSION

    @property
    def files(self) -> int:
        """How many files it tells of."""
        return sum(count for _, count in self.order)

    def each(self, paths: Iterable[str]) -> Iterator[Classified]:
        """The class of each path of the very listing it was made of."""
        classes = (of for of, count in self.order for _ in range(count))
        for path, of in zip(paths, classes, strict=True):
            yield self.named.get(path) or _BARE[of]

    def encode(self) -> bytes:
        """The document."""
        return json.dumps(
            {
                "format": _FORMAT,
                "classifier": self.classifier,
                "classes": {of: {"files": one.files, "bytes": one.bytes} for of, one in self.shares.items()},
                "order": _spelled(self.order),
                "named": [[path, one.of, one.what] for path, one in self.named.items()],
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()

    @classmethod
    def decode(cls, body: bytes) -> ClassList:
        """DocumentError for what is no such document."""
        try:
            document = json.loads(body)
            exact(document["format"], _FORMAT)
            order = _order(text(document["order"]))
            shares = {
                FileClass(of): Share(whole(one["files"]), whole(one["bytes"]))
                for of, one in document["classes"].items()
            }
            named = {text(path): Classified(FileClass(of), text(what)) for path, of, what in document["named"]}
            return cls(shares, order, named, text(document["classifier"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a document of classes: {error!r:.200}") from error


def exact(value: object, wanted: int) -> None:
    """ValueError for another format."""
    if value != wanted:
        raise ValueError("another format")


def _order(steps: str) -> tuple[tuple[FileClass, int], ...]:
    found = tuple((_OF[letter], int(count)) for letter, count in _STEPS.findall(steps))
    if _spelled(found) != steps or sum(count for _, count in found) > _MOST:
        raise ValueError("an order that cannot be read")
    return found


def _spelled(order: Iterable[tuple[FileClass, int]]) -> str:
    return "".join(f"{_LETTERS[of]}{count}" for of, count in order)


_BARE = {of: Classified(of, "") for of in FileClass}
_TOLD = (*RUNNING, FileClass.UNKNOWN)


@dataclass(slots=True)
class ClassListMaker:
    """Takes the files of a snapshot in the order of its listing."""

    shares: dict[FileClass, Share] = field(default_factory=dict)
    order: list[tuple[FileClass, int]] = field(default_factory=list)
    named: dict[str, Classified] = field(default_factory=dict)

    def add(self, path: str, size: int, found: Classified) -> None:
        """One file more; `size` in bytes."""
        share = self.shares.setdefault(found.of, Share())
        share.files, share.bytes = share.files + 1, share.bytes + size
        if self.order and self.order[-1][0] is found.of:
            self.order[-1] = (found.of, self.order[-1][1] + 1)
        else:
            self.order.append((found.of, 1))
        if found.of in _TOLD and share.files <= _NAMED:
            self.named[path] = Classified(found.of, short(found.what, _WHAT))

    def made(self) -> ClassList:
        """All that was taken."""
        shares = {of: self.shares[of] for of in FileClass if of in self.shares}
        return ClassList(shares, tuple(self.order), dict(self.named))
