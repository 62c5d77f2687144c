"""What a job denies is shown by a plan, and is no gap: a run passes over it, and what is published of it stays."""

from __future__ import annotations

from mirror_sync.app.inventory import Memory, take_inventory
from mirror_sync.domain.repo import RepoPattern
from tests.engine.workshop import Workshop, job
from tests.standin import Hub


def denied(*patterns: str) -> tuple[RepoPattern, ...]:
    return tuple(map(RepoPattern.parse, patterns))


def test_a_plan_says_who_denies_what_a_glob_or_a_name_brings_and_a_sync_asks_for_nothing_of_it(
    hub: Hub, workshop: Workshop
) -> None:
    for name in ("acme/a", "acme/a-test", "acme/b-test", "other/x"):
        hub.model(name, license="mit").commit({"f": name.encode()})
    wanted = job("acme/*", "acme/a*", "other/x", denied=denied("acme/*-test", "other/x"))
    plans = {plan.repo: plan for plan in workshop.plan(wanted).repos}
    assert {name: (plan.outcome, plan.code) for name, plan in plans.items()} == {
        "acme/a": ("published", ""),
        **dict.fromkeys(("acme/a-test", "acme/b-test", "other/x"), ("refused", "denied")),
    }
    assert plans["acme/a-test"].reason == "'!acme/*-test' under repos of job job denies it"
    assert len(workshop.plan(wanted).repos) == 4
    hub.log.clear()
    assert [report.repo for report in workshop.sync(wanted).repos] == ["acme/a"]
    assert hub.calls("*", "*other*") == hub.calls("*", "*-test*") == 0
    assert take_inventory([wanted], Memory((), (), {}), workshop.context.clock()).lines[0].repo == "acme/*"


def test_what_is_denied_after_it_was_published_stays_as_it_is(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"f": b"1"})
    workshop.sync(job("acme/*"))
    repo.commit({"f": b"2"})
    report = workshop.sync_one(job("acme/*", denied=denied("acme/x")))
    assert (report.repo, report.outcome) == ("acme/*", "unchanged")
    assert report.reason == "all repos that match acme/* are denied: nothing to do"
    assert workshop.commit("acme/x") == first
