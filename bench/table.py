"""Sections of results, and the two files that a run writes: ``results.json`` and, from it alone, ``RESULTS.md``.

Another bench plugs in by returning a `Section`: its rows are mappings from column to cell, in the order to be shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Verdict

_REASONS = "../docs/lab/performance.md#which-targets-are-missed-and-why"
Row = Mapping[str, str]
"""Cells by column; all rows of a section have the same columns."""


@dataclass(frozen=True)
class Section:
    """The results of one workload."""

    name: str
    """What `WORKLOADS=` calls it."""
    title: str
    rows: Sequence[Row]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    """Sentences above the table: what was done, and what the reader should know."""
    rounds: int = 1
    raw: Sequence[Mapping[str, Any]] = ()
    """Every single measurement."""
    when: str = ""
    """Start, UTC; set by the run."""
    commit: str = ""
    """What was measured; set by the run."""
    took: float = 0.0
    """Seconds with all set-up; set by the run."""


@dataclass
class Results:
    """All that ``results.json`` holds."""

    machine: dict[str, str]
    versions: dict[str, str]
    sections: dict[str, Section] = field(default_factory=dict)

    def add(self, section: Section) -> None:
        """Put a section in, in place of an older one of its name."""
        self.sections[section.name] = section

    def as_json(self) -> str:
        """Return the document's text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Read a document back. Raises ValueError, KeyError or TypeError when it is not one."""
        raw = json.loads(text)
        sections = {
            name: Section(**{**one, "verdicts": [Verdict(**verdict) for verdict in one["verdicts"]]})
            for name, one in raw["sections"].items()
        }
        return cls(raw["machine"], raw["versions"], sections)


def load(path: Path, machine: dict[str, str], versions: dict[str, str]) -> Results:
    """Return what an earlier run left when it ran on this machine with these versions, else nothing at all."""
    fresh = Results(machine, versions)
    try:
        known = Results.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return fresh
    same = (known.machine, known.versions) == (machine, versions)
    return known if same else fresh


def save(results: Results, folder: Path) -> None:
    """Write both files, each whole or not at all."""
    _replace(folder / "results.json", results.as_json())
    _replace(folder / "RESULTS.md", markdown(Results.from_json(results.as_json())))


def markdown(results: Results) -> str:
    """Return ``RESULTS.md``."""
    parts = ["# Side by side", "`make bench` wrote this file from `results.json`. Do not edit it.", _summary(results)]
    parts += ["## Where", _facts(results.machine), _facts(results.versions)]
    for section in results.sections.values():
        parts += _section(section)
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table; empty without rows. The first column is text, the others are figures."""
    if not rows:
        return ""
    columns = list(rows[0])
    marks = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(_line(cells) for cells in (columns, marks, *([row[name] for name in columns] for row in rows)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _facts(facts: Mapping[str, str]) -> str:
    return table([{"": name, "here": value} for name, value in facts.items()])


def _summary(results: Results) -> str:
    judged = [(section, verdict) for section in results.sections.values() for verdict in section.verdicts]
    missed = [(section, verdict) for section, verdict in judged if not verdict.met]
    minutes = sum(section.took for section in results.sections.values()) / 60
    lines = [f"Figures are medians of N rounds; peak memory is the highest of all. All took {minutes:.0f} minutes.", ""]
    lines += [f"Targets met: {len(judged) - len(missed)} of {len(judged)}."]
    if missed:
        lines += [f"Where the time goes, and what was tried, is in [performance.md]({_REASONS}). Missed:", ""]
    lines += [f"- {section.name}: {one.what} {one.measured}, wanted {one.wanted}" for section, one in missed]
    return "\n".join(lines)


def _section(section: Section) -> list[str]:
    facts = f"N = {section.rounds}; run on {section.when} at {section.commit}; took {section.took:.0f} s with set-up."
    verdicts = [
        {"target": one.what, "wanted": one.wanted, "measured": one.measured, "": "met" if one.met else "**missed**"}
        for one in section.verdicts
    ]
    return [f"## {section.title}", *section.notes, facts, table(section.rows), table(verdicts)]


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
