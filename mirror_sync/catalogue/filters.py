"""What the list can be narrowed by: the values that there are, the commonest of them, and how many repos have each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_sync.catalogue.formats import count
from mirror_sync.catalogue.texts import TEXTS, plain
from mirror_sync.domain.catalogue.rows import RepoRow

_CHOICES = 200  # of a filter, at most
_SIZES = ("s", "m", "l", "xl")  # `search.js` knows their bounds


@dataclass(frozen=True, slots=True)
class Choice:
    """`value` as the rows have it, and what a reader sees: an option of a select can hold no markup."""

    value: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Filter:
    """`name` is the name of the column's text and of the filter in the page's address."""

    name: str
    choices: tuple[Choice, ...]


def filters(rows: Sequence[RepoRow]) -> list[Filter]:
    """What the list of repos may be narrowed by, with the choices that some row has."""
    return [
        _filter("kind", [row.kind.value for row in rows]),
        _filter("licence", [name for row in rows for name in dict.fromkeys(row.licenses)]),
        _filter("task", [row.task for row in rows if row.task]),
        Filter("size", (_any("size"), *(Choice(size, **plain(f"home.size-{size}")) for size in _SIZES))),
        _filter("state", [row.state for row in rows]),
    ]


def _filter(name: str, values: Iterable[str]) -> Filter:
    """The choices stand in the order of their names."""
    common = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0]))[:_CHOICES]
    ordered = sorted(common, key=lambda one: (one[0].lower(), one[0]))
    return Filter(name, (_any(name), *(_counted(name, value, rows) for value, rows in ordered)))


def _any(name: str) -> Choice:
    return Choice("", **plain(f"home.any-{name}"))


def _counted(name: str, value: str, rows: int) -> Choice:
    key = f"{name}.{value}"
    spoken = plain(key) if key in TEXTS else {"en": value, "zh": value}
    return Choice(value, f"{spoken['en']} ({count(rows)})", f"{spoken['zh']} ({count(rows)})")
