"""What a job has made of each model that it publishes, by a program of the operator's, and under which name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mirror_sync.domain.own.pushed import Card, MadeFrom, Pushed
from mirror_sync.domain.policy.scan_policy import ScanLimits
from mirror_sync.domain.policy.terms import OTHER, terms_from_card
from mirror_sync.domain.repo import Kind, Repo

INPUT, OUTPUT = "{input}", "{output}"  # what stands for the two folders in a command
_INTO = re.compile(r"(?P<owner>[A-Za-z0-9_.\-]+)/[A-Za-z0-9_.\-]*(?:\{name\})[A-Za-z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Transform:
    """`command` makes files in OUTPUT of those in INPUT; `into` names what is pushed, with `{name}` for the model's.

    `version` are the words that say the program's version. `upstream` gets it; empty: the only one that can. `limits`
    are of one model.
    """

    command: tuple[str, ...]
    into: str
    upstream: str = ""
    version: tuple[str, ...] = ()
    limits: ScanLimits = ScanLimits(timedelta(hours=1), 0)

    def output_of(self, repo: Repo, *, own: bool) -> Repo:
        """The name of what is made of a repo. ValueError for an upstream's own; `own`: it was pushed here."""
        made = Repo(repo.kind, self.into.replace("{name}", repo.id.rpartition("/")[2]))
        if made.id.lower() == repo.id.lower():
            raise ValueError(f"transform.into makes {made} of {repo}: what is made of it needs another name")
        if not own and made.owner.lower() == repo.owner.lower():
            raise ValueError(
                f"transform.into makes {made}, which would stand among {repo.owner}'s own; take another owner"
            )
        return made


def into_of(text: str) -> str:
    """ValueError with what would be right."""
    right = "write an owner of yours and {name}, like acme/{name}-int8"
    found = _INTO.fullmatch(text)
    try:
        sound = found is not None and bool(Repo(Kind.MODEL, text.replace("{name}", "n")))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{text[:120]!r} makes no names; {right}")
    return text


def said_of(made_from: MadeFrom, kind: Kind, described: Mapping[str, Any], by: str) -> Pushed:
    """What is said of something made: it has the licence of what it was made of, whatever the tool wrote down."""
    told = described.get("cardData")
    before = told if isinstance(told, dict) else {}
    named = {name: str(before[name]) for name in ("license_name", "license_link") if before.get(name)}
    card: dict[str, str | tuple[str, ...]] = {name: said[:200] for name, said in named.items() if said.isprintable()}
    stated = tuple("other" if one.startswith(OTHER) else one for one in made_from.licenses)
    card["license"] = stated[0] if len(stated) == 1 else stated
    if kind is Kind.MODEL:
        card["base_model"] = made_from.repo
    message = f"Made from {made_from.repo} at {made_from.commit[:12]} by {made_from.tool}"
    return Pushed(by, message, {}, _ordered(card), made_from)


def licenses_of(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that an info document states."""
    card, tags = described.get("cardData"), described.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return tuple(sorted(terms_from_card(card if isinstance(card, dict) else {}, words).licenses))


def _ordered(card: Mapping[str, str | tuple[str, ...]]) -> Card:
    return {name: card[name] for name in sorted(card)}
