"""Where files' bytes were found last: the ranges of a large file then cost the hub one call, not one each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

_REMEMBERED = 256  # files: those in flight are a few dozen
BRIDGED = 50_000_000_000  # bytes; of larger ones the Hub's bridge gives parts alone (xet-core#592)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes. `trusted`: it was not named by the open internet, so it may lead into our own network."""

    url: str
    trusted: bool = True


class Addresses:
    """Signed addresses by the path of a file at a commit. Forgets the oldest. Safe for many threads.

    `whole_up_to`: the size in bytes above which a file is asked for by a range of all of it, as it is not given whole.
    """

    def __init__(self) -> None:
        self.whole_up_to = BRIDGED
        self._known: OrderedDict[str, Address] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, place: str) -> Address | None:
        with self._lock:
            return self._known.get(place)

    def keep(self, place: str, address: Address) -> None:
        with self._lock:
            self._known[place] = address
            self._known.move_to_end(place)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def forget(self, place: str) -> None:
        with self._lock:
            self._known.pop(place, None)
