"""The Hub's lists of repos, and what is known of a repo that is not published: from what the catalogue has written.

A request reads a bounded number of pages, however many repos there are; the next one goes on where it ended.
Source: huggingface_hub 2.4, HfApi.list_models and utils/_pagination.py.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from mirror_sync.domain.catalogue.published_lists import INDEX, Listed, decode_index, decode_page, page_name
from mirror_sync.domain.catalogue.rows import LARGEST, WHOLE
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Refusal
from mirror_sync.front.hub.lru import ByteLru
from mirror_sync.ports.store import Store, read_site

_KEPT_BYTES = 16 << 20
_DECODED = 3  # a page takes about so many times the bytes of its text
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_TURNED = str.maketrans("0123456789", "9876543210")


@dataclass(frozen=True, slots=True)
class RepoListRequest:
    """What a list is asked for; words in lower case; an id holds all of `search`. `start` is the id from which on.

    `gated`: whether the upstream asks for its terms to be accepted; None for either.
    `order`: the key by whose values, newest first, in place of names; then `behind` is where the page before ended.
    """

    kind: Kind
    author: str
    search: tuple[str, ...]
    filters: tuple[str, ...]
    limit: int
    start: str
    order: str = ""
    behind: str = ""
    gated: bool | None = None

    @classmethod
    def of(cls, kinds: str, query: str) -> RepoListRequest:
        """Refusal 501 for what these lists cannot do, 400 for what is none."""
        asked = parse_qs(query)
        if unknown := sorted(asked.keys() - answers.LIST_KEYS):
            raise Refusal(501, f"{answers.LIST_LIMITS}: {unknown[0][:40]!r} is not among them")
        last = {name: values[-1] for name, values in asked.items()}
        tags = tuple(tag for value in asked.get("filter", []) for tag in value.split(",") if tag)
        tags += tuple(last[name] for name in ("pipeline_tag", "library") if name in last)
        order = answers.ORDERS.get(last.get("sort", ""), "")
        if "sort" in last and not order:
            raise Refusal(501, f"{answers.UNKNOWN_ORDER}; {last['sort'][:40]!r} is neither")
        limit = last.get("limit", str(answers.LIST_PAGE))
        if not (limit.isascii() and limit.isdigit() and int(limit[:9]) > 0):
            raise Refusal(400, answers.BAD_LIMIT)
        cursor = last.get("cursor", "")
        return cls(
            Kind(kinds.removesuffix("s")),
            last.get("author", "").lower(),
            tuple(word.lower() for word in asked.get("search", [])),
            tags,
            min(int(limit[:9]), answers.LIST_PAGE),
            max("" if order else cursor, f"{last['author'].lower()}/" if last.get("author") else ""),
            order,
            cursor if order else "",
            _gated(last.get("gated", "")),
        )

    def fits(self, one: Listed) -> bool:
        """Whether a repo belongs into the answer."""
        low = one.id.lower()
        if one.kind is not self.kind or one.state != "published" or low < self.start:
            return False
        if not all(word in low for word in self.search):
            return False
        if self.author and low.partition("/")[0] != self.author:
            return False
        if not self.filters and self.gated is None:
            return True
        item = json.loads(one.item)
        return _has(item, self.filters) and self.gated in (None, bool(item.get("gated")))

    def is_past(self, low: str) -> bool:
        """Whether an id and all after it are another author's."""
        return bool(self.author) and low >= f"{self.author}0"  # "0" follows "/" in ASCII


class Lists:
    """What the catalogue lists, at most `seconds` ago. Safe for many threads; raises StoreError, DocumentError."""

    def __init__(self, store: Store, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._seconds, self._clock = store, seconds, clock
        self._index: ByteLru[str, tuple[float, list[tuple[str, str]] | None]] = ByteLru(_KEPT_BYTES)
        self._pages: ByteLru[str, tuple[float, list[Listed]]] = ByteLru(_KEPT_BYTES)

    def known(self, repo: Repo, *, everything: bool = False) -> Listed | None:
        """What is known of a repo of which nothing is published; `everything`: also what is not for everybody."""
        if everything and (found := self._known(repo, WHOLE)) is not None:
            return found
        return self._known(repo, "")

    def _known(self, repo: Repo, volume: str) -> Listed | None:
        pages, low = self._read_index(volume) or [], repo.id.lower()
        at = max(bisect_right([first for _, first in pages], low) - 1, 0)
        for name, _ in pages[max(at - 1, 0) : at + 1]:  # a model and a dataset of one name may end and begin a page
            for one in self._read_page(volume, name):
                if (one.kind, one.id) == (repo.kind, repo.id) and one.state != "published":
                    return one
        return None

    def page(
        self, wanted: RepoListRequest, sees: Callable[[Listed], bool], *, everything: bool
    ) -> tuple[list[str], str | None]:
        """Items as JSON, and the id from which the others begin. Refusal 404 where no lists are published.

        `sees` tells which a reader may see, of those that are for everybody, or of `everything`.
        """
        volume = WHOLE if everything else ""
        pages = self._read_index(volume)
        if pages is None and volume:  # what is here is all for everybody
            volume, pages = "", self._read_index("")
        if pages is None:
            raise Refusal(404, answers.NO_LISTS)
        at, items = max(bisect_right([first for _, first in pages], wanted.start) - 2, 0), list[str]()
        if wanted.order:
            meant = [name for name, first in pages[at:] if not wanted.is_past(first)]
            return self._sorted(volume, meant, wanted, sees)
        for number, (name, first) in enumerate(pages[at:]):
            if wanted.is_past(first):
                break
            if number > answers.LIST_READS:
                return items, first
            for one in filter(sees, filter(wanted.fits, self._read_page(volume, name))):
                if len(items) == wanted.limit:
                    return items, one.id.lower()
                items.append(one.item)
        return items, None

    def _sorted(
        self, volume: str, pages: list[str], wanted: RepoListRequest, sees: Callable[[Listed], bool]
    ) -> tuple[list[str], str | None]:
        """The same in the order of a date, newest first; what has none comes last, and equal ones by their names."""
        if len(pages) > answers.SORTED_READS:
            raise Refusal(501, answers.MANY_SORTED)
        found = [one for name in pages for one in filter(sees, filter(wanted.fits, self._read_page(volume, name)))]
        placed = sorted((_place(one, wanted.order), one.item) for one in found)
        left = [one for one in placed if one[0] > wanted.behind]
        some = left[: wanted.limit]
        return [item for _, item in some], some[-1][0] if len(left) > len(some) else None

    def _read_index(self, volume: str) -> list[tuple[str, str]] | None:
        now, kept = self._clock(), self._index.get(volume)
        if kept is None or now >= kept[0]:
            body = next(self._read(INDEX, volume), None)
            kept = (now + self._seconds, None if body is None else decode_index(body))
            self._index.put(volume, kept, len(body or b"") * _DECODED)
        return kept[1]

    def _read_page(self, volume: str, name: str) -> list[Listed]:
        key = f"{volume}{page_name(name)}"
        now, kept = self._clock(), self._pages.get(key)
        if kept is None or now >= kept[0]:
            # of one that is not there the index is another one already
            body = next(self._read(page_name(name), volume), b"")
            kept = (now + self._seconds, decode_page(body))
            self._pages.put(key, kept, len(body) * _DECODED)
        return kept[1]

    def _read(self, name: str, volume: str) -> Iterator[bytes]:
        try:
            yield read_site(self._store, name, LARGEST, volume)
        except KeyMissing:
            return


def _place(one: Listed, order: str) -> str:
    """Where a repo stands in an order: its date with each figure turned round, so that the newest comes first."""
    date = json.loads(one.item).get(order)
    known = date if isinstance(date, str) and _DATE.match(date) else "0000-00-00T00:00:00"
    return f"{known[:19].translate(_TURNED)} {one.id.lower()}"


def _gated(said: str) -> bool | None:
    """Refusal 400 for what says neither."""
    if said.lower() not in answers.YES_OR_NO:
        raise Refusal(400, answers.BAD_GATED)
    return answers.YES_OR_NO[said.lower()]


def _has(item: dict[str, object], filters: tuple[str, ...]) -> bool:
    tags = item.get("tags")
    words = [*(tags if isinstance(tags, list) else []), item.get("pipeline_tag"), item.get("library_name")]
    return all(one in words for one in filters)
