"""Which endpoints gave which files' bytes, and which of them proved wrong: only a file's reader can tell."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable

from mirror_sync.domain.digest import Promise

_REMEMBERED = 4096  # files: those in flight are a few dozen


class Suspicions:
    """Complaints about endpoints, by their index, for each content. Forgets the oldest. Safe for many threads."""

    def __init__(self) -> None:
        self._served: OrderedDict[Promise, set[int]] = OrderedDict()
        self._wrong: OrderedDict[Promise, Counter[int]] = OrderedDict()
        self._lock = threading.Lock()

    def served(self, content: Promise, index: int) -> None:
        """An endpoint gave bytes of this content."""
        with self._lock:
            self._served.setdefault(content, set()).add(index)
            _keep_newest(self._served, content)

    def complain(self, content: Promise) -> frozenset[int]:
        """The bytes were wrong: the endpoints that gave them. Which of several it was, the next tries will tell."""
        with self._lock:
            guilty = frozenset(self._served.pop(content, ()))
            self._wrong.setdefault(content, Counter()).update(guilty)
            _keep_newest(self._wrong, content)
            return guilty

    def order(self, content: Promise, indexes: Iterable[int]) -> list[int]:
        """The endpoints for a content: those with the fewest complaints about it first, otherwise as they come."""
        with self._lock:
            wrong = self._wrong.get(content, Counter())
            return sorted(indexes, key=lambda index: wrong[index])


def _keep_newest(known: OrderedDict[Promise, set[int]] | OrderedDict[Promise, Counter[int]], content: Promise) -> None:
    known.move_to_end(content)
    while len(known) > _REMEMBERED:
        known.popitem(last=False)
