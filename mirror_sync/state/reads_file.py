"""Who was last seen to read which repo of a target, and what its bound and tiers came to: files of the state folder.

    reads-TARGET.json  {"counted": {"<pattern of logs>": {"since", "until", "at"}}, "read": {"<repo>": "<time>"},
                       "asked": {"<repo>": "<time>"}}
    keep-TARGET.json   the KeepReport of the last prune
    tiers-TARGET.json  {"archived": {"<repo>": "<time>"}, "thawed": {"<repo>": "<time>"}, "begun": true}: by hand
    tiered-TARGET.json the TierReport of the last pass

All may be lost: counting begins anew then, and nothing is let go of until it has gone on for long enough; where a blob
lies is asked of the places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.job.cooling import ByHand
from mirror_sync.domain.outcome.keep_report import KeepReport
from mirror_sync.domain.outcome.tier_report import Move, TierReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.owners import write_anew

_ODD = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Span:
    """In seconds since 1970: from when to when lines of a log follow each other, and when that was read last."""

    since: float
    until: float
    at: float


@dataclass(frozen=True, slots=True)
class KeptReads:
    """By the pattern of a front's logs how far they were counted; by repo the last read, and the last asked in vain."""

    counted: Mapping[str, Span] = field(default_factory=dict)
    read: Mapping[Repo, float] = field(default_factory=dict)
    asked: Mapping[Repo, float] = field(default_factory=dict)


def kept_reads(folder: Path, target: str) -> KeptReads:
    """Empty where nothing was kept, or what cannot be read: counting begins anew."""
    try:
        kept = json.loads(_path(folder, "reads", target).read_text(encoding="utf-8"))
        spans = {
            str(pattern): Span(*(_seconds(span[name]) for name in ("since", "until", "at")))
            for pattern, span in kept["counted"].items()
        }
        read, asked = (
            {Repo.parse(repo): _seconds(at) for repo, at in kept[name].items()} for name in ("read", "asked")
        )
        return KeptReads(spans, read, asked)
    except _ODD:
        return KeptReads()


def keep_reads(folder: Path, target: str, reads: KeptReads) -> None:
    """Replace what was kept. OSError when the folder cannot be written."""
    document = {
        "counted": {
            pattern: {name: _spoken(at) for name, at in asdict(span).items()} for pattern, span in reads.counted.items()
        },
        "read": {str(repo): _spoken(at) for repo, at in sorted(reads.read.items())},
        "asked": {str(repo): _spoken(at) for repo, at in sorted(reads.asked.items())},
    }
    write_anew(_path(folder, "reads", target), json.dumps(document), synced=False)


def last_keep(folder: Path, target: str) -> dict[str, Any] | None:
    """The document of the last prune's KeepReport; None where there is none, or none that can be read."""
    try:
        kept = json.loads(_path(folder, "keep", target).read_text(encoding="utf-8"))
        figures = {name: int(kept[name]) for name in ("limit", "bytes", "left")}
        since = kept["since"] if kept["since"] is None else iso_utc(datetime.fromisoformat(kept["since"]))
        repos = [{"repo": str(one["repo"]), "bytes": int(one["bytes"])} for one in kept["repos"]]
        stays = {str(why): int(count) for why, count in kept["stays"].items()}
        return {**figures, "since": since, "problem": str(kept["problem"]), "repos": repos, "stays": stays}
    except _ODD:
        return None


def keep_last(folder: Path, report: KeepReport) -> None:
    """Replace what was kept. OSError when the folder cannot be written."""
    write_anew(_path(folder, "keep", report.target), json.dumps(asdict(report)), synced=False)


@dataclass(frozen=True, slots=True)
class TierNotes:
    """`begun`: something was brought to the cold tier, or was about to be."""

    by_hand: ByHand = ByHand()
    begun: bool = False


def tier_notes(folder: Path, target: str) -> TierNotes:
    """Empty where nothing was noted, or what nobody wrote. OSError where it cannot be read: it is not to be lost."""
    try:
        text = _path(folder, "tiers", target).read_text(encoding="utf-8")
    except FileNotFoundError:
        return TierNotes()
    try:
        kept = json.loads(text)
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
    from mirror_sync.state.locks import acquired  # who only looks locks nothing

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
        figures["later"] = int(kept.get("later", 0))  # of a pass before there was a bound
        return {"target": target, **figures, "repos": repos, "unsure": str(kept["unsure"]), "faults": faults}
    except _ODD:
        return None


def keep_last_tiers(folder: Path, report: TierReport) -> None:
    """Replace what was kept. OSError when the folder cannot be written."""
    write_anew(_path(folder, "tiered", report.target), json.dumps(asdict(report)), synced=False)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _spoken(at: float) -> str:
    return iso_utc(datetime.fromtimestamp(at, UTC))


def _path(folder: Path, what: str, target: str) -> Path:
    return folder / f"{what}-{target}.json"
