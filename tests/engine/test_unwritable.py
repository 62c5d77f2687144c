"""What an upstream says and no document can hold fails its repo alone, as an answer that is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.run import sync_jobs
from tests.engine.machines import Clock, Machine, Shelf, Upstream, refs_of
from tests.engine.workshop import job


class Odd(Upstream):
    """Says odd things of acme/bad. An adapter should have refused them; the engine does not rely on it."""

    title = "a title"
    described: object = None

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        resolved = super().resolve(repo, revision)
        return replace(resolved, described={"cardData": self.described}) if repo.id == "acme/bad" else resolved

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        (entry,) = super().history(repo, commit)
        return (replace(entry, title=self.title),) if repo.id == "acme/bad" else (entry,)


@pytest.mark.parametrize(
    ("title", "described"),
    [
        ("cut emoji \ud83d", None),
        ("a title", {"x": "\ud800"}),
        ("a title", {"\udfff": 1}),
        ("a title", float("inf")),
        ("a title", [float("nan")]),
    ],
)
def test_it_is_a_bad_answer_of_that_repo_and_stops_no_other(title: str, described: object) -> None:
    upstream, shelf = Odd(), Shelf(Clock())
    upstream.title, upstream.described = title, described
    for name in ("acme/bad", "acme/good"):
        upstream.commit(name, {"a": name.encode()})
    wanted = job("acme/*")
    reports = {report.repo: report for report in sync_jobs(Machine(upstream, shelf).context, [wanted], [wanted]).repos}
    assert (reports["acme/bad"].outcome, reports["acme/bad"].code) == ("failed", "bad-answer")
    assert "cannot be written as JSON" in reports["acme/bad"].reason
    assert reports["acme/bad"].reason.isascii()
    assert reports["acme/good"].outcome == "published"
    assert refs_of(shelf, "acme/bad").snapshots == {}
