"""What `policy` of jobs.yaml holds or refuses in real runs, on both kinds of target, and what decisions let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.content.held_note import MOST_HELD, HeldNote, held_commits
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Decisions, RuleKey
from mirror_sync.domain.policy.house_rules import HouseRules, Restriction
from mirror_sync.domain.policy.licences import LicensePolicy
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.published import published_snapshots, read_refs
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.ports.store import read_document
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.engine.workshop import Workshop, job
from tests.standin import Hub
from tests.stores.places import target_on

MIT = LicensePolicy(allow=frozenset({"mit"}))
ACME = RepoPattern.parse("acme/*")


@pytest.fixture(params=["directory", "bucket"])
def workshop(hub: Hub, tmp_path: Path, request: pytest.FixtureRequest) -> Workshop:
    if request.param == "directory":
        return Workshop(hub.url, tmp_path)
    return Workshop(hub.url, tmp_path, store=S3Store(target_on(request.getfixturevalue("radosgw"), "held")))


def decided(
    repo: str,
    rule: RuleKey,
    commit: str | None = None,
    outcome: DecisionOutcome = DecisionOutcome.APPROVE,
    until: datetime | None = None,
) -> Decisions:
    of = None if commit is None else CommitId(commit)
    return Decisions((Decision(RepoPattern.parse(repo), of, rule, outcome, "Ada", "read", until=until),))


def house(*repos: str, decisions: Decisions = Decisions(), **rules: object) -> Job:  # noqa: B008  it is frozen
    return job(*repos, house=HouseRules(**rules), decisions=decisions)  # type: ignore[arg-type]


def notes(workshop: Workshop, repo: str) -> dict[str, HeldNote]:
    refs = workshop.refs(repo)
    found = [refs.attachments[f"held.{commit}"] for commit in held_commits(refs)]
    decoded = (HeldNote.decode(read_document(workshop.store, digest)) for digest in found)
    return {note.commit: note for note in decoded}


def test_what_is_forbidden_is_never_published_and_leaves_nothing(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    everything = decided("acme/x", RuleKey.FORBIDDEN)
    wanted = house("acme/x", forbidden=(RepoPattern.parse("ACME/*"),), decisions=everything)
    assert workshop.plan_one(wanted).reason == "policy.forbidden has ACME/*"
    report = workshop.sync_one(wanted)
    assert (report.outcome, report.code) == ("refused", "forbidden")
    assert workshop.refs("acme/x") == Refs()
    assert workshop.store.written == []
    hub.rename("acme/x", "other/x")
    renamed = house("acme/x", forbidden=(RepoPattern.parse("other/x"),))
    assert workshop.sync_one(renamed).code == "forbidden", "by the upstream's own name, too"


def test_what_is_restricted_waits_with_a_note_until_a_decision_names_it(hub: Hub, workshop: Workshop) -> None:
    commit = hub.model("acme/x", license="mit").commit({"f": b"1"})
    rules = (Restriction(ACME),)
    for _ in range(2):
        report = workshop.sync_one(house("acme/x", restricted=rules))
        assert (report.outcome, report.code, report.commit) == ("held", "restricted", commit)
        assert report.reason == "policy.restricted has acme/*: it waits for a decision"
    assert workshop.store.written == [], "the second run has nothing to add"
    (note,) = notes(workshop, "acme/x").values()
    assert (note.repo, note.commit) == ("acme/x", commit)
    assert [(one.rule, one.outcome) for one in note.verdicts] == [("licence", "allowed"), ("restricted", "held")]
    allowed = house("acme/x", restricted=rules, decisions=decided("acme/x", RuleKey.RESTRICTED))
    assert workshop.sync_one(allowed).outcome == "published"
    assert workshop.refs("acme/x").attachments == {}
    assert [one.reason for one in workshop.root("acme/x").verdicts][1].startswith("approved by Ada: read (policy.")
    newer = hub.model("acme/x").commit({"f": b"2"})
    assert workshop.sync_one(allowed).commit == newer


def test_a_repo_of_which_nothing_but_a_hold_is_known_is_not_mirrored(hub: Hub, workshop: Workshop) -> None:
    commit = hub.model("acme/x", license="mit").commit({"f": b"1"})
    hub.model("acme/y", license="mit").commit({"f": b"2"})
    restricted = house("acme/x", restricted=(Restriction(ACME),))
    workshop.sync(restricted, job("acme/y", name="other"))
    assert [str(one.repo) for one in published_snapshots(workshop.store)] == ["acme/y"]
    report = workshop.verify(restricted)
    assert report.ok
    assert report.snapshots == 1
    pruned = Prune(workshop.context, [restricted]).run()
    assert pruned.ok, pruned.problems
    assert pruned.repos == ()
    assert list(notes(workshop, "acme/x")) == [commit], "and its note stays"
    assert workshop.verify(restricted).ok


def test_with_pin_each_commit_waits_for_its_own_decision(hub: Hub, workshop: Workshop) -> None:
    rules = (Restriction(ACME, pin=True),)
    first = hub.model("acme/x", license="mit").commit({"f": b"1"})
    of_repo = house("acme/x", restricted=rules, decisions=decided("acme/x", RuleKey.RESTRICTED))
    assert workshop.sync_one(of_repo).outcome == "held", "a decision on the repo is none on its commits"
    of_first = house("acme/x", restricted=rules, decisions=decided("acme/x", RuleKey.RESTRICTED, first))
    assert workshop.sync_one(of_first).commit == first
    second = hub.model("acme/x").commit({"f": b"2"})
    report = workshop.sync_one(of_first)
    assert (report.outcome, report.commit) == ("held", second)
    assert workshop.commit("acme/x") == first
    assert list(notes(workshop, "acme/x")) == [second]


def test_an_approval_that_has_ended_holds_new_commits_and_withdraws_none(hub: Hub, workshop: Workshop) -> None:
    rules = (Restriction(ACME),)
    first = hub.model("acme/x", license="mit").commit({"f": b"1"})
    until = datetime.now(UTC) + timedelta(hours=1)
    wanted = house("acme/x", restricted=rules, decisions=decided("acme/x", RuleKey.RESTRICTED, until=until))
    assert workshop.sync_one(wanted).outcome == "published"
    workshop.ahead = timedelta(hours=2)
    assert workshop.sync_one(wanted).outcome == "unchanged"
    hub.model("acme/x").commit({"f": b"2"})
    assert workshop.sync_one(wanted).code == "restricted"
    assert workshop.commit("acme/x") == first


def test_a_rejection_refuses_what_all_rules_allow_also_under_a_glob(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    first = hub.model("acme/y", license="mit").commit({"f": b"2"})
    wanted = job("acme/*", decisions=decided("acme/x", RuleKey.RESTRICTED, outcome=DecisionOutcome.REJECT))
    reports = {report.repo: report for report in workshop.sync(wanted).repos}
    assert (reports["acme/x"].outcome, reports["acme/x"].code) == ("refused", "rejected")
    assert reports["acme/x"].reason == "rejected by Ada: read"
    assert reports["acme/y"].outcome == "published"
    later = job("acme/y", decisions=decided("acme/*", RuleKey.SCAN, outcome=DecisionOutcome.REJECT))
    assert (workshop.sync_one(later).outcome, workshop.commit("acme/y")) == ("held", first)


def test_a_new_commit_waits_until_it_is_old_enough_upstream(hub: Hub, workshop: Workshop) -> None:
    made = datetime.now(UTC) - timedelta(days=2)
    first = hub.model("acme/x", license="mit").commit({"f": b"1"}, date=made - timedelta(days=9))
    wanted = house("acme/x", cooldown=timedelta(days=3))
    assert workshop.sync_one(wanted).commit == first
    second = hub.model("acme/x").commit({"f": b"2"}, date=made)
    hub.log.clear()
    report = workshop.sync_one(wanted)
    assert (report.outcome, report.code, report.commit) == ("held", "cooldown", second)
    assert "policy.cooldown (3d) holds it until " in report.reason
    assert hub.calls("*", "*/tree/*") == 0, "what waits is not listed"
    assert workshop.plan_one(wanted).code == "cooldown"
    assert workshop.sync_one(house("acme/x", cooldown=timedelta(days=1))).commit == second
    hub.model("acme/x").commit({"f": b"3"})
    approved = decided("acme/x", RuleKey.COOLDOWN, hub.model("acme/x").head())
    assert workshop.sync_one(house("acme/x", cooldown=timedelta(days=3), decisions=approved)).outcome == "published"
    workshop.ahead = timedelta(days=4)
    last = hub.model("acme/x").commit({"f": b"4"})
    assert workshop.sync_one(wanted).commit == last


def test_a_commit_that_was_dated_back_counts_from_the_look_that_did_not_find_it(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"}, date=datetime(2020, 1, 1, tzinfo=UTC))
    looked = LastCheck((datetime.now(UTC) - timedelta(hours=1)).isoformat(), "0" * 40)
    workshop.context = replace(workshop.context, last_check=lambda subject: looked)
    assert workshop.sync_one(house("acme/x", cooldown=timedelta(days=3))).code == "cooldown"
    workshop.ahead = timedelta(days=3)
    assert workshop.sync_one(house("acme/x", cooldown=timedelta(days=3))).outcome == "published"


def test_a_model_waits_where_the_licence_of_its_base_model_is_not_allowed(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/base", license="gpl-3.0").commit({"f": b"0"})
    card = b"---\nlicense: mit\nbase_model: acme/base\n---\n"
    hub.model("acme/x").commit({"README.md": card})
    wanted = house("acme/x", inherit_base_model=True)
    report = workshop.sync_one(wanted)
    assert (report.outcome, report.code) == ("held", "base_model")
    assert report.reason == "of its base model acme/base: licence gpl-3.0 is not in licenses.allow"
    assert workshop.sync_one(job("acme/x")).outcome == "published", "nobody is asked where the key is not set"
    hub.model("acme/x").commit({"README.md": card.replace(b"acme/base", b"acme/nowhere")})
    assert "could not be read" in workshop.sync_one(wanted).reason
    hub.model("acme/x").commit({"README.md": card, "g": b"1"})
    hub.model("acme/base", license="mit")
    hub.log.clear()
    assert workshop.sync_one(wanted).outcome == "published"
    assert hub.calls("*", "*/models/acme/base*") == 1


def test_what_the_deletion_guard_holds_is_accepted_for_that_commit_alone(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({f"f{number}": b"%d" % number for number in range(10)})
    workshop.sync(job("acme/x"))
    bad = repo.commit({"f0": b"0"}, replace_all=True)
    assert workshop.sync_one(job("acme/x", decisions=decided("acme/x", RuleKey.GUARD, "0" * 40))).code == "guard"
    assert [note.verdicts[-1].rule for note in notes(workshop, "acme/x").values()] == ["guard"]
    report = workshop.sync_one(job("acme/x", decisions=decided("acme/x", RuleKey.GUARD, bad)))
    assert (report.outcome, report.files) == ("published", 1)
    assert workshop.root("acme/x").verdicts[-1].reason.startswith("approved by Ada: read (commit ")


def test_another_repo_of_the_name_is_accepted_by_its_commit_and_never_by_any(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    workshop.sync(job("acme/x"))
    hub.remove("acme/x")
    new = hub.model("acme/x", license="mit", created=datetime(2026, 6, 1, tzinfo=UTC)).commit({"f": b"2"}, author="eve")
    assert workshop.sync_one(job("acme/x", decisions=decided("acme/x", RuleKey.GUARD))).code == "another-repo"
    assert workshop.sync_one(job("acme/x", decisions=decided("acme/x", RuleKey.GUARD, new))).commit == new


def test_what_the_licence_rule_holds_is_let_go_by_the_decision_on_that_alone(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="gemma").commit({"f": b"1"})
    policy = LicensePolicy(MIT.allow, frozenset({"gemma"}))
    assert workshop.sync_one(job("acme/*", policy=policy)).code == "license"
    wrong = job("acme/*", policy=policy, decisions=decided("acme/x", RuleKey.RESTRICTED))
    assert workshop.sync_one(wrong).code == "license"
    right = job("acme/*", policy=policy, decisions=decided("acme/x", RuleKey.LICENCE))
    assert workshop.sync_one(right).outcome == "published"


@pytest.mark.parametrize("rule", [RuleKey.GATED, RuleKey.PRIVATE])
def test_what_a_glob_found_is_named_by_a_decision_and_a_private_repo_leaves_no_note(
    hub: Hub, tmp_path: Path, rule: RuleKey
) -> None:
    hub.model("acme/shut", license="mit", gated="auto").commit({"f": b"1"})
    hub.model("acme/secret", license="mit", private=True).commit({"f": b"2"})
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_in", private=["acme/secret"], approved=["acme/shut"]))
    name = "acme/shut" if rule is RuleKey.GATED else "acme/secret"
    assert {report.outcome for report in workshop.sync(job("acme/*")).repos} == {"held"}
    assert workshop.refs("acme/secret") == Refs()
    assert len(notes(workshop, "acme/shut")) == 1
    reports = {one.repo: one for one in workshop.sync(job("acme/*", decisions=decided(name, rule))).repos}
    assert {repo: one.outcome for repo, one in reports.items() if one.outcome != "held"} == {name: "published"}


def test_the_newest_notes_are_kept_and_the_oldest_go(hub: Hub, workshop: Workshop) -> None:
    made = []
    for number in range(MOST_HELD + 2):
        workshop.ahead = timedelta(minutes=number)
        made.append(hub.model("acme/x", license="mit").commit({"f": b"%d" % number}))
        assert workshop.sync_one(house("acme/x", restricted=(Restriction(ACME),))).outcome == "held"
    assert set(notes(workshop, "acme/x")) == set(made[2:])


def test_a_note_keeps_since_when_and_tells_the_newest_reasons(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    workshop.sync(house("acme/x", restricted=(Restriction(ACME),)))
    (before,) = notes(workshop, "acme/x").values()
    workshop.ahead = timedelta(days=1)
    workshop.sync(house("acme/x", restricted=(Restriction(ACME, pin=True),)))
    (after,) = notes(workshop, "acme/x").values()
    assert after.since == before.since
    assert after.verdicts != before.verdicts


def test_no_hold_makes_a_target_that_lost_all_look_as_if_it_had_not(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    lost = frozenset({Repo.parse("acme/a"), Repo.parse("acme/b")})
    workshop.context = replace(workshop.context, remembered=lambda target: lost)
    report = workshop.sync_one(house("acme/x", restricted=(Restriction(ACME),)))
    assert (report.outcome, report.code) == ("failed", "vanished")
    assert list(workshop.store.list("hub/")) == []
    workshop.sync(job("acme/y", name="there"))
    here = frozenset({Repo.parse("acme/x")})
    workshop.context = replace(workshop.context, remembered=lambda target: here)
    hub.model("acme/z", license="mit").commit({"f": b"2"})
    report = workshop.sync_one(house("acme/x", restricted=(Restriction(ACME),)))
    assert read_refs(workshop.store, Repo.parse("acme/x")) == Refs(), "a prune has to see that it is gone"


def test_the_guard_in_jobs_yaml_counts_as_before(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1", "b": b"2", "c": b"3"})
    workshop.sync(job("acme/x"))
    hub.model("acme/x").commit({"a": b"1"}, replace_all=True)
    assert workshop.sync_one(job("acme/x", guard=Guard(1.0))).outcome == "published"
