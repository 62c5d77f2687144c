"""What may be mirrored, and why not: licences, as hub metadata states them, against the operator's lists.

Licence ids are the Hub's (https://huggingface.co/docs/hub/repositories-licenses), which are not SPDX ids. A licence
`other` is known by its name: it is written `other:<license_name>` in the lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mirror_sync.domain.repo import Repo

NAMED_ONLY = frozenset({"other", "unknown"})  # families of licences, not licences: never allowed by these words alone


class Missing(StrEnum):
    """What to do with a repo that states no licence."""

    REFUSE = "refuse"
    REVIEW = "review"
    ALLOW = "allow"


class Outcome(StrEnum):
    ALLOWED = "allowed"
    HELD = "held"  # waits for a person
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy's answer, with a reason that a person can act on."""

    outcome: Outcome
    reason: str

    @property
    def allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upstream states about a repo's use: facts, not a judgement.

    `card` holds the licence ids of the card's metadata, `tags` those of the computed tags, both lower case.
    """

    card: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    name: str | None = None  # license_name, for a licence `other`
    link: str | None = None  # license_link
    gated: bool = False
    private: bool = False
    disabled: bool = False

    @property
    def licenses(self) -> frozenset[str]:
        """The stated ids; `other` becomes `other:<license_name>` where there is a name."""
        stated = self.card | self.tags
        if self.name and "other" in stated:
            return stated - {"other"} | {f"other:{self.name.lower()}"}
        return stated


@dataclass(frozen=True, slots=True)
class Approval:
    """A named person's decision that a repo under review may be mirrored."""

    repo: Repo
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class LicensePolicy:
    """The operator's lists of licence ids; what stands on neither list is refused."""

    allow: frozenset[str] = frozenset()
    review: frozenset[str] = frozenset()
    missing: Missing = Missing.REFUSE
    approved: tuple[Approval, ...] = ()

    def judge(self, repo: Repo, terms: Terms, *, whole: bool) -> Verdict:
        """Decide for a repo; `whole` says that every file of it would be mirrored."""
        verdict = self._judge_licenses(terms, whole=whole)
        if verdict.outcome is Outcome.HELD:
            for approval in self.approved:
                if approval.repo == repo:
                    return Verdict(Outcome.ALLOWED, f"approved by {approval.by}: {approval.why} ({verdict.reason})")
        return verdict

    def _judge_licenses(self, terms: Terms, *, whole: bool) -> Verdict:
        if terms.disabled:
            return Verdict(Outcome.REFUSED, "the upstream has disabled the repo")
        licenses = terms.licenses
        if not licenses:
            return self._judge_missing()
        refused = sorted(found for found in licenses - self.allow - NAMED_ONLY if not self._reviews(found))
        if refused:
            return Verdict(Outcome.REFUSED, f"licence {_spoken(refused)} is not in licenses.allow")
        unmodified = sorted(found for found in licenses if "-nd" in found)
        if unmodified and not whole:
            spoken = _spoken(unmodified)
            return Verdict(Outcome.REFUSED, f"licence {spoken} allows whole copies only, and the job selects files")
        doubt = self._doubt(terms)
        if doubt:
            return Verdict(Outcome.HELD, doubt)
        return Verdict(Outcome.ALLOWED, f"licence {_spoken(sorted(licenses))} is in licenses.allow")

    def _judge_missing(self) -> Verdict:
        match self.missing:
            case Missing.ALLOW:
                return Verdict(Outcome.ALLOWED, "no licence is stated, and licenses.missing is allow")
            case Missing.REVIEW:
                return Verdict(Outcome.HELD, "no licence is stated: approve the repo by name in licenses.approved")
            case Missing.REFUSE:
                return Verdict(Outcome.REFUSED, "no licence is stated, and licenses.missing is refuse")

    def _doubt(self, terms: Terms) -> str:
        """Why a person must look, empty when there is no doubt."""
        if terms.card and terms.tags and terms.card != terms.tags:
            return f"the card says licence {_spoken(sorted(terms.card))}, the tags say {_spoken(sorted(terms.tags))}"
        licenses = terms.licenses
        vague = sorted(licenses & NAMED_ONLY)
        if vague:
            return f"licence {_spoken(vague)} is not named (license_name): a person must read it"
        if any(license_id.startswith("other:") for license_id in licenses) and not terms.link:
            return f"licence {_spoken(sorted(licenses))} comes without a license_link: a person must read it"
        review = sorted(licenses - self.allow)
        return f"licence {_spoken(review)} is in licenses.review" if review else ""

    def _reviews(self, license_id: str) -> bool:
        return license_id in self.review or (license_id.startswith("other:") and "other" in self.review)


def _spoken(ids: Iterable[str]) -> str:
    return " and ".join(ids)


def terms_from_card(card: Mapping[str, object], tags: Iterable[str], **flags: bool) -> Terms:
    """Read the licence facts out of a card's metadata and a repo's tags, whatever shape they come in."""
    stated = card.get("license")
    ids = stated if isinstance(stated, list) else [stated]
    name, link = card.get("license_name"), card.get("license_link")
    return Terms(
        card=frozenset(str(item).strip().lower() for item in ids if item),
        tags=frozenset(tag.removeprefix("license:").lower() for tag in tags if tag.startswith("license:")),
        name=str(name).strip() if name else None,
        link=str(link).strip() if link else None,
        **flags,
    )
