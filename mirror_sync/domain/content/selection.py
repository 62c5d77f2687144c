"""Which files of a repo a job wants, by the rules of huggingface_hub's allow_patterns and ignore_patterns."""

from __future__ import annotations

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

    def __str__(self) -> str:
        left_out = f", exclude {', '.join(map(_shown, self.exclude))}" if self.exclude else ""
        return f"include {', '.join(map(_shown, self.include))}{left_out}"


class Sieve:
    """Lets through the files that a selection wants, one after the other, and counts what it leaves out."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._counts: dict[str | None, tuple[int, int]] = {}  # by the pattern that says so: files, bytes
        self._all = selection == Selection()
        self.files = 0  # all that came, wanted or not

    def wants(self, file: RemoteFile) -> bool:
        """Whether the next file is mirrored."""
        self.files += 1
        if self._all or self._selection.wants(file.path):
            return True
        rule = next((one for one in self._selection.exclude if _any_matches(file.path, (one,))), None)
        count, size = self._counts.get(rule, (0, 0))
        self._counts[rule] = (count + 1, min(size + file.size, LARGEST))
        return False

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was not wanted, by the rule that says so; of several patterns the first counts."""
        order = [pattern for pattern in (*self._selection.exclude, None) if pattern in self._counts]
        return tuple(
            LeftOut("include", self._selection.include, *self._counts[rule])
            if rule is None
            else LeftOut("exclude", (rule,), *self._counts[rule])
            for rule in dict.fromkeys(order)
        )

    @property
    def lets_all_through(self) -> bool:
        """Whether nothing was left out."""
        return not self._counts


def _shown(pattern: str) -> str:
    """As it was written; in quotes where its end would not be seen without them."""
    plain = pattern.isprintable() and not any(character in pattern for character in " ,'\"")
    return pattern if plain else ascii(pattern)


def _any_matches(path: str, patterns: tuple[str, ...]) -> bool:
    # huggingface_hub.utils.filter_repo_objects: a pattern that ends in "/" stands for the folder's content
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)
