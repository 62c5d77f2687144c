"""A target of two tiers: where each of its blobs lies, and how one is brought to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mirror_sync.ports.store import Stat


@dataclass(frozen=True, slots=True)
class Placed:
    """A blob, and whether it lies in the cold tier alone: one that lies in both is warm."""

    stat: Stat
    cold: bool


class Tiering(Protocol):
    """Moves blobs between the tiers of one target. Safe for many threads and processes; raises StoreError.

    Whatever ends a move, the blob is in one of the tiers at least, whole, and is found there by the target's store.
    """

    def ready(self, *, begun: bool) -> None:
        """Before anything is moved. StoreUnavailable where blobs were moved before (`begun`), and the cold tier is not
        the one that they went to: its disk is not mounted.
        """
        ...

    def cold_now(self) -> float:
        """The present by the clock that says how old what lies `Stat.cold` is: a stamp that is set for this call.

        -inf where nothing has ever gone there, and nothing there is older. StoreUnavailable where it is not mounted.
        """
        ...

    def placed(self) -> Iterator[Placed]:
        """Every blob once, in an order of its own."""
        ...

    def is_cold(self, key: str) -> bool:
        """Whether a blob lies in the cold tier alone."""
        ...

    def chill(self, stat: Stat, go_on: Callable[[], None]) -> None:
        """Bring a blob to the cold tier, prove it there, and only then take it out of the warm one.

        IntegrityError where its bytes are not those of its name: then nothing is taken away. KeyMissing where it is in
        neither. `go_on` is called again and again, and ends it by raising.
        """
        ...

    def warm(self, stat: Stat, go_on: Callable[[], None]) -> bool:
        """Bring a blob to the warm tier; False where that was only asked for, and takes hours. Raises what `chill`
        does.
        """
        ...
