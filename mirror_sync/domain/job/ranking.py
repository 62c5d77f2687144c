"""The most downloaded, most liked or newest repos of an author, as a job's `select` asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mirror_sync.domain.repo import Repo, RepoPattern

MOST_RANKED = 1000  # repos: as many as the Hub gives in one page of a list


class Sort(StrEnum):
    """By what, the highest or newest first; the words are those of huggingface_hub."""

    DOWNLOADS = "downloads"
    LIKES = "likes"
    TRENDING = "trending_score"
    MODIFIED = "last_modified"
    CREATED = "created_at"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first `limit` repos of an author, from 1 to MOST_RANKED, among those that have one of `licenses` (or
    whatever one, when there are none), all of `tags`, and the task. What `without` matches takes no place.
    """

    pattern: RepoPattern
    sort: Sort = Sort.DOWNLOADS
    limit: int = 20
    licenses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    task: str | None = None
    without: tuple[RepoPattern, ...] = ()

    def takes(self, repo: Repo) -> bool:
        """Whether a repo may take a place, by its name."""
        return self.pattern.matches(repo) and not any(pattern.matches(repo) for pattern in self.without)

    def __str__(self) -> str:
        return f"the first {self.limit} of {self.pattern} by {self.sort}"


Sought = RepoPattern | Ranking
"""What an upstream can be searched for."""
