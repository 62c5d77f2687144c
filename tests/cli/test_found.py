"""What targets publish, as `status` asks them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mirror_sync.bootstrap import Mirror
from mirror_sync.cli.found import Published
from mirror_sync.cli.inventory import Inventory, Line, State
from mirror_sync.config.load import load
from mirror_sync.domain.job import Job
from mirror_sync.domain.ranking import Ranking
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.stores.directory import DirectoryStore
from tests.standin import Hub


def test_a_page_that_is_redrawn_asks_a_target_once_a_minute(tmp_path: Path) -> None:
    asked: list[str] = []
    seconds = iter((0.0, 2.0, 59.0, 61.0, 63.0))

    def store_of(target: str) -> DirectoryStore:
        asked.append(target)
        return DirectoryStore(tmp_path)

    job = Job("job", (RepoPattern.parse("acme/a"),), "hub", "disk")
    inventory = Inventory((Line(State.NEVER, "job", Kind.MODEL, "acme/a", "main"),), (), None)
    published = Published([job], store_of, lambda: next(seconds))
    for times in (1, 1, 1, 2, 2):
        assert published.complete(inventory).lines == inventory.lines
        assert asked == ["disk"] * times


def test_what_a_selection_leaves_out_is_not_found_for_it(tmp_path: Path) -> None:
    """That the target publishes it is another matter."""
    with Hub() as hub:
        for name in ("a", "big"):
            hub.model(f"acme/{name}", license="mit").commit({"a": name})
        (tmp_path / "jobs.yaml").write_text(
            f"upstreams: {{hub: {{kind: huggingface, endpoints: ['{hub.url}']}}}}\n"
            "targets: {disk: {url: ./mirror}}\nlicenses: {allow: [mit]}\njobs: [{name: job, select: {author: acme}}]\n",
            encoding="utf-8",
        )
        with closing(Mirror(load(tmp_path / "jobs.yaml", {}))) as mirror:
            assert mirror.sync().ok
            (job,) = mirror.jobs()
            for without, found in (((), {"acme/a", "acme/big"}), (("acme/b*",), {"acme/a"})):
                ranking = Ranking(job.repos[0], without=tuple(map(RepoPattern.parse, without)))
                published = Published([replace(job, ranking=ranking)], mirror.store)
                inventory = Inventory((Line(State.NEVER, "job", Kind.MODEL, "acme/*", "main"),), (), None)
                assert {line.repo for line in published.complete(inventory).lines} == found
