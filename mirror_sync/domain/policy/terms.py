"""What an upstream states about the use of a repo, read out of its metadata: facts, which rules judge.

A licence `other` is known by its name (`license_name`) and its link (`license_link`): see licences.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OTHER = "other:"  # begins the id of a licence `other` that has a name


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upstream states about a repo's use: facts, not a judgement.

    `card` holds the licence ids of the card's metadata, `tags` those of the computed tags, both lower case.
    `unread`: why they could not be read, empty where they could. `gated` and `private` are None where the upstream does
    not say.
    """

    card: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    name: str | None = None  # license_name, for a licence `other`
    link: str | None = None  # license_link
    gated: bool | None = False
    private: bool | None = False
    disabled: bool = False
    unread: str = ""

    @property
    def licenses(self) -> frozenset[str]:
        """The stated ids; `other` becomes `other:<license_name>` where there is a name."""
        stated = self.card | self.tags
        if self.name and "other" in stated:
            return stated - {"other"} | {f"{OTHER}{self.name.lower()}"}
        return stated


def terms_from_card(
    card: Mapping[str, object],
    tags: Iterable[str],
    *,
    gated: bool | None = False,
    private: bool | None = False,
    disabled: bool = False,
    unread: str = "",
) -> Terms:
    """Read the licence facts out of a card's metadata and a repo's tags, whatever shape they come in.

    Only a licence that is left out or empty is not stated: `license: no` is one that stands on no list.
    """
    stated = card.get("license")
    ids = (_stated(item) for item in (stated if isinstance(stated, list) else [stated]))
    name, link = card.get("license_name"), card.get("license_link")
    return Terms(
        card=frozenset(filter(None, ids)),
        tags=frozenset(tag.removeprefix("license:").lower() for tag in tags if tag.startswith("license:")),
        name=str(name).strip() if name else None,
        link=str(link).strip() if link else None,
        gated=gated,
        private=private,
        disabled=disabled,
        unread=unread,
    )


def _stated(item: object) -> str:
    return "" if item is None else str(item).strip().lower()
