"""What targets publish, as `status` asks them."""

from __future__ import annotations

from pathlib import Path

from mirror_sync.app.inventory import Inventory
from mirror_sync.app.published_lines import PublishedFinder
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.stores.directory.directory_store import DirectoryStore


def test_a_page_that_is_redrawn_asks_a_target_once_a_minute(tmp_path: Path) -> None:
    asked: list[str] = []
    seconds = iter((0.0, 2.0, 59.0, 61.0, 63.0))

    def store_of(target: str) -> DirectoryStore:
        asked.append(target)
        return DirectoryStore(tmp_path)

    job = Job("job", (RepoPattern.parse("acme/a"),), "hub", "disk")
    inventory = Inventory((RepoStatus("job", Kind.MODEL, "acme/a", "main", RepoState.NEVER),), (), None)
    published = PublishedFinder([job], store_of, lambda: next(seconds))
    for times in (1, 1, 1, 2, 2):
        assert published.complete(inventory).lines == inventory.lines
        assert asked == ["disk"] * times
