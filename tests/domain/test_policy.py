from dataclasses import replace

import pytest

from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.policy.rules import Candidate, Outcome, Verdict, judge_all
from mirror_sync.domain.policy.terms import Terms, terms_from_card
from mirror_sync.domain.repo import Kind, Repo

REPO = Repo(Kind.MODEL, "acme/tiny")
POLICY = LicensePolicy(
    allow=frozenset({"mit", "apache-2.0", "cc-by-nd-4.0", "other:acme-1"}), review=frozenset({"llama3.1"})
)
APPROVE = "; once a person has read it, approve the repo by name in licenses.approved"


def _terms(*ids: str, tags: tuple[str, ...] | None = None, name: str | None = None, link: str | None = None) -> Terms:
    return Terms(frozenset(ids), frozenset(ids if tags is None else tags), name, link)


@pytest.mark.parametrize(
    ("terms", "outcome", "reason"),
    [
        (_terms("mit"), "allowed", "licence mit is in licenses.allow"),
        (_terms("mit", "apache-2.0"), "allowed", "licence apache-2.0 and mit is in licenses.allow"),
        (_terms("mit", "gpl-3.0"), "refused", "licence gpl-3.0 is not in licenses.allow"),
        (_terms("llama3.1"), "held", f"licence llama3.1 is in licenses.review{APPROVE}"),
        (_terms("mit", tags=("apache-2.0",)), "held", f"the card says licence mit, the tags say apache-2.0{APPROVE}"),
        (_terms("mit", tags=()), "allowed", "licence mit is in licenses.allow"),
        (_terms(), "refused", "no licence is stated, and licenses.missing is refuse"),
        (_terms("other"), "held", f"licence other is not named (license_name){APPROVE}"),
        (_terms("other", name="Acme-1", link="LICENSE"), "allowed", "licence other:acme-1 is in licenses.allow"),
        (
            _terms("other", name="acme-1"),
            "held",
            f"licence other:acme-1 comes without a license_link{APPROVE}",
        ),
        (_terms("other", name="evil", link="x"), "refused", "licence other:evil is not in licenses.allow"),
        (Terms(frozenset({"mit"}), disabled=True), "refused", "the upstream has disabled the repo"),
    ],
)
def test_the_verdict_and_its_reason(terms: Terms, outcome: str, reason: str) -> None:
    verdict = POLICY.judge(Candidate(REPO, terms, whole=True, named=True))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("missing", "outcome"), [(Missing.ALLOW, "allowed"), (Missing.REVIEW, "held"), (Missing.REFUSE, "refused")]
)
def test_the_operator_decides_about_a_missing_licence(missing: Missing, outcome: str) -> None:
    assert LicensePolicy(missing=missing).judge(Candidate(REPO, Terms(), whole=True, named=True)).outcome == outcome


def test_an_approval_by_name_lifts_a_hold_and_is_named_in_the_reason() -> None:
    policy = LicensePolicy(review=frozenset({"gemma"}), approved=(Approval(REPO, "Ada", "legal ticket 7"),))
    verdict = policy.judge(Candidate(REPO, _terms("gemma"), whole=True, named=True))
    assert verdict.allowed
    assert verdict.reason == "approved by Ada: legal ticket 7 (licence gemma is in licenses.review)"
    assert not policy.judge(Candidate(Repo(Kind.MODEL, "acme/other"), _terms("gemma"), whole=True, named=True)).allowed


def test_an_approval_lifts_no_refusal() -> None:
    policy = LicensePolicy(approved=(Approval(REPO, "Ada", "please"),))
    assert policy.judge(Candidate(REPO, _terms("gpl-3.0"), whole=True, named=True)).outcome is Outcome.REFUSED


def test_other_on_the_review_list_stands_for_every_named_other() -> None:
    policy = LicensePolicy(review=frozenset({"other"}))
    assert (
        policy.judge(Candidate(REPO, _terms("other", name="any", link="x"), whole=True, named=True)).outcome
        is Outcome.HELD
    )


def test_a_licence_for_whole_copies_only_refuses_a_selection_of_files() -> None:
    terms = _terms("cc-by-nd-4.0")
    assert POLICY.judge(Candidate(REPO, terms, whole=True, named=True)).allowed
    verdict = POLICY.judge(Candidate(REPO, terms, whole=False, named=True))
    assert verdict.outcome is Outcome.REFUSED
    assert "whole copies only" in verdict.reason


@pytest.mark.parametrize(
    ("license_", "expected"),
    [("MIT", {"mit"}), (["MIT", "apache-2.0"], {"mit", "apache-2.0"}), (None, set()), ([], set()), ("", set())],
)
def test_a_card_states_its_licence_as_a_string_a_list_or_not_at_all(license_: object, expected: set[str]) -> None:
    assert terms_from_card({"license": license_}, ()).card == expected


def test_tags_state_a_licence_behind_a_prefix() -> None:
    terms = terms_from_card({}, ("pytorch", "license:MIT", "region:us"), gated=True)
    assert terms.tags == {"mit"}
    assert terms.gated


LINK = "https://acme.example/license/1.0"


def _linked(listed: str, name: str, link: str | None) -> str:
    policy = LicensePolicy(allow=frozenset({listed}))
    return policy.judge(Candidate(REPO, _terms("other", name=name, link=link), whole=True, named=True)).outcome


@pytest.mark.parametrize(
    ("name", "link", "outcome"),
    [
        ("acme-1", LINK, "allowed"),
        ("Acme-1", LINK.upper(), "allowed"),
        ("acme-1", "https://evil.example/", "refused"),
        ("acme-1", None, "held"),
        ("acme-2", LINK, "refused"),
        (f"acme-1@{LINK}", "x", "refused"),
    ],
)
def test_an_entry_with_a_link_wants_this_link(name: str, link: str | None, outcome: str) -> None:
    assert _linked(f"other:acme-1@{LINK}", name, link) == outcome


@pytest.mark.parametrize(("link", "outcome"), [(LINK, "allowed"), ("LICENSE", "allowed"), (None, "held")])
def test_an_entry_without_a_link_wants_any_link(link: str | None, outcome: str) -> None:
    assert _linked("other:acme-1", "acme-1", link) == outcome


def test_a_name_cannot_pretend_to_hold_the_link_of_an_entry() -> None:
    for entry in ("other:acme-1", f"other:acme-1@{LINK}"):
        assert _linked(entry, f"acme-1@{LINK}", LINK) == "refused"


def test_a_licence_refused_for_its_link_alone_says_so() -> None:
    policy = LicensePolicy(allow=frozenset({f"other:acme-1@{LINK}"}))
    verdict = policy.judge(Candidate(REPO, _terms("other", name="acme-1", link="x"), whole=True, named=True))
    assert verdict.reason == "licence other:acme-1 is not in licenses.allow with this license_link"


def test_an_entry_with_a_link_can_stand_under_review() -> None:
    policy = LicensePolicy(review=frozenset({f"other:acme-1@{LINK}"}))
    terms = [_terms("other", name="acme-1", link=link) for link in (LINK, "x")]
    assert [policy.judge(Candidate(REPO, term, whole=True, named=True)).outcome for term in terms] == [
        "held",
        "refused",
    ]


PRIVATE = Terms(frozenset({"mit"}), private=True)


def test_a_private_repo_is_held_unless_it_is_named() -> None:
    verdict = POLICY.judge(Candidate(REPO, PRIVATE, whole=True, named=False))
    assert (verdict.outcome, verdict.code) == ("held", "private")
    assert verdict.reason == "private: name it explicitly or approve it"
    assert POLICY.judge(Candidate(REPO, PRIVATE, whole=True, named=True)).allowed
    assert POLICY.judge(Candidate(REPO, _terms("mit"), whole=True, named=False)).allowed


def test_an_approval_names_a_private_repo_and_its_reason_tells_every_doubt() -> None:
    policy = LicensePolicy(review=frozenset({"gemma"}), approved=(Approval(REPO, "Ada", "ours"),))
    terms = Terms(frozenset({"gemma"}), private=True)
    verdict = policy.judge(Candidate(REPO, terms, whole=True, named=False))
    assert verdict.reason == (
        "approved by Ada: ours (private: name it explicitly or approve it; licence gemma is in licenses.review)"
    )
    assert not policy.judge(Candidate(Repo(Kind.MODEL, "acme/other"), terms, whole=True, named=False)).allowed


@pytest.mark.parametrize("named", [True, False])
def test_a_private_repo_whose_licence_is_refused_stays_refused_and_a_secret(*, named: bool) -> None:
    verdict = POLICY.judge(Candidate(REPO, Terms(frozenset({"gpl-3.0"}), private=True), whole=True, named=named))
    assert (verdict.outcome, verdict.code) == ("refused", "private")


def test_of_a_base_only_the_licence_counts_whoever_may_see_it() -> None:
    about = Candidate(REPO, _terms("mit"), whole=True, named=True)
    verdict = POLICY.judge_base(Repo(Kind.MODEL, "acme/base"), Terms(frozenset({"gpl-3.0"}), private=True), about)
    assert (verdict.outcome, verdict.code) == ("refused", "license")


def test_a_reason_stays_short_however_many_licences_an_upstream_states_and_however_long() -> None:
    many = tuple(f"{number:05}{'x' * 100_000}" for number in range(20))
    reason = POLICY.judge(Candidate(REPO, _terms(*many), whole=True, named=True)).reason
    assert len(reason) < 1_200
    assert "00000xxx" in reason
    assert "and 15 more is not in" in reason


@pytest.mark.parametrize("missing", list(Missing))
def test_a_licence_that_could_not_be_read_is_never_one_that_is_missing(missing: Missing) -> None:
    policy = LicensePolicy(allow=frozenset({"mit"}), missing=missing)
    verdict = policy.judge(Candidate(REPO, Terms(unread="README.md: line 3: no YAML"), whole=True, named=True))
    assert verdict.outcome is Outcome.HELD
    assert "could not be read: README.md: line 3: no YAML" in verdict.reason
    read = LicensePolicy(missing=missing, approved=(Approval(REPO, "Ada", "it says MIT"),))
    assert read.judge(Candidate(REPO, Terms(unread="x"), whole=True, named=True)).allowed


@pytest.mark.parametrize("license_", [False, 0, {}, {"name": "mit"}, [["mit"]], ["mit", False]])
def test_a_licence_of_an_odd_shape_is_stated_and_on_no_list(license_: object) -> None:
    policy = LicensePolicy(allow=frozenset({"mit"}), missing=Missing.ALLOW)
    terms = terms_from_card({"license": license_}, ())
    assert policy.judge(Candidate(REPO, terms, whole=True, named=True)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("gated", [True, None])
def test_a_glob_alone_publishes_no_gated_repo_whatever_our_token_may_read(gated: bool | None) -> None:
    terms = Terms(frozenset({"mit"}), gated=gated)
    verdict = POLICY.judge(Candidate(REPO, terms, whole=True, named=False))
    assert (verdict.outcome, verdict.code) == (Outcome.HELD, "gated")
    assert ": name it explicitly or approve it" in verdict.reason
    assert POLICY.judge(Candidate(REPO, terms, whole=True, named=True)).allowed
    approved = replace(POLICY, approved=(Approval(REPO, "Ada", "terms read"),))
    assert approved.judge(Candidate(REPO, terms, whole=True, named=False)).allowed


def test_a_gated_repo_that_its_licence_refuses_is_refused_for_its_licence() -> None:
    verdict = POLICY.judge(Candidate(REPO, Terms(frozenset({"gpl-3.0"}), gated=True), whole=True, named=False))
    assert (verdict.outcome, verdict.code) == (Outcome.REFUSED, "license")


def test_what_nobody_says_is_public_may_be_private() -> None:
    verdict = POLICY.judge(Candidate(REPO, Terms(frozenset({"mit"}), private=None), whole=True, named=False))
    assert (verdict.outcome, verdict.code) == (Outcome.HELD, "private")
    assert "does not say whether it is private" in verdict.reason


class _Always:
    """A rule that says the same of everything."""

    def __init__(self, name: str, outcome: Outcome) -> None:
        self._verdict = Verdict(name, outcome, f"{name} says so")

    def judge(self, _candidate: Candidate) -> Verdict:
        return self._verdict


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        (("allowed", "allowed"), None),
        (("allowed", "held", "allowed"), 1),
        (("held", "refused"), 1),
        (("refused", "held", "refused"), 0),
        (("allowed", "held", "held"), 1),
    ],
)
def test_every_rule_is_asked_and_the_first_of_the_worst_verdicts_stands(
    outcomes: tuple[str, ...], worst: int | None
) -> None:
    rules = [_Always(f"rule-{number}", Outcome(outcome)) for number, outcome in enumerate(outcomes)]
    found = judge_all(rules, Candidate(REPO, Terms(), whole=True, named=True))
    assert [verdict.rule for verdict in found.verdicts] == [f"rule-{number}" for number in range(len(outcomes))]
    assert found.objection == (None if worst is None else found.verdicts[worst])
    assert found.outcome == ("allowed" if worst is None else outcomes[worst])


def test_the_code_of_a_verdict_is_its_rules_name_where_no_other_is_said() -> None:
    assert Verdict("scan", Outcome.HELD, "x").code == "scan"
    assert Verdict("scan", Outcome.HELD, "x", "pickle").code == "pickle"
    assert POLICY.judge(Candidate(REPO, _terms("gpl-3.0"), whole=True, named=True)).rule == "licence"
