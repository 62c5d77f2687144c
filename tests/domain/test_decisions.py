"""What people decide about what rules hold: laws that no order, spelling or date gets round."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Decisions, Matter, RuleKey, key_of
from mirror_sync.domain.policy.house_rules import (
    MOST_BASES,
    Cooldown,
    Forbidden,
    HouseRules,
    InheritedLicence,
    Restricted,
    Restriction,
    bases_of,
)
from mirror_sync.domain.policy.licences import Approval, LicensePolicy
from mirror_sync.domain.policy.rules import BaseModel, Candidate, Outcome, Rule, Verdict, judge_all
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Kind, Repo, RepoPattern

NOW = datetime(2026, 6, 1, tzinfo=UTC)
REPO, OTHER = Repo(Kind.MODEL, "acme/x"), Repo(Kind.MODEL, "acme/other")
FIRST, SECOND = CommitId("1" * 40), CommitId("2" * 40)
MIT = LicensePolicy(allow=frozenset({"mit"}), review=frozenset({"gemma"}))
GLOB = RepoPattern.parse("acme/*")


def decided(rule: RuleKey = RuleKey.RESTRICTED, **changes: object) -> Decision:
    plain = Decision(RepoPattern.parse("acme/x"), None, rule, DecisionOutcome.APPROVE, "Ada", "read")
    return replace(plain, **changes)  # type: ignore[arg-type]


def asked(
    *decisions: Decision,
    commit: CommitId = FIRST,
    licence: str = "mit",
    spelled: tuple[Repo, ...] = (REPO,),
    names: tuple[Repo, ...] = (),
    published: bool = False,
    **facts: object,
) -> Candidate:
    about = Matter(spelled, names, commit, published, NOW)
    plain = Candidate(REPO, Terms(frozenset({licence})), whole=True, named=True, about=about)
    return replace(plain, decisions=Decisions(decisions), **facts)  # type: ignore[arg-type]


keys, choices = st.sampled_from(RuleKey), st.sampled_from(DecisionOutcome)
commits = st.sampled_from([None, FIRST, SECOND])
ends = st.sampled_from([None, NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)])
patterns = st.sampled_from(["acme/x", "ACME/x", "acme/other", "dataset:acme/x"]).map(RepoPattern.parse)
decisions = st.lists(
    st.builds(Decision, patterns, commits, keys, choices, st.just("Ada"), st.just("y"), st.just(""), ends), max_size=6
)
approvals = st.lists(
    st.builds(
        Decision,
        patterns,
        commits,
        keys,
        st.just(DecisionOutcome.APPROVE),
        st.just("A"),
        st.just("y"),
        st.just(""),
        ends,
    )
)
RULES: tuple[Rule, ...] = (
    Forbidden((GLOB,)),
    MIT,
    Restricted((Restriction(GLOB),)),
    Cooldown(timedelta(days=3)),
    InheritedLicence(MIT),
)


@given(st.permutations(RULES), decisions, commits, st.booleans(), st.sampled_from(["acme/X", "ACME/x", "acme/x"]))
def test_no_order_of_rules_and_no_decision_lets_a_forbidden_repo_through(
    rules: list[Rule], known: list[Decision], commit: CommitId | None, published: bool, name: str
) -> None:
    spelled = (Repo(Kind.MODEL, "new/name"), Repo(Kind.MODEL, name))
    for names in (spelled, spelled[::-1]):
        matter = Matter(names[:1], names=names[1:], commit=commit, published=published, now=NOW)
        candidate = replace(asked(*known), about=matter)
        assert judge_all(rules, candidate).outcome is Outcome.REFUSED


@given(approvals, st.booleans())
def test_a_decision_for_one_commit_never_covers_another(known: list[Decision], pin: bool) -> None:
    of_first = [one for one in known if one.commit == FIRST]
    rules = (Restricted((Restriction(GLOB, pin=pin),)),)
    assert judge_all(rules, asked(*of_first, commit=SECOND)).outcome is Outcome.HELD


@given(decisions, ends)
def test_an_end_withdraws_nothing_that_is_published(known: list[Decision], end: datetime | None) -> None:
    """What an approval without an end allows, one that has ended allows still of what is published under it."""
    ended = [replace(one, until=end) if one.outcome is DecisionOutcome.APPROVE else one for one in known]
    for_ever = [replace(one, until=None) if one.outcome is DecisionOutcome.APPROVE else one for one in known]
    rules = (MIT, Restricted((Restriction(GLOB),)))
    for licence in ("mit", "gemma"):
        before = judge_all(rules, asked(*for_ever, licence=licence, published=True)).outcome
        assert judge_all(rules, asked(*ended, licence=licence, published=True)).outcome is before


@given(decisions, st.randoms())
def test_the_order_in_which_people_decided_changes_nothing(known: list[Decision], random: object) -> None:
    rules = (MIT, Restricted((Restriction(GLOB),)))
    mixed = list(known)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge_all(rules, asked(*known)).outcome is judge_all(rules, asked(*mixed)).outcome


@given(approvals)
def test_a_rejection_comes_before_every_approval(known: list[Decision]) -> None:
    for pattern in ("acme/x", "acme/*", "ACME/X"):
        no = decided(outcome=DecisionOutcome.REJECT, pattern=RepoPattern.parse(pattern), rule=RuleKey.LICENCE)
        found = judge_all((MIT,), asked(*known, no))
        assert (found.outcome, found.objection and found.objection.code) == (Outcome.REFUSED, "rejected")


def test_an_approval_lifts_the_hold_of_the_rule_that_it_names_and_of_no_other() -> None:
    rules = (MIT, Restricted((Restriction(GLOB),)))
    held = judge_all(rules, asked(decided(), licence="gemma"))
    assert [one.outcome for one in held.verdicts] == [Outcome.HELD, Outcome.ALLOWED]
    both = judge_all(rules, asked(decided(), decided(RuleKey.LICENCE, ticket="LEGAL-1"), licence="gemma"))
    assert both.outcome is Outcome.ALLOWED
    assert [one.reason for one in both.verdicts] == [
        "approved by Ada: read (LEGAL-1) (licence gemma is in licenses.review)",
        "approved by Ada: read (policy.restricted has acme/*: it waits for a decision)",
    ]


def test_an_approval_lifts_no_refusal() -> None:
    assert judge_all((MIT,), asked(decided(RuleKey.LICENCE), licence="gpl-3.0")).outcome is Outcome.REFUSED


def test_an_approval_is_of_the_name_as_it_is_spelled_and_a_rejection_of_any() -> None:
    rules = (Restricted((Restriction(GLOB),)),)
    lower = RepoPattern.parse("Acme/X")
    assert judge_all(rules, asked(decided(pattern=lower))).outcome is Outcome.HELD
    assert judge_all((MIT,), asked(decided(pattern=lower, outcome=DecisionOutcome.REJECT))).outcome is Outcome.REFUSED
    renamed = asked(decided(outcome=DecisionOutcome.REJECT), spelled=(OTHER,), names=(REPO,))
    assert judge_all((MIT,), renamed).outcome is Outcome.REFUSED


def test_what_a_glob_found_waits_for_each_thing_by_itself() -> None:
    terms = Terms(frozenset({"gemma"}), gated=True, private=True)
    waiting = replace(asked(licence="gemma"), terms=terms, named=False)
    codes = []
    known: list[Decision] = []
    for key in (RuleKey.PRIVATE, RuleKey.GATED, RuleKey.LICENCE):
        verdict = MIT.judge(replace(waiting, decisions=Decisions(tuple(known))))
        codes.append(verdict.code)
        assert verdict.outcome is Outcome.HELD
        known.append(decided(key))
    assert codes == ["private", "gated", "license"]
    assert MIT.judge(replace(waiting, decisions=Decisions(tuple(known)))).allowed
    written = replace(MIT, approved=(Approval(REPO, "Ada", "ours"),))
    assert written.judge(waiting).allowed, "licenses.approved is a decision on all three"


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (None, ""),
        ("2028-01-01T00:00:00Z", "2027-12-31"),
        ("2028-01-01T08:00:00+08:00", "2027-12-31"),
        ("2028-01-01T12:30:00Z", "2028-01-01T12:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_the_end_of_a_decision_is_told_as_people_write_it(until: str | None, said: str) -> None:
    end = None if until is None else datetime.fromisoformat(until)
    assert decided(until=end).last_day == said


def test_what_a_name_may_go_back_to_is_approved_until_the_end_and_no_longer() -> None:
    removes = Verdict(RuleKey.GUARD, Outcome.HELD, "it removes 9 of 10 published files")
    for until, outcome in ((NOW, Outcome.HELD), (NOW + timedelta(seconds=1), Outcome.ALLOWED)):
        assert asked(decided(RuleKey.GUARD, until=until), published=True).settled(removes).outcome is outcome


def test_a_commit_waits_until_it_is_as_old_as_the_cooldown_and_where_nobody_tells() -> None:
    rule = Cooldown(timedelta(days=3))
    young = rule.judge(asked(made=NOW - timedelta(days=2)))
    assert young.reason == (
        "the commit counts from 2026-05-30T00:00:00Z: policy.cooldown (3d) holds it until 2026-06-02T00:00:00Z"
    )
    assert rule.judge(asked(made=NOW - timedelta(days=3))).allowed
    assert rule.judge(asked(made=None)).outcome is Outcome.HELD
    assert rule.judge(asked(made=NOW + timedelta(days=9))).outcome is Outcome.HELD
    assert rule.judge(asked(made=None, published=True)).allowed


def test_a_base_model_whose_licence_is_not_allowed_or_not_known_holds_what_was_made_of_it() -> None:
    rule = InheritedLicence(MIT)
    good, bad = BaseModel("acme/base", Terms(frozenset({"mit"}))), BaseModel("acme/b2", Terms(frozenset({"gpl-3.0"})))
    assert rule.judge(asked(bases=())).allowed
    assert rule.judge(asked(bases=(good,))).allowed
    held = rule.judge(asked(bases=(good, bad)))
    assert held.outcome is Outcome.HELD
    assert held.reason == "of its base model acme/b2: licence gpl-3.0 is not in licenses.allow"
    unread = rule.judge(asked(bases=(BaseModel("../x", Terms(frozenset({"mit"}))),)))
    assert (unread.outcome, "no repo of a hub" in unread.reason) == (Outcome.HELD, True)
    assert rule.judge(asked(bases=None)).outcome is Outcome.HELD, "what nobody asked is not known"
    many = tuple(BaseModel(f"acme/{number}", good.terms) for number in range(MOST_BASES + 1))
    assert rule.judge(asked(bases=many)).outcome is Outcome.HELD
    of_base = decided(RuleKey.LICENCE, pattern=RepoPattern.parse("acme/b3"))
    gemma = BaseModel("acme/b3", Terms(frozenset({"gemma"})))
    assert rule.judge(asked(bases=(gemma,))).outcome is Outcome.HELD
    assert rule.judge(asked(of_base, bases=(gemma,))).allowed


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ({"base_model": "acme/x"}, ("acme/x",)),
        ({"base_model": ["acme/x", " acme/y ", "acme/x"]}, ("acme/x", "acme/y")),
        ({"base_model": [None, ""]}, ()),
        ({"base_model": {"odd": 1}}, ("{'odd': 1}",)),
        ({}, ()),
        (None, ()),
    ],
)
def test_base_models_are_read_in_whatever_shape_a_card_has_them(card: object, found: tuple[str, ...]) -> None:
    assert bases_of(card) == found


rules = st.builds(
    HouseRules,
    st.lists(st.sampled_from(["acme/*", "acme/x", "o/y"]).map(RepoPattern.parse), max_size=2).map(tuple),
    st.lists(st.builds(Restriction, st.just(GLOB), st.booleans()), max_size=2).map(tuple),
    st.sampled_from([timedelta(0), timedelta(days=1), timedelta(days=3)]),
    st.booleans(),
)


@given(rules, rules, decisions, st.sampled_from(["mit", "gemma", "gpl-3.0"]))
def test_what_a_job_adds_never_lets_through_what_holds_for_all(
    common: HouseRules, own: HouseRules, known: list[Decision], licence: str
) -> None:
    made = asked(*known, licence=licence, made=NOW - timedelta(days=2), bases=(BaseModel("a/b", Terms()),))
    order = tuple(Outcome)
    alone = judge_all((*common.around(MIT), *common.later(MIT)), made).outcome
    both = common.tightened(own)
    assert order.index(judge_all((*both.around(MIT), *both.later(MIT)), made).outcome) >= order.index(alone)


def test_codes_lead_to_the_rule_that_a_decision_names() -> None:
    assert [
        key_of(code) for code in ("license", "license-unread", "another-repo", "gated", "scan-found", "denied", "")
    ] == [
        *(RuleKey.LICENCE, RuleKey.LICENCE, RuleKey.GUARD, RuleKey.GATED, RuleKey.SCAN),
        *(None, None),
    ]
    assert asked(decided(RuleKey.SCAN)).settled(Verdict("scan", Outcome.HELD, "odd")).allowed
