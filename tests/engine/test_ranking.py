"""A job that selects: what the upstream ranks first is brought, and nothing that was brought goes by itself."""

from __future__ import annotations

import pytest

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.outcome.events import RankingCutShort
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.licences import LicensePolicy
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.upkeep.prune import Prune
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults

QWEN = RepoPattern.parse("Qwen/*")


def popular(limit: int = 3, **changes: object) -> Job:
    return job("Qwen/*", name="popular", **{"ranking": Ranking(QWEN, limit=limit), **changes})


def fill(hub: Hub, **downloads: int) -> None:
    for name, count in downloads.items():
        repo = hub.model(f"Qwen/{name}", license="mit", downloads=count)
        if repo.find("main") is None:
            repo.commit({"a": name})
    hub.log.clear()


def outcomes(report: RunReport) -> dict[str, RepoOutcome]:
    return {repo.repo.removeprefix("Qwen/"): repo.outcome for repo in report.repos}


@pytest.fixture
def four(hub: Hub) -> Hub:
    """Four models of Qwen; d has the fewest downloads."""
    fill(hub, a=4, b=3, c=2, d=1)
    return hub


def test_the_first_are_brought_and_one_list_is_all_that_a_second_look_costs(four: Hub, workshop: Workshop) -> None:
    assert outcomes(workshop.sync(popular())) == dict.fromkeys("abc", RepoOutcome.PUBLISHED)
    assert four.calls("GET", "/api/models") == 1
    four.log.clear()
    assert outcomes(workshop.sync(popular())) == dict.fromkeys("abc", RepoOutcome.UNCHANGED)
    assert len(four.log) == 1 + 1, "and one repo for itself, since a list may lag"


def test_a_plan_names_what_it_would_take(four: Hub, workshop: Workshop) -> None:
    assert {plan.repo for plan in workshop.plan(popular()).repos} == {"Qwen/a", "Qwen/b", "Qwen/c"}
    assert workshop.store.written == []


def test_what_falls_out_stays_and_is_kept_up_to_date(four: Hub, workshop: Workshop) -> None:
    workshop.sync(popular())
    fill(four, d=9)
    newer = four.model("Qwen/c").commit({"a": "newer"})
    assert outcomes(workshop.sync(popular())) == {
        **dict.fromkeys("ab", RepoOutcome.UNCHANGED),
        **dict.fromkeys("cd", RepoOutcome.PUBLISHED),
    }
    assert workshop.commit("Qwen/c") == newer


def test_many_that_fell_out_cost_a_list_and_not_a_call_each(hub: Hub, workshop: Workshop) -> None:
    names = [f"m{number:02}" for number in range(20)]
    fill(hub, **{name: 100 - at for at, name in enumerate(names)})
    workshop.sync(popular(20))
    hub.log.clear()
    assert workshop.sync(popular(2)).count(RepoOutcome.UNCHANGED) == 20
    assert hub.calls("GET", "/api/models") == 2
    assert len(hub.log) == 2 + 1 + 2, "and one in sixteen of each list for itself, since a list may lag"


def test_prune_takes_nothing_of_what_fell_out(four: Hub, workshop: Workshop) -> None:
    workshop.sync(popular())
    fill(four, d=9)
    workshop.sync(popular())
    Prune(workshop.context, [popular()]).run()
    assert workshop.files("Qwen/c") == {"a": b"c"}
    assert workshop.verify(popular()).ok


def test_a_list_that_fails_leaves_all_as_it_is_and_stops_no_other_job(four: Hub, workshop: Workshop) -> None:
    workshop.sync(popular())
    four.model("other/x", license="mit").commit({"a": "x"})
    four.faults.add(faults.status(503), "/api/models", times=None)
    report = workshop.sync(popular(), job("other/x", name="named"))
    assert outcomes(report) == {"*": RepoOutcome.FAILED, "other/x": RepoOutcome.PUBLISHED}
    assert workshop.files("Qwen/c") == {"a": b"c"}


def test_an_author_without_repos_fails_by_the_pattern_and_is_named(hub: Hub, workshop: Workshop) -> None:
    (report,) = workshop.sync(popular()).repos
    assert (report.repo, report.outcome) == ("Qwen/*", RepoOutcome.FAILED)
    assert "no repo of Qwen matches Qwen/*" in report.reason


def test_a_select_that_nothing_fits_says_how_many_were_looked_at(four: Hub, workshop: Workshop) -> None:
    nothing = popular(ranking=Ranking(QWEN, limit=3, without=(QWEN,)))
    (report,) = workshop.sync(nothing).repos
    assert report.reason.startswith("none of the 4 of Qwen that are listed fits select")
    four.model("Qwen/e").commit({"a": "e"})
    four.model("Qwen/f").commit({"a": "f"})
    four.behaviour.list_page = 1
    (report,) = workshop.sync(nothing).repos
    assert report.reason.startswith("none of the first 5 of Qwen fits select")
    assert cuts(workshop) == [(nothing.name, 0, 3, 5)]


def test_a_select_that_is_not_filled_though_the_list_goes_on_is_told(four: Hub, workshop: Workshop) -> None:
    wanted = popular(ranking=Ranking(QWEN, limit=3, without=(RepoPattern.parse("Qwen/[abc]"),)))
    workshop.sync(wanted)
    assert cuts(workshop) == []  # the list was read to its end
    for name in "ef":
        four.model(f"Qwen/{name}").commit({"a": name})
    four.behaviour.list_page = 1
    workshop.sync(wanted)
    assert cuts(workshop) == [("popular", 2, 3, 5)]


def cuts(workshop: Workshop) -> list[tuple[str, int, int, int]]:
    return [
        (told.job, told.repos, told.limit, told.seen) for told in workshop.events if isinstance(told, RankingCutShort)
    ]


def test_each_is_judged_by_its_licence_gate_and_privacy(four: Hub, workshop: Workshop) -> None:
    four.token("hf_in", private=["Qwen/b"])
    context = Workshop(four.url, workshop.folder / "with-token", "hf_in")
    four.model("Qwen/a", license="gpl-3.0")
    four.model("Qwen/b", private=True)
    four.model("Qwen/c", gated="manual")
    reports = {report.repo: report for report in context.sync(popular()).repos}
    assert reports["Qwen/a"].outcome is RepoOutcome.REFUSED
    assert (reports["Qwen/b"].outcome, reports["Qwen/b"].code) == (RepoOutcome.HELD, "private")
    assert (reports["Qwen/c"].outcome, reports["Qwen/c"].code) == (RepoOutcome.HELD, "gated")


def test_a_licence_that_changes_stops_what_is_new_and_takes_nothing_away(four: Hub, workshop: Workshop) -> None:
    only = popular(ranking=Ranking(QWEN, limit=2, licenses=("mit",)), policy=LicensePolicy(allow=frozenset({"mit"})))
    workshop.sync(only)
    four.model("Qwen/a", license="gpl-3.0").commit({"a": "newer"})
    report = outcomes(workshop.sync(only))
    assert (report["a"], report["c"]) == (RepoOutcome.HELD, RepoOutcome.PUBLISHED)
    assert workshop.files("Qwen/a") == {"a": b"a"}


def test_what_another_job_names_is_left_to_it(four: Hub, workshop: Workshop) -> None:
    named = job("Qwen/a", name="named", selection=Selection(include=("*.json",)))
    report = workshop.sync(named, popular())
    assert {(repo.job, repo.repo) for repo in report.repos} == {
        ("named", "Qwen/a"),
        ("popular", "Qwen/b"),
        ("popular", "Qwen/c"),
    }
    assert report.ok


def test_a_repair_asks_as_the_job_that_names_the_repo(four: Hub, workshop: Workshop) -> None:
    """The other holds a private repo for a person."""
    four.token("hf_in", private=["Qwen/a"])
    context = Workshop(four.url, workshop.folder / "with-token", "hf_in")
    four.model("Qwen/a", private=True)
    named = job("Qwen/a", name="named")
    context.sync(popular(), named)
    (root,) = context.refs("Qwen/a").snapshots.values()
    context.path(root).unlink()
    found = context.verify(popular(), named, repair=True)
    assert context.verify(popular(), named).ok, found


def test_what_is_left_out_by_name_is_neither_brought_nor_looked_after(four: Hub, workshop: Workshop) -> None:
    workshop.sync(popular())
    published = workshop.commit("Qwen/c")
    four.model("Qwen/c").commit({"a": "newer"})
    narrower = popular(ranking=Ranking(QWEN, limit=3, without=(RepoPattern.parse("Qwen/[ac]"),)))
    assert set(outcomes(workshop.sync(narrower))) == {"b", "d"}
    assert workshop.commit("Qwen/c") == published
    assert not narrower.names(Repo.parse("Qwen/a"))


def test_another_revision_of_it_is_not_left(four: Hub, workshop: Workshop) -> None:
    four.model("Qwen/a").tag("v1")
    report = workshop.sync(popular(1), among=[job("Qwen/a", name="named", revisions=("v1",))])
    assert [(repo.repo, repo.revision) for repo in report.repos] == [("Qwen/a", "main")]


def test_a_hint_about_a_repo_that_is_not_among_the_first_does_nothing(four: Hub, workshop: Workshop) -> None:
    for name, expected in (("a", {"a": RepoOutcome.PUBLISHED}), ("d", {})):
        report = workshop.sync(popular(only=frozenset({Repo.parse(f"Qwen/{name}")})))
        assert outcomes(report) == expected
        assert report.ok


def test_a_repo_that_vanishes_upstream_is_ruled_by_on_gone(four: Hub, workshop: Workshop) -> None:
    workshop.sync(popular())
    four.remove("Qwen/b")
    report = outcomes(workshop.sync(popular(on_gone=OnGone.KEEP)))
    assert report["b"] is RepoOutcome.HELD
    assert workshop.files("Qwen/b") == {"a": b"b"}


def test_globs_of_revisions_are_followed_in_each(four: Hub, workshop: Workshop) -> None:
    four.model("Qwen/a").tag("v1")
    four.model("Qwen/b").tag("v2")
    report = workshop.sync(popular(2, revisions=("v*",)))
    assert {(repo.repo, repo.revision) for repo in report.repos} == {("Qwen/a", "v1"), ("Qwen/b", "v2")}
