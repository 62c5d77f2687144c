"""A job that selects from the whole hub, or what readers ask for: bounded calls, reasons, and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.job.job import Job, agreed_on_gone
from mirror_sync.domain.job.ranking import Demand, Ranking
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.events import RankingCutShort
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.domain.outcome.traffic import WantedRepo
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.errors import DocumentError
from mirror_sync.state.target_memory import SqliteReadCache
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults
from tests.standin.answer import Answer, Request

EVERY = RepoPattern.parse("*/*")


@pytest.fixture
def popular(hub: Hub) -> Hub:
    """Four models of as many owners; o4/d has the fewest downloads."""
    for number, name in enumerate("abcd", 1):
        hub.model(f"o{number}/{name}", license="mit", downloads=5000 - number).commit({"f": name})
    hub.log.clear()
    return hub


@pytest.fixture
def site(popular: Hub, tmp_path: Path) -> Workshop:
    """With the memory that a machine has of its target."""
    workshop = Workshop(popular.url, tmp_path)
    looks = SqliteReadCache(tmp_path / "looks.db", "bucket")
    target = replace(workshop.context.targets["bucket"], read_cache=looks)
    workshop.context = replace(workshop.context, targets={"bucket": target})
    return workshop


def forget(site: Workshop) -> None:
    target = site.context.targets["bucket"]
    looks = SqliteReadCache(site.folder / "other.db", "bucket")
    site.context = replace(site.context, targets={"bucket": replace(target, read_cache=looks)})


def selecting(limit: int = 2, *, name: str = "popular", on_gone: OnGone = OnGone.WITHDRAW, **said: object) -> Job:
    ranking = replace(Ranking(EVERY, limit=limit), **said)  # type: ignore[arg-type]
    return job("*/*", name=name, ranking=ranking, on_gone=on_gone)


def outcomes(report: RunReport) -> dict[str, str]:
    return {repo.repo: str(repo.outcome) for repo in report.repos}


def test_the_first_of_the_whole_hub_are_brought_by_one_list(popular: Hub, site: Workshop) -> None:
    assert outcomes(site.sync(selecting())) == {"o1/a": "published", "o2/b": "published"}
    (asked,) = [entry for entry in popular.log if entry.path == "/api/models"]
    assert "author=" not in asked.query
    popular.log.clear()
    assert outcomes(site.sync(selecting())) == {"o1/a": "unchanged", "o2/b": "unchanged"}
    assert len(popular.log) == 1 + 1, "and one repo for itself, since a list may lag"


def test_a_plan_says_why_each_was_chosen(popular: Hub, site: Workshop) -> None:
    def why() -> dict[str, str]:
        return {plan.repo: plan.chosen for plan in site.plan(selecting()).repos}

    first = {"o1/a": "number 1 by downloads: 4,999", "o2/b": "number 2 by downloads: 4,998"}
    assert why() == first
    site.sync(selecting())
    popular.model("o4/d", downloads=9000)
    assert why() == {
        "o4/d": "number 1 by downloads: 9,000",
        "o1/a": "number 2 by downloads: 4,999",
        "o2/b": "fell out of the first 2 of all models by downloads, and is kept up to date",
    }


def test_what_falls_out_is_kept_up_to_date_and_what_it_never_took_is_left_alone(popular: Hub, site: Workshop) -> None:
    """Whoever published it: here it would be withdrawn, as the hub has switched off what has its name."""
    popular.model("own/model", license="mit").commit({"f": "own"})
    site.sync(job("own/model", name="own"))
    popular.model("own/model", disabled=True)
    site.sync(selecting())
    popular.model("o4/d", downloads=9000)
    newer = popular.model("o2/b").commit({"f": "newer"})
    assert outcomes(site.sync(selecting())) == {"o4/d": "published", "o1/a": "unchanged", "o2/b": "published"}
    assert (site.commit("o2/b"), site.files("own/model")) == (newer, {"f": b"own"})


def test_what_no_job_names_keeps_all_its_versions_beside_a_select_of_everything(popular: Hub, site: Workshop) -> None:
    """As models of our own do: only what the select took goes by its retention."""
    own = popular.model("own/model", license="mit")
    for number in range(3):
        for name in ("own/model", "o1/a"):
            popular.model(name, license="mit").commit({"f": f"{name} {number}"})
        site.sync(job("own/model", name="own"), selecting(1))
    assert own.head() == site.commit("own/model")
    ranking = replace(selecting(1), retention=Retention(snapshots=1, age=timedelta(0)))
    site.ahead = timedelta(days=100)
    Prune(site.context, [ranking]).run()
    assert (len(site.refs("own/model").snapshots), len(site.refs("o1/a").snapshots)) == (3, 1)
    forget(site)
    Prune(site.context, [ranking]).run()
    assert len(site.refs("own/model").snapshots) == 3


def test_what_another_job_names_goes_by_what_that_one_says() -> None:
    """Else a select of everything would be the mildest word about every repo there is."""
    named = job("o1/a", name="named", on_gone=OnGone.WITHDRAW)
    everything = selecting(on_gone=OnGone.KEEP)
    said = [agreed_on_gone([named, everything], "bucket", Repo.parse(name)) for name in ("o1/a", "o2/b")]
    assert said == [OnGone.WITHDRAW, OnGone.KEEP]


def test_without_its_memory_what_fell_out_stays_as_it_is(popular: Hub, site: Workshop) -> None:
    site.sync(selecting())
    popular.model("o4/d", downloads=9000)
    popular.model("o2/b").commit({"f": "newer"})
    forget(site)
    assert outcomes(site.sync(selecting())) == {"o4/d": "published", "o1/a": "unchanged"}
    assert site.files("o2/b") == {"f": b"b"}


@pytest.mark.parametrize(
    "fault", [faults.empty_list(), faults.truncated(40), faults.garbage()], ids=["empty", "cut", "garbage"]
)
def test_a_list_that_is_cut_short_takes_nothing_away(popular: Hub, site: Workshop, fault: faults.Fault) -> None:
    site.sync(selecting())
    popular.faults.add(fault, "/api/models", times=None)
    report = outcomes(site.sync(selecting()))
    assert report in ({"*/*": "failed"}, {"o1/a": "unchanged", "o2/b": "unchanged"})
    assert site.files("o1/a") == {"f": b"a"}
    assert site.files("o2/b") == {"f": b"b"}


def test_a_list_that_breaks_at_its_second_page_brings_nothing_and_takes_nothing(popular: Hub, site: Workshop) -> None:
    site.sync(selecting())

    def breaks(request: Request, answer: Answer) -> Answer:
        return faults.status(503)(request, answer) if "cursor" in request.query else answer

    popular.behaviour.list_page = 1
    popular.faults.add(breaks, "/api/models", times=None)
    assert outcomes(site.sync(selecting(3))) == {"*/*": "failed"}
    assert site.files("o1/a") == {"f": b"a"}


def asked_for(site: Workshop, *wanted: tuple[str, int, bool]) -> None:
    """By so many readers; whether it was missed."""
    found = tuple(
        WantedRepo(Repo.parse(name), clients * 3, clients, "2026-11-29T00:00:00Z", missed=missed)
        for name, clients, missed in sorted(wanted, key=lambda one: -one[1])
    )
    site.context = replace(site.context, demand=lambda target: found)


def calls(hub: Hub) -> Mapping[str, int]:
    asked = [entry.path.removeprefix("/api/models/") for entry in hub.log if "/revision/main" in entry.path]
    return {name.removesuffix("/revision/main"): asked.count(name) for name in dict.fromkeys(asked)}


def test_what_readers_miss_most_is_brought_and_one_call_is_all_that_a_name_costs(popular: Hub, site: Workshop) -> None:
    asked_for(site, ("o3/c", 9, True), ("no/such", 8, True), ("o1/a", 7, False), ("o4/d", 2, True), ("o2/b", 1, True))
    misses = selecting(name="missed", demand=Demand.MISSES)
    why = {plan.repo: plan.chosen for plan in site.plan(misses).repos}
    assert [*sorted(why)] == ["o3/c", "o4/d"]
    assert why["o3/c"] == "missed: 27 requests of 9 readers, last at 2026-11-29T00:00:00Z"
    popular.log.clear()
    assert outcomes(site.sync(misses)) == {"o3/c": "published", "o4/d": "published"}
    assert calls(popular) == {"o3/c": 1, "no/such": 1, "o4/d": 1}


def test_traffic_counts_what_is_read_too_and_what_others_name_takes_no_place(popular: Hub, site: Workshop) -> None:
    asked_for(site, ("o3/c", 9, True), ("o1/a", 7, False), ("o4/d", 2, True))
    read = selecting(name="read", demand=Demand.TRAFFIC)
    named = job("o3/c", name="named")
    assert outcomes(site.sync(read, among=[named])) == {"o1/a": "published", "o4/d": "published"}
    why = {one.repo: one.chosen for one in site.plan(read).repos}
    assert set(why) == {"o3/c", "o1/a", "o4/d"}, "what it took before, too"
    assert why["o1/a"] == "read: 21 downloads of 7 readers, last at 2026-11-29T00:00:00Z"


def test_what_few_ask_for_is_not_brought_where_more_are_wanted(site: Workshop) -> None:
    asked_for(site, ("o3/c", 9, True), ("o4/d", 2, True))
    assert set(outcomes(site.sync(selecting(demand=Demand.MISSES, clients=3)))) == {"o3/c"}


def test_only_those_with_a_licence_that_is_wanted_take_a_place(popular: Hub, site: Workshop) -> None:
    popular.model("o3/c", license="gpl-3.0")
    asked_for(site, ("o3/c", 9, True), ("o4/d", 2, True))
    assert set(outcomes(site.sync(selecting(1, demand=Demand.MISSES, licenses=("mit",))))) == {"o4/d"}


def test_names_that_nobody_has_are_asked_for_within_bounds(popular: Hub, site: Workshop) -> None:
    asked_for(site, *((f"no/such{number}", 9, True) for number in range(30)), ("o4/d", 1, True))
    misses = selecting(2, demand=Demand.MISSES)
    (report,) = site.sync(misses).repos
    assert (report.outcome, report.repo) == (RepoOutcome.UNCHANGED, "*/*")
    assert len(calls(popular)) == 2 * 5
    assert [one.seen for one in site.events if isinstance(one, RankingCutShort)] == [10]


def test_one_that_cannot_be_read_fails_alone(popular: Hub, site: Workshop) -> None:
    popular.faults.add(faults.status(503), "/api/models/o3/c/revision/main", times=None)
    asked_for(site, ("o3/c", 9, True), ("o4/d", 2, True))
    assert outcomes(site.sync(selecting(demand=Demand.MISSES))) == {"o3/c": "failed", "o4/d": "published"}


def test_where_nobody_counted_there_is_nothing_to_do_and_the_line_says_how(site: Workshop) -> None:
    (report,) = site.sync(selecting(demand=Demand.MISSES)).repos
    assert report.outcome is RepoOutcome.UNCHANGED
    assert "mirror-sync traffic --target bucket LOG counts it" in report.reason


def test_counts_that_cannot_be_read_are_no_empty_ones(site: Workshop) -> None:
    def unreadable(target: str) -> None:
        raise DocumentError("what readers of target bucket asked for cannot be read: it is damaged")

    asked_for(site, ("o4/d", 2, True))
    misses = selecting(demand=Demand.MISSES)
    site.sync(misses)
    site.context = replace(site.context, demand=unreadable)
    (report,) = site.sync(misses).repos
    assert (report.outcome, report.repo) == (RepoOutcome.FAILED, "*/*")
    assert site.files("o4/d") == {"f": b"d"}
