"""What `traffic` found last, kept in the state folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mirror_sync.domain.traffic import TrafficReport

NAME = "traffic.json"


def keep_traffic(folder: Path, target: str, report: TrafficReport) -> None:
    """Replace what was kept, of whatever target. OSError when the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{NAME}.new"
    fresh.write_text(json.dumps({"target": target, **report.encode()}), encoding="utf-8")
    fresh.replace(folder / NAME)


def kept_traffic(folder: Path) -> dict[str, Any] | None:
    """What `TrafficReport.encode` gave, and the `target`; None where nothing was kept, or nothing that can be read."""
    try:
        kept = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None
