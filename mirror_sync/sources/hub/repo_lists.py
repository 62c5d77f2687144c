"""Lists, page by page. Of an author's repos: which of their items are repos to mirror, and which come first.

The Hub sorts its lists itself, the highest and newest first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from typing import Any, NamedTuple
from urllib.parse import unquote

from mirror_sync.domain.bounds import plain, short
from mirror_sync.domain.content.upstream import Found, Heads, PassedOver, Resolved, Shortfall
from mirror_sync.domain.job.ranking import MOST_RANKED, Ranking, Sort
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.url import Url
from mirror_sync.sources.hub.hub_json import PROPERTIES, UNREADABLE, head_of, resolved_of

_ODD = 4  # of so many neighbours one may rise: a hub may sort by figures that are a little older than those it tells
_ID = re.compile(r"(/api/(?:models|datasets|spaces|kernels)/).+(/tree/)")  # of the repo whose tree it is
_SHOWN = 40  # characters of a figure that is none
_VARIANTS = 100  # repos a page, each with the names of its files
RANKED_PAGES = 5  # of a list: more than one only where some of the first are not to be mirrored
_FIGURES: Mapping[Sort, str] = {
    Sort.DOWNLOADS: "downloads",
    Sort.LIKES: "likes",
    Sort.TRENDING: "trendingScore",
    Sort.MODIFIED: "lastModified",
    Sort.CREATED: "createdAt",
}
"""The Hub's words, for its order and for the property that tells it."""

Item = dict[str, Any]


class RepoListPage(NamedTuple):
    """A page of a list; `leads_on` when it names a next one."""

    items: Sequence[Any]
    leads_on: bool


def following(endpoint: Url, here: Url, link: str) -> Url:
    """The next page of a list, of which `here` was one, as a Link header names it (RFC 8288).

    It is asked of the address that gave this page, and only the query is taken over: a mirror may pass the Hub's own
    address on, with the name that it knows a repo by, or write a short one. ValueError where it names no page of this
    list.
    """
    there = here.join(link)
    if not _unnamed(there.path).endswith(_unnamed(here.path.removeprefix(endpoint.path.rstrip("/")))):
        raise ValueError(f"its list goes on at {there.path[:80]!r}, which is another one")
    return replace(here, target=f"{here.path}?{there.query}")


def _unnamed(path: str) -> str:
    return _ID.sub(r"\1*\2", unquote(path))


class Reading:
    """Reads the lists of one ranking, each to its RANKED_PAGES-th page at the most, and remembers how far it came."""

    def __init__(self, ranking: Ranking) -> None:
        self._limit, self._figure = ranking.limit, _FIGURES[ranking.sort]
        self._seen = 0
        self._left = False

    def pages(self, pages: Iterable[RepoListPage]) -> Iterator[Sequence[Any]]:
        """ValueError for a page that is in no order. Between two, a figure may have changed meanwhile."""
        for number, page in enumerate(pages, 1):
            self._check(page.items)
            self._seen += len(page.items)
            yield page.items
            if number == RANKED_PAGES:
                self._left |= page.leads_on
                return

    def shortfall(self, found: int) -> Iterator[Shortfall]:
        """One where `found` repos are fewer than the limit, though the lists named more or were not read to the end."""
        if found < self._limit and (self._left or self._seen > found):
            yield Shortfall(self._seen, self._left)

    def _check(self, items: Sequence[Any]) -> None:
        figures = [item[self._figure] for item in items if item.get(self._figure) is not None]
        rises = [(one, following) for one, following in pairwise(figures) if following > one]
        if len(rises) > max(1, len(figures) // _ODD):
            one, following = rises[0]
            raise ValueError(f"its list is not sorted by {self._figure}: {following} comes after {one}")


def matching(kind: Kind, wanted: Callable[[Repo], bool], pages: Iterable[Sequence[Any]]) -> Iterator[Item]:
    """The items that are wanted and have a commit: without one there is nothing to mirror."""
    for item in chain.from_iterable(pages):
        if item.get("sha") is not None and _is_wanted(kind, wanted, item["id"]):
            yield item


def _is_wanted(kind: Kind, wanted: Callable[[Repo], bool], name: str) -> bool:
    try:
        return wanted(Repo(kind, name))
    except ValueError:  # a few old ids, which no client accepts any more
        return False


def ranked(ranking: Ranking, item: Item) -> Resolved | Repo:
    """The same of a list that is sorted, with the figure that it is sorted by."""
    found, figure = listed(ranking.pattern.kind, item), item[_FIGURES[ranking.sort]]
    if isinstance(found, Repo):
        return found
    told = f"{figure:,}" if isinstance(figure, int) else plain(short(str(figure), _SHOWN))
    return replace(found, rank=f"{ranking.sort}: {told}")


def listed(kind: Kind, item: Item) -> Resolved | Repo:
    """The bare repo where its own item is none: what one repo says of itself must not stop the others of its owner."""
    repo = Repo(kind, item["id"])
    try:
        return resolved_of(repo, item)
    except UNREADABLE:
        return repo


def questions(ranking: Ranking) -> Iterator[dict[str, Any]]:
    """What to ask of the list of a kind of repos.

    One question, or one for each licence: a repo must pass all filters of a question, and has one licence mostly.
    """
    kind, figure = ranking.pattern.kind, _FIGURES[ranking.sort]
    filters = list(ranking.tags)
    query: dict[str, Any] = {
        **({} if ranking.of_all else {"author": ranking.pattern.owner}),
        "sort": figure,
        "limit": MOST_RANKED if ranking.without else ranking.limit,  # who knows how many `without` leaves out
        "expand": sorted({*PROPERTIES[kind], figure}),
    }
    if ranking.task and kind is Kind.MODEL:
        query["pipeline_tag"] = ranking.task
    elif ranking.task:
        filters.append(f"task_categories:{ranking.task}")
    for licenses in [[f"license:{name}"] for name in ranking.licenses] or [[]]:
        asked = [*filters, *licenses]
        yield {**query, **({"filter": asked} if asked else {})}


def first(ranking: Ranking, lists: Iterable[Iterator[Item]]) -> Sequence[Item]:
    """The first items of all lists together, none twice; no list is read further than that takes.

    One list keeps the Hub's order. ValueError where a list does not tell what it is sorted by; TypeError where it tells
    other things of each.
    """
    figure = _FIGURES[ranking.sort]
    taken = [list(islice(_once(items), ranking.limit)) for items in lists]
    for item in chain.from_iterable(taken):
        if item.get(figure) is None:
            raise ValueError(f"its list does not tell {figure}, so that it cannot be ranked by")
    if len(taken) == 1:
        return taken[0]
    by_name = sorted(_once(chain.from_iterable(taken)), key=lambda item: str(item["id"]))  # of equals, always the same
    return sorted(by_name, key=lambda item: item[figure], reverse=True)[: ranking.limit]


def question_of(base: Repo) -> dict[str, Any]:
    """What to ask of the list of models for those that were quantised of one, the most downloaded first.

    The tag is computed of `base_model` and `base_model_relation` of a card:
    https://huggingface.co/docs/hub/model-cards#specifying-a-base-model.
    """
    return {
        "filter": f"base_model:quantized:{base.id}",
        "sort": _FIGURES[Sort.DOWNLOADS],
        "limit": _VARIANTS,
        "expand": sorted({*PROPERTIES[Kind.MODEL], "siblings"}),
    }


def choice(variants: Variants, pages: Iterable[RepoListPage], seen: set[str]) -> Iterator[Found]:
    """Those of a base that are taken, and why the others are not; `seen` are known from the bases before.

    TypeError, KeyError where a list does not tell the files of its repos.
    """
    taken = 0
    for item in chain.from_iterable(page.items for page in pages):
        if item["id"] in seen or item.get("sha") is None or not _is_wanted(Kind.MODEL, lambda _: True, item["id"]):
            continue
        seen.add(item["id"])
        repo, paths = Repo(Kind.MODEL, item["id"]), [one["rfilename"] for one in item["siblings"]]
        why = variants.objection(repo, paths, taken)
        taken += not why
        yield PassedOver(repo, why) if why else listed(Kind.MODEL, item)


def _once(items: Iterable[Item]) -> Iterator[Item]:
    """A repo whose figure fell while a list was read stands on two of its pages."""
    seen: set[str] = set()
    for item in items:
        if item["id"] not in seen:
            seen.add(item["id"])
            yield item


_PATIENCE = 16  # repos that were found, for each page more that may find next to nothing


class ListingCost:
    """Counts what pages of a list tell of `repos`, none of which was asked for yet.

    A page that finds at least two saves calls; one that does not is idle. The first idle page ends the reading, unless
    much was found before: so there are never more calls, those for the repos that are not found included, than one for
    each repo and one.
    """

    def __init__(self, repos: Collection[Repo]) -> None:
        self._missing = {repo.id: repo for repo in repos}
        self._found: list[Resolved] = []
        self._calls = self._idle = 0

    @property
    def goes_on(self) -> bool:
        """Whether another page is worth its call."""
        return len(self._missing) > 1 and self._idle * _PATIENCE <= len(self._found)

    @property
    def lost(self) -> bool:
        """Whether it had been better not to begin."""
        return self._calls > len(self._found)

    @property
    def heads(self) -> Heads:
        return Heads(tuple(self._found), self._calls)

    def count(self, page: Iterable[Any]) -> None:
        """Take in the items of a page; one that cannot be read is not found."""
        before = len(self._found)
        for item in page:
            repo = self._missing.get(item["id"]) if isinstance(item, dict) else None
            try:
                if repo is not None:
                    self._found.append(head_of(repo, item))
                    del self._missing[repo.id]
            except UNREADABLE:
                continue
        self._calls += 1
        self._idle += len(self._found) - before < 2  # noqa: PLR2004  one call saves nothing when it replaces one
