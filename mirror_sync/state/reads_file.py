"""Who was last seen to read which repo of a target, and what its bound came to: two files of the state folder.

    reads-TARGET.json  {"counted": {"<pattern of logs>": {"since", "until", "at"}}, "read": {"<repo>": "<time>"},
                       "asked": {"<repo>": "<time>"}}
    keep-TARGET.json   the KeepReport of the last prune

Both may be lost: counting begins anew then, and nothing is let go of until it has gone on for long enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.outcome.keep_report import KeepReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.owners import write_anew


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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def keep_last(folder: Path, report: KeepReport) -> None:
    """Replace what was kept. OSError when the folder cannot be written."""
    write_anew(_path(folder, "keep", report.target), json.dumps(asdict(report)), synced=False)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _spoken(at: float) -> str:
    return iso_utc(datetime.fromtimestamp(at, UTC))


def _path(folder: Path, what: str, target: str) -> Path:
    return folder / f"{what}-{target}.json"
