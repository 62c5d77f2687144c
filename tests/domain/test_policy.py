import pytest

from mirror_sync.domain.policy import Approval, LicensePolicy, Missing, Outcome, Terms, terms_from_card
from mirror_sync.domain.repo import Kind, Repo

REPO = Repo(Kind.MODEL, "acme/tiny")
POLICY = LicensePolicy(
    allow=frozenset({"mit", "apache-2.0", "cc-by-nd-4.0", "other:acme-1"}), review=frozenset({"llama3.1"})
)


def _terms(*ids: str, tags: tuple[str, ...] | None = None, name: str | None = None, link: str | None = None) -> Terms:
    return Terms(frozenset(ids), frozenset(ids if tags is None else tags), name, link)


@pytest.mark.parametrize(
    ("terms", "outcome", "reason"),
    [
        (_terms("mit"), "allowed", "licence mit is in licenses.allow"),
        (_terms("mit", "apache-2.0"), "allowed", "licence apache-2.0 and mit is in licenses.allow"),
        (_terms("mit", "gpl-3.0"), "refused", "licence gpl-3.0 is not in licenses.allow"),
        (_terms("llama3.1"), "held", "licence llama3.1 is in licenses.review"),
        (_terms("mit", tags=("apache-2.0",)), "held", "the card says licence mit, the tags say apache-2.0"),
        (_terms("mit", tags=()), "allowed", "licence mit is in licenses.allow"),
        (_terms(), "refused", "no licence is stated, and licenses.missing is refuse"),
        (_terms("other"), "held", "licence other is not named (license_name): a person must read it"),
        (_terms("other", name="Acme-1", link="LICENSE"), "allowed", "licence other:acme-1 is in licenses.allow"),
        (
            _terms("other", name="acme-1"),
            "held",
            "licence other:acme-1 comes without a license_link: a person must read it",
        ),
        (_terms("other", name="evil", link="x"), "refused", "licence other:evil is not in licenses.allow"),
        (Terms(frozenset({"mit"}), disabled=True), "refused", "the upstream has disabled the repo"),
    ],
)
def test_the_verdict_and_its_reason(terms: Terms, outcome: str, reason: str) -> None:
    verdict = POLICY.judge(REPO, terms, whole=True)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("missing", "outcome"), [(Missing.ALLOW, "allowed"), (Missing.REVIEW, "held"), (Missing.REFUSE, "refused")]
)
def test_the_operator_decides_about_a_missing_licence(missing: Missing, outcome: str) -> None:
    assert LicensePolicy(missing=missing).judge(REPO, Terms(), whole=True).outcome == outcome


def test_an_approval_by_name_lifts_a_hold_and_is_named_in_the_reason() -> None:
    policy = LicensePolicy(review=frozenset({"gemma"}), approved=(Approval(REPO, "Ada", "legal ticket 7"),))
    verdict = policy.judge(REPO, _terms("gemma"), whole=True)
    assert verdict.allowed
    assert verdict.reason == "approved by Ada: legal ticket 7 (licence gemma is in licenses.review)"
    assert not policy.judge(Repo(Kind.MODEL, "acme/other"), _terms("gemma"), whole=True).allowed


def test_an_approval_lifts_no_refusal() -> None:
    policy = LicensePolicy(approved=(Approval(REPO, "Ada", "please"),))
    assert policy.judge(REPO, _terms("gpl-3.0"), whole=True).outcome is Outcome.REFUSED


def test_other_on_the_review_list_stands_for_every_named_other() -> None:
    policy = LicensePolicy(review=frozenset({"other"}))
    assert policy.judge(REPO, _terms("other", name="any", link="x"), whole=True).outcome is Outcome.HELD


def test_a_licence_for_whole_copies_only_refuses_a_selection_of_files() -> None:
    terms = _terms("cc-by-nd-4.0")
    assert POLICY.judge(REPO, terms, whole=True).allowed
    verdict = POLICY.judge(REPO, terms, whole=False)
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
