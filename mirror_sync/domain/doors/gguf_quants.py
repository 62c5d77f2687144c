"""GGUF files as clients ask for them: by the word for a quantization that stands at the end of a file's name.

Source: common/download.cpp of llama.cpp, which cuts `Q4_K_M` from `Model-Q4_K_M.gguf` and from
`Model-Q4_K_M-00001-of-00002.gguf`; the header of a file is as docs/gguf.md of ggml has it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mirror_sync.domain.content.manifest import MirroredFile

HEAD = 64 * 1024  # bytes of a file in which its general facts are looked for
DEFAULT = "Q4_K_M"  # what is meant where nobody says, if there is one
_SUFFIX = ".gguf"
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<index>[0-9]{5})-of-(?P<count>[0-9]{5})", re.IGNORECASE)
_WORD = re.compile(r"(?P<dynamic>[-.]UD)?[-.](?P<word>[A-Za-z0-9_]+)$", re.IGNORECASE)
_NO_MODEL = ("mmproj", "imatrix")  # somewhere in the name of what is beside a model
_PROJECTORS = ("F16", "BF16", "Q8_0", "F32")  # the best first
_LONGEST = 100  # characters of a text of a header that is repeated anywhere
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _FIXED = 8, 24  # the type of a text; bytes before the first fact


@dataclass(frozen=True, slots=True)
class GgufQuant:
    """A model in one quantization: `names` are the words for it in capitals, the first as llama.cpp cuts it.

    There is none where the name of the file has none. `files` are several where it is split, in their order.
    """

    names: tuple[str, ...]
    files: tuple[MirroredFile, ...]

    @property
    def name(self) -> str:
        """The word for it; empty for none."""
        return self.names[0] if self.names else ""

    @property
    def size(self) -> int:
        """In bytes, of all files."""
        return sum(file.size for file in self.files)


def quants_of(files: Iterable[MirroredFile]) -> tuple[GgufQuant, ...]:
    """Every model that is whole, in the order of paths; of several of one word the first has it."""
    parts: dict[tuple[str, int], dict[int, MirroredFile]] = {}
    for file in sorted(files, key=lambda one: one.path):
        if is_model(file.path) and file.size:
            stem, index, count = _cut(file.path)
            parts.setdefault((stem, count), {})[index] = file
    found: list[GgufQuant] = []
    taken: set[str] = set()
    for (stem, count), numbered in parts.items():
        if sorted(numbered) == [*range(1, count + 1)]:
            names = tuple(name for name in dict.fromkeys(_words(stem)) if name not in taken)
            taken.update(names)
            found.append(GgufQuant(names, tuple(numbered[index] for index in range(1, count + 1))))
    return tuple(found)


def default_of(quants: Sequence[GgufQuant]) -> GgufQuant | None:
    """Q4_K_M where there is one, else the smallest; None where there is none at all."""
    named = (one for one in quants if DEFAULT in one.names)
    return next(named, min(quants, key=lambda one: (one.size, one.files[0].path), default=None))


def projector_of(files: Iterable[MirroredFile], quant: GgufQuant) -> MirroredFile | None:
    """What turns images into what a model reads, of its folder or of one above it."""
    folder = _folder(quant.files[0].path)
    beside = [one for one in files if _is_projector(one.path) and folder.startswith(_folder(one.path)) and one.size]
    return min(beside, key=lambda one: (-len(_folder(one.path)), _rank(one.path), one.path), default=None)


def is_model(path: str) -> bool:
    """Whether a file is a model in GGUF, and not what stands beside one."""
    name = path.rpartition("/")[2]
    return name.endswith(_SUFFIX) and not any(word in name.lower() for word in _NO_MODEL)


def quant_words(path: str) -> tuple[str, ...]:
    """The words for the quantization of a model's file, whole or a part, in capitals; none for any other file."""
    return tuple(_words(_cut(path)[0])) if is_model(path) else ()


def _is_projector(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(_SUFFIX) and _NO_MODEL[0] in name.lower()


def _cut(path: str) -> tuple[str, int, int]:
    """What stands before the numbers of a part, which part it is, and how many there are."""
    stem = path.removesuffix(_SUFFIX)
    split = _SPLIT.fullmatch(stem)
    return (stem, 1, 1) if split is None else (split["stem"], int(split["index"]), int(split["count"]))


def _words(stem: str) -> Iterator[str]:
    found = _WORD.search(stem)
    if found is not None:
        yield found["word"].upper()
        if found["dynamic"]:
            yield f"UD-{found['word'].upper()}"


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _rank(path: str) -> int:
    word = next(_words(_cut(path)[0]), "")
    return _PROJECTORS.index(word) if word in _PROJECTORS else len(_PROJECTORS)


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What the header of a file says of itself; empty where it says nothing that can be read."""

    architecture: str = ""
    size_label: str = ""  # as 7B

    @classmethod
    def of(cls, head: bytes) -> GgufFacts:
        """Of the first HEAD bytes of a file, whatever they are."""
        found = dict(_texts(head))
        return cls(found.get("general.architecture", ""), found.get("general.size_label", ""))


def _texts(head: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a header, as far as it goes without lists."""
    if head[:4] != b"GGUF" or len(head) < _FIXED or struct.unpack_from("<I", head, 4)[0] not in (2, 3):
        return
    count, at = struct.unpack_from("<Q", head, _FIXED - 8)[0], _FIXED
    try:
        for _ in range(min(count, 1000)):
            key, at = _text(head, at)
            kind, at = struct.unpack_from("<I", head, at)[0], at + 4
            if kind == _STRING:
                value, at = _text(head, at)
                yield key, value[:_LONGEST]
            elif kind in _SCALARS:
                at += struct.calcsize(f"<{_SCALARS[kind]}")
            else:
                return
    except (struct.error, ValueError):
        return  # the header goes on beyond these bytes, or is none


def _text(head: bytes, at: int) -> tuple[str, int]:
    length = struct.unpack_from("<Q", head, at)[0]
    end = at + 8 + length
    if end > len(head):
        raise ValueError("beyond the head")
    return head[at + 8 : end].decode(errors="replace"), end
