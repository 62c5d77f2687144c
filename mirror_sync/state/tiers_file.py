"""What was archived or thawed by hand, and what the last pass over the tiers of a target came to: two files of the
state folder.

    tiers-TARGET.json   {"archived": {"<repo>": "<time>"}, "thawed": {"<repo>": "<time>"}, "begun": true}
    tiered-TARGET.json  the TierReport of the last pass

Both may be lost: where a blob lies says the place itself, and who reads decides anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.job.cooling import ByHand
from mirror_sync.domain.outcome.tier_report import Move, TierReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.owners import write_anew
from mirror_sync.state.locks import acquired

_ODD = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class TierNotes:
    """`begun`: something was brought to the cold tier, or was about to be."""

    by_hand: ByHand = ByHand()
    begun: bool = False


def tier_notes(folder: Path, target: str) -> TierNotes:
    """Empty where nothing was noted, or what cannot be read."""
    try:
        kept = json.loads(_path(folder, "tiers", target).read_text(encoding="utf-8"))
        archived, thawed = (
            {Repo.parse(repo): datetime.fromisoformat(at).timestamp() for repo, at in kept[name].items()}
            for name in ("archived", "thawed")
        )
        return TierNotes(ByHand(archived, thawed), bool(kept["begun"]))
    except _ODD:
        return TierNotes()


def note_begun(folder: Path, target: str) -> None:
    """Remember that blobs are moved. OSError."""
    if not tier_notes(folder, target).begun:
        _change(folder, target, lambda notes: replace(notes, begun=True))


def note_by_hand(folder: Path, target: str, repo: Repo, move: Move, at: float) -> None:
    """Remember that somebody had a repo archived or thawed; what was said of it before goes. OSError."""

    def changed(notes: TierNotes) -> TierNotes:
        archived = {one: when for one, when in notes.by_hand.archived.items() if one != repo}
        thawed = {one: when for one, when in notes.by_hand.thawed.items() if one != repo}
        (archived if move is Move.ARCHIVED else thawed)[repo] = at
        return replace(notes, by_hand=ByHand(archived, thawed))

    _change(folder, target, changed)


def _change(folder: Path, target: str, change: Callable[[TierNotes], TierNotes]) -> None:
    """Beside other processes, and threads."""
    with acquired(folder / "locks" / f"tiers-{target}.lock", lambda: None):
        notes = change(tier_notes(folder, target))
        told = {"archived": notes.by_hand.archived, "thawed": notes.by_hand.thawed}
        document: dict[str, Any] = {
            name: {str(repo): iso_utc(datetime.fromtimestamp(at, UTC)) for repo, at in sorted(repos.items())}
            for name, repos in told.items()
        }
        write_anew(_path(folder, "tiers", target), json.dumps({**document, "begun": notes.begun}), synced=False)


def last_tiers(folder: Path, target: str) -> dict[str, Any] | None:
    """The document of the last pass; None where there is none, or none that can be read."""
    try:
        kept = json.loads(_path(folder, "tiered", target).read_text(encoding="utf-8"))
        figures = {name: int(kept[name]) for name in ("warm", "cold")}
        repos = [
            {
                **{name: str(one[name]) for name in ("repo", "move", "why")},
                **{name: int(one[name]) for name in ("blobs", "bytes", "waiting")},
            }
            for one in kept["repos"]
        ]
        faults = [str(one) for one in kept["faults"]]
        return {"target": target, **figures, "repos": repos, "unsure": str(kept["unsure"]), "faults": faults}
    except _ODD:
        return None


def keep_last_tiers(folder: Path, report: TierReport) -> None:
    """Replace what was kept. OSError when the folder cannot be written."""
    write_anew(_path(folder, "tiered", report.target), json.dumps(asdict(report)), synced=False)


def _path(folder: Path, what: str, target: str) -> Path:
    return folder / f"{what}-{target}.json"
