"""Which files of a repo a job wants, by the rules of huggingface_hub's allow_patterns and ignore_patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mirror_sync.domain.bounds import LARGEST
from mirror_sync.domain.content.manifest import RemoteFile

# Without these a copy may break the very licence that permits it; they travel with every snapshot.
_LEGAL = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")


def always_travels(path: str) -> bool:
    """Licence texts and notices wherever they lie, and the card (README.md) of the repo."""
    name = path.rpartition("/")[2]
    return path == "README.md" or any(fnmatchcase(name.upper(), pattern) for pattern in _LEGAL)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What one rule leaves out of a commit: `files` of `bytes` in all.

    `rule` is `exclude`, with the pattern that matched, or `include`, with all of its patterns, none of which did.
    """

    rule: str
    patterns: tuple[str, ...]
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Glob patterns over whole paths; `*` crosses `/`, and `folder/` means all that is in it."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def wants(self, path: str) -> bool:
        """Whether a file is mirrored; licence texts and the card always are."""
        if always_travels(path):
            return True
        return _any_matches(path, self.include) and not _any_matches(path, self.exclude)

    def filter(self, files: Iterable[RemoteFile]) -> Iterator[RemoteFile]:
        """The files that are mirrored, in their order."""
        if self == Selection():
            return iter(files)
        return (file for file in files if self.wants(file.path))

    def left_out(self, files: Iterable[RemoteFile]) -> tuple[LeftOut, ...]:
        """What of `files` is not wanted, by the rule that says so; of several patterns the first counts."""
        counts: dict[str | None, tuple[int, int]] = {}
        for file in files if self != Selection() else ():
            if not self.wants(file.path):
                rule = next((pattern for pattern in self.exclude if _any_matches(file.path, (pattern,))), None)
                count, size = counts.get(rule, (0, 0))
                counts[rule] = (count + 1, min(size + file.size, LARGEST))
        order = [pattern for pattern in (*self.exclude, None) if pattern in counts]
        return tuple(
            LeftOut("include", self.include, *counts[rule])
            if rule is None
            else LeftOut("exclude", (rule,), *counts[rule])
            for rule in dict.fromkeys(order)
        )

    def __str__(self) -> str:
        left_out = f", exclude {', '.join(map(_shown, self.exclude))}" if self.exclude else ""
        return f"include {', '.join(map(_shown, self.include))}{left_out}"


def _shown(pattern: str) -> str:
    """As it was written; in quotes where its end would not be seen without them."""
    plain = pattern.isprintable() and not any(character in pattern for character in " ,'\"")
    return pattern if plain else ascii(pattern)


def _any_matches(path: str, patterns: tuple[str, ...]) -> bool:
    # huggingface_hub.utils.filter_repo_objects: a pattern that ends in "/" stands for the folder's content
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)
