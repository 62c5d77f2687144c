"""A repo that its upstream no longer gives: kept, frozen or withdrawn, and never by an answer that proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.policy.gone import OnGone, TokenStatus
from mirror_sync.errors import TokenRejected, Unreachable
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub
from tests.standin.faults import status

FILES = {"a": b"1"}
KEEP, FREEZE, WITHDRAW = (job("acme/x", on_gone=wish) for wish in OnGone)
DAY = timedelta(days=1, minutes=1)
REFS = "hub/models/acme--x/refs.json"


@pytest.fixture
def published(hub: Hub, tmp_path: Path) -> Workshop:
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_valid", approved=["acme/x"]))
    hub.model("acme/x", license="mit").commit(FILES)
    assert workshop.sync_one(KEEP).outcome == "published"
    return workshop


def _private(hub: Hub) -> None:
    hub.model("acme/x").set(private=True)


GONE: dict[str, Callable[[Hub], object]] = {
    "not-found-or-private": lambda hub: hub.remove("acme/x"),
    "disabled": lambda hub: hub.model("acme/x").set(disabled=True),
}


@pytest.mark.parametrize("code", GONE)
def test_keep_is_the_default_and_asks_again_at_every_run(hub: Hub, published: Workshop, code: str) -> None:
    GONE[code](hub)
    for _ in range(2):
        hub.log.clear()
        report = published.sync_one(job("acme/x"))
        assert (report.outcome, report.code) == ("held", code)
        assert report.reason.endswith("the snapshot published before stays")
        assert len(hub.log) >= 1
    assert published.files("acme/x") == FILES
    assert published.store.written == []


@pytest.mark.parametrize("code", GONE)
def test_frozen_is_not_asked_for_again_until_keep(hub: Hub, published: Workshop, code: str) -> None:
    GONE[code](hub)
    assert published.sync_one(FREEZE).outcome == "held"
    hub.log.clear()
    report = published.sync_one(FREEZE)
    assert (report.outcome, report.code) == ("held", code)
    assert "on_gone: keep asks for it again" in report.reason
    assert len(hub.log) == 0
    assert published.files("acme/x") == FILES


def test_a_frozen_repo_that_is_back_is_mirrored_again_once_on_gone_is_keep(hub: Hub, published: Workshop) -> None:
    hub.model("acme/x").set(disabled=True)
    published.sync(FREEZE)
    hub.model("acme/x").set(disabled=False)
    assert published.sync_one(FREEZE).outcome == "held"
    assert published.sync_one(KEEP).outcome == "unchanged"
    assert published.refs("acme/x").gone is None
    assert published.sync_one(FREEZE).outcome == "unchanged"


@pytest.mark.parametrize("code", GONE)
def test_withdraw_acts_on_the_same_answer_a_day_later_with_one_put(hub: Hub, published: Workshop, code: str) -> None:
    GONE[code](hub)
    report = published.sync_one(WITHDRAW)
    assert (report.outcome, report.code) == ("held", code)
    assert "is withdrawn when the upstream says so again" in report.reason
    published.sync(WITHDRAW)
    assert published.store.written == []
    assert published.files("acme/x") == FILES
    blobs = published.blobs()
    published.ahead = DAY
    report = published.sync_one(WITHDRAW)
    assert report.reason.endswith("withdrawn, as on_gone says")
    assert published.store.written == [REFS]
    assert (published.refs("acme/x").refs, published.refs("acme/x").snapshots) == ((), {})
    assert published.blobs() == blobs, "blobs stay until a prune"
    report = published.sync_one(WITHDRAW)
    assert (report.outcome, report.code) == ("held", code)
    assert published.store.written == []


def test_a_good_answer_in_between_begins_the_day_anew(hub: Hub, published: Workshop) -> None:
    hub.model("acme/x").set(disabled=True)
    published.sync(WITHDRAW)
    hub.model("acme/x").set(disabled=False)
    published.sync(WITHDRAW)
    hub.model("acme/x").set(disabled=True)
    published.ahead = DAY
    published.sync(WITHDRAW)
    assert published.files("acme/x") == FILES


def test_a_withdrawn_repo_that_is_back_is_published_again_without_a_fetch(hub: Hub, published: Workshop) -> None:
    hub.model("acme/x").set(disabled=True)
    published.sync(WITHDRAW)
    published.ahead = DAY
    published.sync(WITHDRAW)
    hub.model("acme/x").set(disabled=False)
    report = published.sync_one(WITHDRAW)
    assert (report.outcome, report.fetched_files) == ("published", 0)
    assert published.refs("acme/x").gone is None


@pytest.mark.parametrize("wish", [FREEZE, WITHDRAW], ids=["freeze", "withdraw"])
@pytest.mark.parametrize(
    "answer", [TokenRejected("token rejected"), Unreachable("no answer")], ids=["rejected", "unreachable"]
)
def test_a_404_means_nothing_while_the_token_is_not_proved(
    hub: Hub, published: Workshop, wish: object, answer: Exception
) -> None:
    hub.remove("acme/x")
    published.proved = answer  # type: ignore[assignment]
    for ahead in (timedelta(0), DAY):
        published.ahead = ahead
        report = published.sync_one(wish)  # type: ignore[arg-type]
        assert (report.outcome, report.code) == ("failed", answer.code)  # type: ignore[attr-defined]
    assert published.files("acme/x") == FILES
    assert published.refs("acme/x").gone is None


def test_an_upstream_that_cannot_prove_a_token_only_ever_holds(hub: Hub, published: Workshop) -> None:
    hub.remove("acme/x")
    published.proved = TokenStatus.UNPROVEN
    for ahead in (timedelta(0), DAY):
        published.ahead = ahead
        report = published.sync_one(WITHDRAW)
        assert report.outcome == "held"
        assert "nothing proves that it is gone" in report.reason
    assert published.files("acme/x") == FILES


def test_without_a_token_only_what_was_open_to_all_can_be_gone(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit(FILES)
    hub.model("acme/gated", license="mit", gated="auto").commit(FILES)
    withdraw = job("acme/x", "acme/gated", on_gone=OnGone.WITHDRAW)
    Workshop(hub.url, tmp_path, hub.token("hf_in", approved=["acme/gated"])).sync(withdraw)
    hub.remove("acme/x")
    hub.remove("acme/gated")
    lost_token = Workshop(hub.url, tmp_path)
    for ahead in (timedelta(0), DAY):
        lost_token.ahead = ahead
        reports = {report.repo: report for report in lost_token.sync(withdraw).repos}
    assert reports["acme/x"].reason.endswith("withdrawn, as on_gone says")
    assert "nothing proves that it is gone" in reports["acme/gated"].reason
    assert lost_token.files("acme/gated") == FILES


def test_a_public_repo_that_became_private_is_held_also_when_our_token_sees_it(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit(FILES)
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_member", private=["acme/x"]))
    workshop.sync(KEEP)
    _private(hub)
    report = workshop.sync_one(KEEP)
    assert (report.outcome, report.code) == ("held", "private")
    assert workshop.files("acme/x") == FILES
    workshop.sync(WITHDRAW)
    for ahead in (DAY, 2 * DAY, 3 * DAY):
        workshop.ahead = ahead
        assert workshop.sync_one(WITHDRAW).outcome == "held"
    assert workshop.refs("acme/x").snapshots == {}, "withdrawn, and not published again as private"


def test_a_repo_that_was_always_private_is_mirrored(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit", private=True).commit(FILES)
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_member", private=["acme/x"]))
    assert workshop.sync_one(KEEP).outcome == "published"
    hub.model("acme/x").commit({"a": b"2"})
    assert workshop.sync_one(KEEP).outcome == "published"


def test_jobs_that_disagree_keep(hub: Hub, published: Workshop) -> None:
    hub.remove("acme/x")
    mild = job("acme/*", name="mild")
    for ahead in (timedelta(0), DAY):
        published.ahead = ahead
        published.sync_one(WITHDRAW, among=[mild])
    assert published.files("acme/x") == FILES


def test_a_repo_that_a_glob_named_and_the_upstream_lists_no_more_is_reported_as_held(
    hub: Hub, published: Workshop
) -> None:
    hub.model("acme/y", license="mit").commit(FILES)
    hub.remove("acme/x")
    reports = {report.repo: report for report in published.sync(job("acme/*")).repos}
    assert reports["acme/y"].outcome == "published"
    assert (reports["acme/x"].outcome, reports["acme/x"].code) == ("held", "not-found-or-private")


def test_names_that_a_pattern_chose_are_held_one_by_one(hub: Hub, published: Workshop) -> None:
    hub.model("acme/x").tag("v1")
    tags = job("acme/x", revisions=("v*",))
    published.sync(tags)
    hub.remove("acme/x")
    report = published.sync_one(tags)
    assert (report.outcome, report.revision, report.code) == ("held", "v1", "not-found-or-private")


def test_plan_says_the_same_and_writes_nothing(hub: Hub, published: Workshop) -> None:
    hub.remove("acme/x")
    published.store.written.clear()
    plan = published.plan_one(WITHDRAW)
    assert (plan.outcome, plan.code) == ("held", "not-found-or-private")
    assert published.store.written == []
    assert published.refs("acme/x").gone is None


def _shrunk(hub: Hub) -> None:
    hub.model("acme/x").commit({}, replace_all=True)


def _without_bytes(hub: Hub) -> None:
    hub.model("acme/x").commit({"w": LFS(b"new")})
    hub.faults.add(status(404), "/acme/x/resolve/*")


def _without_a_listing(hub: Hub) -> None:
    hub.model("acme/x").commit({"a": b"2"})
    hub.faults.add(status(500), "/api/models/acme/x/tree/*")


@pytest.mark.parametrize(
    ("back", "outcome"),
    [(_shrunk, "held"), (_without_bytes, "failed"), (_without_a_listing, "failed")],
    ids=["held", "no-bytes", "no-listing"],
)
@pytest.mark.parametrize("code", GONE)
def test_a_repo_that_was_back_begins_the_day_anew_also_where_what_it_had_then_was_not_published(
    hub: Hub, published: Workshop, code: str, back: Callable[[Hub], object], outcome: str
) -> None:
    hub.model("acme/x").set(disabled=code == "disabled", private=code != "disabled")
    assert published.sync_one(WITHDRAW).code == code
    hub.model("acme/x").set(private=False, disabled=False)
    back(hub)
    assert published.sync_one(WITHDRAW).outcome == outcome
    assert published.refs("acme/x").gone is None
    GONE[code](hub)
    published.ahead = DAY
    assert published.sync_one(WITHDRAW).code == code
    assert published.files("acme/x") == FILES, "it was withdrawn by one answer alone"


@pytest.mark.parametrize("between", ["nothing", "held"])
def test_a_gate_counts_on_while_it_is_shut_and_begins_anew_once_it_was_open(
    hub: Hub, published: Workshop, tmp_path: Path, between: str
) -> None:
    repo, store = hub.model("acme/x"), published.store.store
    repo.set(gated="manual")
    _shrunk(hub)
    shut = Workshop(hub.url, tmp_path / "shut", hub.token("hf_shut"), store=store)
    assert shut.sync_one(WITHDRAW).code == "gated"
    if between == "held":
        assert published.sync_one(WITHDRAW).code == "guard", "its token is approved"
    shut.ahead = DAY
    assert shut.sync_one(WITHDRAW).code == "gated"
    assert bool(shut.refs("acme/x").snapshots) is (between == "held")
