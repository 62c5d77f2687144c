"""Which repo it is that goes by a name: whoever deletes or renames a repo gives its name away to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.bounds import short
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.times import iso_utc

_SHOWN = 64  # characters of an upstream's word that a message repeats


@dataclass(frozen=True, slots=True)
class Identity:
    """What the Hub's info answer tells of a repo whatever its name: `_id`, and `created` (ISO 8601, UTC).

    Both are empty where an upstream does not tell them: a folder is what its operator put there.
    """

    id: str = ""
    created: str = ""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Identity:
        """Out of an info answer, or out of what `encode` wrote. Whatever else stands there tells nothing."""
        told, made = info.get("_id"), info.get("createdAt")
        when = moment(made) if isinstance(made, str) else None
        return cls(told if isinstance(told, str) else "", "" if when is None else iso_utc(when))

    def encode(self) -> dict[str, str]:
        """The keys by which documents know a repo; without those that were not told."""
        return {key: value for key, value in (("_id", self.id), ("createdAt", self.created)) if value}

    def __bool__(self) -> bool:
        return bool(self.id or self.created)

    def differs(self, other: Identity) -> bool:
        """Whether these are two repos. Only where one has no `_id`, the times tell them apart; nothing else does.

        A shared commit shows nothing: a history can be copied together with its ids.
        """
        if self.id and other.id:
            return self.id != other.id
        return bool(self.created and other.created) and self.created != other.created

    @property
    def word(self) -> str:
        """What a person accepts it by."""
        return self.id or self.created

    @property
    def shown(self) -> str:
        """The same in characters that a terminal and a log can bear: `_id` is an upstream's own."""
        return ascii(short(self.word, _SHOWN))[1:-1]

    def __str__(self) -> str:
        made = f"made {self.created}" if self.created else ""
        return " ".join(filter(None, (f"_id {self.shown}" if self.id else "", made)))
