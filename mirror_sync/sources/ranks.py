"""The first repos of an author by what the Hub counts: the Hub sorts its lists itself, the highest and newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mirror_sync.domain.ranking import Ranking, Sort
from mirror_sync.domain.repo import Kind

_FIGURES: Mapping[Sort, str] = {
    Sort.DOWNLOADS: "downloads",
    Sort.LIKES: "likes",
    Sort.TRENDING: "trendingScore",
    Sort.MODIFIED: "lastModified",
    Sort.CREATED: "createdAt",
}
"""The Hub's words, for its order and for the property that tells it."""


def questions(ranking: Ranking, expand: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What to ask of the list of a kind of repos; `expand` is what to tell of each.

    One question, or one for each licence: a repo must pass all filters of a question, and has one licence mostly.
    """
    figure = _FIGURES[ranking.sort]
    filters = list(ranking.tags)
    query: dict[str, Any] = {
        "author": ranking.pattern.owner,
        "sort": figure,
        "limit": ranking.limit,
        "expand": sorted({*expand, figure}),
    }
    if ranking.task and ranking.pattern.kind is Kind.MODEL:
        query["pipeline_tag"] = ranking.task
    elif ranking.task:
        filters.append(f"task_categories:{ranking.task}")
    for licenses in [[f"license:{name}"] for name in ranking.licenses] or [[]]:
        asked = [*filters, *licenses]
        yield {**query, **({"filter": asked} if asked else {})}


def first(ranking: Ranking, lists: Iterable[Iterator[dict[str, Any]]]) -> Sequence[dict[str, Any]]:
    """The first items of all lists together, none twice; no list is read further than that takes.

    One list keeps the Hub's order. ValueError where a list does not tell what it is sorted by; TypeError where it tells
    other things of each.
    """
    figure = _FIGURES[ranking.sort]
    taken = [list(islice(items, ranking.limit)) for items in lists]
    for item in (item for items in taken for item in items):
        if item.get(figure) is None:
            raise ValueError(f"its list does not tell {figure}, so that it cannot be ranked by")
    if len(taken) == 1:
        return taken[0]
    found = {item["id"]: item for items in taken for item in items}
    by_name = sorted(found.values(), key=lambda item: str(item["id"]))  # of equals, always the same are the first
    return sorted(by_name, key=lambda item: item[figure], reverse=True)[: ranking.limit]
