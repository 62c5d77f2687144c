"""The first repos of an author, of a whole hub or of what readers here ask for, as a job's `select` asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mirror_sync.domain.repo import EVERYTHING, Repo, RepoPattern

MOST_RANKED = 1000  # repos: as many as the Hub gives in one page of a list


class Sort(StrEnum):
    """By what, the highest or newest first; the words are those of huggingface_hub."""

    DOWNLOADS = "downloads"
    LIKES = "likes"
    TRENDING = "trending_score"
    MODIFIED = "last_modified"
    CREATED = "created_at"


class Demand(StrEnum):
    """What readers of a target ask for, as `traffic` counted it, what more of them ask for first."""

    MISSES = "misses"  # and do not get, as it is not mirrored
    TRAFFIC = "traffic"  # and get or do not


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first `limit` repos that the pattern stands for, from 1 to MOST_RANKED, among those that have one of
    `licenses` (or whatever one, when there are none), all of `tags`, and the task. What `without` matches takes no
    place. They are ranked by the upstream, or, with a `demand`, by how many readers asked for them: at least `clients`.
    """

    pattern: RepoPattern
    sort: Sort = Sort.DOWNLOADS
    limit: int = 20
    licenses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    task: str | None = None
    without: tuple[RepoPattern, ...] = ()
    demand: Demand | None = None
    clients: int = 1

    def takes(self, repo: Repo) -> bool:
        """Whether a repo may take a place, by its name."""
        return self.pattern.matches(repo) and not any(pattern.matches(repo) for pattern in self.without)

    @property
    def of_all(self) -> bool:
        """Whether it may take repos of any owner."""
        return "*" in self.pattern.owner

    @property
    def is_wide(self) -> bool:
        """Whether its pattern stands for far more than it ever takes: then only what it took once is looked after."""
        return self.of_all or self.demand is not None

    def __str__(self) -> str:
        of = f"all {self.pattern.kind.plural}" if self.pattern.glob == EVERYTHING else str(self.pattern)
        if self.demand is None:
            return f"the first {self.limit} of {of} by {self.sort}"
        return f"the first {self.limit} of {of} that readers ask for, by {self.demand}"


Sought = RepoPattern | Ranking
"""What an upstream can be searched for."""
