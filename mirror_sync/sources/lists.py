"""Lists of an author's repos: which of their items are repos to mirror, and which come first.

The Hub sorts its lists itself, the highest and newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from mirror_sync.domain.ranking import MOST_RANKED, Ranking, Sort
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.upstream import Resolved
from mirror_sync.sources.answers import PROPERTIES, UNREADABLE, resolved_of

RANKED_PAGES = 5  # of a list: more than one only where some of the first are not to be mirrored
_SPARE = 5  # times the limit that a page has where some are left out by name
_FIGURES: Mapping[Sort, str] = {
    Sort.DOWNLOADS: "downloads",
    Sort.LIKES: "likes",
    Sort.TRENDING: "trendingScore",
    Sort.MODIFIED: "lastModified",
    Sort.CREATED: "createdAt",
}
"""The Hub's words, for its order and for the property that tells it."""

Item = dict[str, Any]


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
        "author": ranking.pattern.owner,
        "sort": figure,
        "limit": min(ranking.limit * _SPARE, MOST_RANKED) if ranking.without else ranking.limit,
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
    taken = [list(islice(items, ranking.limit)) for items in lists]
    for item in chain.from_iterable(taken):
        if item.get(figure) is None:
            raise ValueError(f"its list does not tell {figure}, so that it cannot be ranked by")
    if len(taken) == 1:
        return taken[0]
    found = {item["id"]: item for item in chain.from_iterable(taken)}
    by_name = sorted(found.values(), key=lambda item: str(item["id"]))  # of equals, always the same are the first
    return sorted(by_name, key=lambda item: item[figure], reverse=True)[: ranking.limit]
