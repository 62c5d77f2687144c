"""What looking at many repos costs upstream: counted, never timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.engine.sync.hints import RUNS
from tests.call_counter import calls_counted
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults

CALLS = 530  # in our code, for each repo more


def fill(hub: Hub, owner: str, count: int) -> list[str]:
    names = [f"{owner}/m{number:02}" for number in range(count)]
    for number, name in enumerate(names):
        hub.model(name, license="mit", downloads=count - number).commit({"a": b"1"})
    return names


def outcomes(report: RunReport) -> dict[str, RepoOutcome]:
    return {repo.repo: repo.outcome for repo in report.repos}


def in_turn(repos: int) -> int:
    """Of a list of so many repos, those that are asked for by themselves in one run: a list may lag."""
    return -(-repos // RUNS)


def calls(hub: Hub) -> tuple[int, int]:
    """Lists of repos, and all other calls, since the log was cleared."""
    lists = len(hub.log.records("GET /api/models"))
    return lists, len(hub.log) - lists


def test_repos_that_share_owners_cost_a_page_of_a_list_for_each_owner(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*fill(hub, "acme", 20), *fill(hub, "zoo", 15))
    workshop.sync(wanted)
    hub.log.clear()
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 35
    assert calls(hub) == (2, in_turn(20) + in_turn(15))
    assert workshop.store.written == []


def test_jobs_of_one_run_that_name_repos_of_the_same_owner_share_its_list(hub: Hub, workshop: Workshop) -> None:
    names = fill(hub, "acme", 60)
    jobs = [job(*names[at::3], name=f"job-{at}") for at in range(3)]
    workshop.sync(*jobs)
    hub.log.clear()
    assert workshop.sync(*jobs).count(RepoOutcome.UNCHANGED) == 60
    assert calls(hub) == (1, 3 * in_turn(20))


def test_what_an_earlier_jobs_list_told_is_a_hint_as_well(hub: Hub, workshop: Workshop) -> None:
    """What it told of a repo that moved since is found out by the later job as by a list of its own."""
    names = fill(hub, "acme", 60)
    jobs = [job(*names[at::3], name=f"job-{at}") for at in range(3)]
    workshop.sync(*jobs)
    for name in names:
        hub.model(name).commit({"b": b"2"})
    assert workshop.sync(*jobs).count(RepoOutcome.PUBLISHED) == 60


def test_repos_of_owners_of_their_own_cost_one_call_each(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*[name for number in range(12) for name in fill(hub, f"org{number}", 1)])
    workshop.sync(wanted)
    hub.log.clear()
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 12
    assert calls(hub) == (0, 12)


def test_a_repo_more_that_has_not_changed_costs_few_calls_of_our_code(hub: Hub, workshop: Workshop) -> None:
    """A bound is a fifth above what was counted. Who raises it has seen by docs/lab/scale.md what for."""
    counted = []
    for few in (6, 18):
        wanted = job(*[name for number in range(few) for name in fill(hub, f"org{number}", 1)])
        workshop.sync(wanted)
        workshop.sync(wanted)  # all is remembered from here on
        with calls_counted() as found:
            assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == few
        counted.append(sum(found.values()))
    assert (counted[1] - counted[0]) / 12 <= CALLS


def test_owners_of_far_more_repos_than_wanted_cost_four_calls_more_in_all(hub: Hub, workshop: Workshop) -> None:
    names = [name for number in range(9) for name in fill(hub, f"org{number}", 20)[-3:]]
    hub.behaviour.list_page = 5
    wanted = job(*names)
    workshop.sync(wanted)
    hub.log.clear()
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 27
    lists, singles = calls(hub)
    assert singles == 27
    assert lists <= 4


def test_only_what_has_moved_costs_more(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*fill(hub, "acme", 20))
    workshop.sync(wanted)
    hub.model("acme/m07").commit({"a": b"22"})
    hub.log.clear()
    report = workshop.sync(wanted)
    assert (report.count(RepoOutcome.UNCHANGED), report.count(RepoOutcome.PUBLISHED)) == (19, 1)
    others = [record.path for record in hub.log if "m07" not in record.path]
    assert len(others) <= 1 + in_turn(20)
    assert workshop.files("acme/m07") == {"a": b"22"}
    published = workshop.root("acme/m07").info
    assert b'"lastModified"' in workshop.path(published).read_bytes(), "what a list told in passing was published"


def test_a_list_that_is_refused_costs_a_call_for_each_repo_and_fails_none(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*fill(hub, "acme", 6))
    workshop.sync(wanted)
    hub.log.clear()
    hub.faults.add(faults.status(403), "/api/models", times=None)
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 6
    assert calls(hub) == (1, 6)


def test_a_repo_that_lists_no_longer_name_is_asked_for_by_itself(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*fill(hub, "acme", 6))
    workshop.sync(wanted)
    hub.rename("acme/m00", "elsewhere/m00")
    hub.remove("acme/m01")
    hub.model("acme/m02", private=True)
    hub.log.clear()
    report = workshop.sync(wanted)
    renamed = next(repo for repo in report.repos if repo.repo == "acme/m00")
    assert (renamed.outcome, renamed.reason) == (RepoOutcome.UNCHANGED, "renamed upstream to elsewhere/m00")
    assert outcomes(report) | {"acme/m01": RepoOutcome.HELD, "acme/m02": RepoOutcome.HELD} == outcomes(report)
    asked = [record.path.split("/")[4] for record in hub.log if record.path != "/api/models"]
    assert {"m00", "m01", "m02"} <= set(asked)
    assert len({*asked} - {"m00", "m01", "m02"}) == in_turn(3)


@pytest.mark.parametrize("change", [{"disabled": True}, {"license": "gpl-3.0"}, {"license_tags": ["gpl-3.0"]}])
def test_a_list_stops_what_a_call_would_stop(hub: Hub, tmp_path: Path, change: dict[str, object]) -> None:
    names = fill(hub, "acme", 3)
    by_list, by_call = Workshop(hub.url, tmp_path / "list"), Workshop(hub.url, tmp_path / "call")
    by_list.sync(job(*names))
    by_call.sync(job(names[0]))
    hub.model(names[0]).set(**change)  # type: ignore[arg-type]
    (alone,) = by_call.sync(job(names[0])).repos
    hub.log.clear()
    told = next(repo for repo in by_list.sync(job(*names)).repos if repo.repo == names[0])
    lists, single = calls(hub)
    # a repo that is switched off refuses the call that its turn costs, and is asked once more to say so
    assert (lists, single - in_turn(3)) in ((1, 0), (1, 1))
    assert (told.outcome, told.commit, told.code) == (alone.outcome, alone.commit, alone.code)
    assert told.outcome is RepoOutcome.HELD


def test_a_gated_repo_that_has_not_moved_stays(hub: Hub, workshop: Workshop) -> None:
    wanted = job(*fill(hub, "acme", 3))
    workshop.sync(wanted)
    hub.model("acme/m01", gated="manual")
    hub.log.clear()
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 3
    assert calls(hub) == (1, in_turn(3))


def test_other_revisions_than_main_are_not_in_lists(hub: Hub, workshop: Workshop) -> None:
    names = fill(hub, "acme", 4)
    for name in names:
        hub.model(name).tag("v1")
    tagged = job(*names, revisions=("v1",))
    workshop.sync(tagged)
    hub.log.clear()
    assert workshop.sync(tagged).count(RepoOutcome.UNCHANGED) == 4
    assert calls(hub) == (0, 4)


def test_what_a_glob_lists_anyway_is_not_listed_twice(hub: Hub, workshop: Workshop) -> None:
    names = fill(hub, "acme", 4)
    wanted = job("acme/*", *names)
    workshop.sync(wanted)
    hub.log.clear()
    assert workshop.sync(wanted).count(RepoOutcome.UNCHANGED) == 4
    assert calls(hub) == (1, in_turn(4))
