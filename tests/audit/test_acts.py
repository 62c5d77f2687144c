"""The engine's acts beside an audit: recorded before they are done, and not done where that is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import Act, AuditRecord, Verb
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Decisions, RuleKey
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.house_rules import HouseRules, Restriction
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.engine.acts import recorded
from mirror_sync.errors import NotRecorded, StoreDenied
from mirror_sync.ports.audit import NoAudit
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

ACT = Act(Verb.PUBLISH, "bucket", "acme/x")
REFS = "hub/models/acme--x/refs.json"


class Noting(NoAudit):
    """Keeps what is recorded, with how much had been written by then; refuses it while `error` is set."""

    def __init__(self, workshop: Workshop) -> None:
        self._written = workshop.store.written
        self.records: list[AuditRecord] = []
        self.refs_before: list[int] = []
        self.states: dict[str, str] = {}
        self.error: NotRecorded | None = None

    def record(self, *records: AuditRecord) -> None:
        if self.error is not None:
            raise self.error
        self.records += records
        self.refs_before += [self._written.count(REFS)] * len(records)

    def state(self, name: str) -> str:
        return self.states.get(name, "")

    def remember(self, name: str, state: str) -> None:
        self.states[name] = state

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one.act.verb, one.failed) for one in self.records]


@pytest.fixture
def workshop(hub: Hub, tmp_path: Path) -> Workshop:
    return Workshop(hub.url, tmp_path)


@pytest.fixture
def audit(workshop: Workshop) -> Noting:
    made = Noting(workshop)
    target = replace(workshop.context.targets["bucket"], audit=made)
    workshop.context = replace(workshop.context, targets={"bucket": target})
    return made


def test_a_publication_is_recorded_before_refs_json_is_written(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    commit = hub.model("acme/x", license="mit").commit({"a": b"1"})
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    (record,) = audit.records
    assert (record.act.verb, record.act.commit, record.act.digests) == (
        "publish",
        commit,
        {"root": workshop.refs("acme/x").root_of("main")},
    )
    assert (audit.refs_before, workshop.store.written.count(REFS)) == ([0], 1)


def test_what_cannot_be_recorded_is_not_published(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    audit.error = NotRecorded("no room in the audit")
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code, report.reason) == ("failed", "not-recorded", "no room in the audit")
    assert REFS not in workshop.store.written
    audit.error = None
    assert workshop.sync_one(job("acme/x")).outcome == "published"


def test_an_act_that_fails_is_recorded_to_have_failed(workshop: Workshop, audit: Noting) -> None:
    with pytest.raises(StoreDenied), recorded(workshop.context, workshop.context.targets["bucket"], [ACT]):
        raise StoreDenied("AccessDenied")
    assert audit.told == [("publish", ""), ("publish", "target-denied")]


def test_nothing_is_done_for_nobody(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    workshop.context = replace(workshop.context, actor=None)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "internal")
    assert (audit.records, REFS in workshop.store.written) == ([], False)


def test_a_withdrawal_is_recorded_and_a_note_of_absence_is_a_hold(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    withdraw = job("acme/x", on_gone=OnGone.WITHDRAW)
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    workshop.sync(withdraw)
    hub.model("acme/x").set(disabled=True)
    workshop.sync(withdraw)
    workshop.sync(withdraw)
    assert audit.told == [("publish", ""), ("hold", "")]
    workshop.ahead = timedelta(days=1, minutes=1)
    workshop.sync(withdraw)
    assert [verb for verb, _ in audit.told][2:] == ["withdraw", "hold"]
    assert "withdrawn, as on_gone says" in audit.records[2].act.reason
    assert workshop.refs("acme/x").snapshots == {}


def test_a_jobs_yaml_is_recorded_once_with_the_first_act_under_it(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    one, other = Sha256.of(b"1"), Sha256.of(b"2")
    workshop.context = replace(workshop.context, config=one)
    workshop.sync(job("acme/x"))
    hub.model("acme/x").commit({"a": b"2"})
    workshop.sync(job("acme/x"))
    workshop.context = replace(workshop.context, config=other)
    hub.model("acme/x").commit({"a": b"3"})
    workshop.sync(job("acme/x"))
    assert [verb for verb, _ in audit.told] == ["config-change", "publish", "publish", "config-change", "publish"]
    assert [record.act.digests for record in audit.records if record.act.verb == "config-change"] == [
        {"after": one},
        {"before": one, "after": other},
    ]


def test_a_decision_is_recorded_once_before_anything_is_done_by_it(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    commit = hub.model("acme/x", license="mit").commit({"f": b"1"})
    rules = HouseRules(restricted=(Restriction(RepoPattern.parse("acme/*")),))
    workshop.sync_one(job("acme/x", house=rules))
    assert [verb for verb, _ in audit.told] == ["hold"]

    def decided(repo: str, outcome: DecisionOutcome) -> Decision:
        pattern = RepoPattern.parse(repo)
        return Decision(pattern, CommitId(commit), RuleKey.RESTRICTED, outcome, "Ada", "read", "LEGAL-1")

    mine = decided("acme/x", DecisionOutcome.APPROVE)
    decisions = Decisions((mine, decided("acme/of-no-job", DecisionOutcome.REJECT)))
    for _ in range(2):
        workshop.sync_one(job("acme/x", house=rules, decisions=decisions))
    assert [verb for verb, _ in audit.told] == ["hold", "approve", "publish"]
    act = audit.records[1].act
    assert (act.repo, act.commit, act.reason) == ("acme/x", commit, "restricted: Ada: read (LEGAL-1)")


def test_nothing_is_done_by_a_decision_that_cannot_be_recorded(hub: Hub, workshop: Workshop, audit: Noting) -> None:
    hub.model("acme/x", license="mit").commit({"f": b"1"})
    word = Decision(RepoPattern.parse("acme/x"), None, RuleKey.RESTRICTED, DecisionOutcome.APPROVE, "Ada", "read")
    audit.error = NotRecorded("not done, since it cannot be recorded")
    report = workshop.sync_one(job("acme/x", decisions=Decisions((word,))))
    assert (report.outcome, workshop.store.written.count(REFS)) == ("failed", 0)
