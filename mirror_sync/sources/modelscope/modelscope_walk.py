"""All entries of a revision, in as many answers as that takes: ModelScope cuts what is long, and says nothing of it.

A listing of a model has no pages, and ends after 3,000 entries: a folder of more is gone through by its own folders
(`Root`). A listing of a dataset has pages, and a short one is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.sources.modelscope.modelscope_json import ListingAnswer, typed

CUT = 3000  # entries of a model's listing
PAGE = 200  # entries of a page of a dataset's
_DEEPEST = 128  # folders in one another
_PAGES = 10_000

Ask = Callable[..., Any]
"""Makes a call: path, and the query by name."""


class RevisionWalk:
    """Of one revision of a repo; `revision` is as ModelScope writes it. ValueError for what cannot be whole.

    `answers` counts what was asked.
    """

    def __init__(self, ask: Ask, repo: Repo, revision: str) -> None:
        self._ask, self._repo, self._revision = ask, repo, revision
        self._base = f"/api/v1/{repo.kind.plural}/{repo.id}/repo"
        self.answers = 0

    def first(self) -> ListingAnswer | None:
        """The first answer, of all folders; None where the revision is not there."""
        return self._page(1) if self._repo.kind is Kind.DATASET else self._folder("", deep=True)

    def entries(self, first: ListingAnswer) -> Iterator[Mapping[str, Any]]:
        """Every entry; `first` is what `first` gave."""
        if self._repo.kind is Kind.DATASET:
            yield from self._pages(first)
        elif len(first.entries) < CUT:
            yield from first.entries
        else:
            yield from self._by_folder("", 0)

    def _pages(self, page: ListingAnswer | None) -> Iterator[Mapping[str, Any]]:
        total, came = None if page is None else page.total, 0
        for number in range(2, _PAGES):
            found = [] if page is None else page.entries
            yield from found
            came += len(found)
            if len(found) < PAGE:
                break
            page = self._page(number)
        else:
            raise ValueError(f"a listing of more than {_PAGES * PAGE:,} entries")
        if total is not None and came < total:
            raise ValueError(f"a listing of {came} entries where {total} were promised")

    def _by_folder(self, root: str, depth: int) -> Iterator[Mapping[str, Any]]:
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} folders in one another")
        here = self._there(self._folder(root, deep=False))
        if len(here.entries) >= CUT:
            where = f"folder {root!r}" if root else "first folder"
            raise ValueError(f"more than {CUT:,} entries in the {where} alone, where its listing is cut")
        for entry in here.entries:
            if entry.get("Type") != "tree":
                yield entry
                continue
            path = typed(entry["Path"], str)
            if not path.startswith(f"{root}/" if root else "") or path == root:
                raise ValueError(f"a folder {path!r} that is not in {root!r}")
            below = self._there(self._folder(path, deep=True))
            yield from below.entries if len(below.entries) < CUT else self._by_folder(path, depth + 1)

    def _there(self, listed: ListingAnswer | None) -> ListingAnswer:
        if listed is None:
            raise ValueError("a folder without files, of a revision that is there")
        return listed

    def _folder(self, root: str, *, deep: bool) -> ListingAnswer | None:
        below = {"Root": root} if root else {}
        return self._listed("/files", Recursive=str(deep), **below)

    def _page(self, number: int) -> ListingAnswer | None:
        return self._listed("/tree", Recursive="True", PageNumber=number, PageSize=PAGE)

    def _listed(self, end: str, **query: str | int) -> ListingAnswer | None:
        self.answers += 1
        return ListingAnswer.of(self._ask(f"{self._base}{end}", Revision=self._revision, **query))
