"""decisions.yaml to decisions: all faults at once, each with its place, as of jobs.yaml.

No variable is put in: what people have decided says the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from mirror_sync.config.decisions.decision_entries import DecisionsEntry
from mirror_sync.config.findings import FilePosition, Finding, Trail, spoken
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.yaml import wording
from mirror_sync.config.yaml.document import YamlDocument, read, read_from
from mirror_sync.domain.policy.decisions import Decisions
from mirror_sync.errors import ConfigError, Fault
from mirror_sync.owners import is_there, unread_cause

_LIKE = {
    "commit": "any",
    "rule": "restricted",
    "outcome": "approve",
    "by": "Jane Doe, legal",
    "why": "the terms are read",
}
_SHOWN = 600  # characters of a message


@dataclass(frozen=True, slots=True)
class DecisionsFile:
    """What stands in a file; `there` says whether there is one. `places` are those of the entries, in their order."""

    path: Path
    decisions: Decisions = Decisions()
    there: bool = False
    places: tuple[FilePosition, ...] = ()

    def finding(self, index: int, message: str) -> Fault:
        """Something odd about an entry."""
        place = self.places[index]
        return Fault(str(self.path), place.line, place.column, f"decisions[{index}]", message)


def read_decisions(path: Path) -> DecisionsFile:
    """A file that is not there holds none. ConfigError, with every fault, where one cannot be read or is not right."""
    try:
        if not is_there(path):
            return DecisionsFile(path)
    except OSError as error:
        said = f"the file cannot be read: {unread_cause(error, path)}"
        raise ConfigError((Fault(str(path), 0, 0, "", said),)) from None
    return _decided(path, read(path))


def decisions_in(path: Path, text: str) -> DecisionsFile:
    """The same of a text, as if it stood there."""
    return _decided(path, read_from(path, text))


def _decided(path: Path, document: YamlDocument) -> DecisionsFile:
    tree = document.value
    assert isinstance(tree, dict)  # noqa: S101  read() refuses all else
    if tree.get("decisions", ()) is None:  # as a file that was begun by hand
        tree = {**tree, "decisions": []}
    entry = None
    if isinstance(tree.get("decisions", []), list):
        judges: dict[int, type[Keys]] = {}
        try:
            entry = DecisionsEntry.model_validate(tree, context=judges)
        except ValidationError as error:
            document.faults.extend(_told(wording.findings(error, tree, judges)))
        document.faults.extend(wording.blanks(tree))
    else:
        document.faults.extend([Finding(("decisions",), "must be a list; write - repo: owner/name below it")])
    if entry is None or len(document.faults):
        raise ConfigError(tuple(sorted(_faults(document), key=lambda one: (one.line, one.column, one.message))))
    places = tuple(document.values["decisions", index] for index in range(len(entry.decisions)))
    decided = [one.decision(f"{path}:{at.line}") for one, at in zip(entry.decisions, places, strict=True)]
    return DecisionsFile(path, Decisions(tuple(decided)), there=True, places=places)


def _told(found: Iterator[Finding]) -> Iterator[Finding]:
    """With what would be right where a key is missing, whose example jobs.yaml does not have."""
    for one in found:
        like = _LIKE.get(str(one.trail[-1])) if one.trail else None
        missing = one.message.startswith("is missing") and like is not None
        yield replace(one, message=f"is missing; write {one.trail[-1]}: {like}") if missing else one


def _faults(document: YamlDocument) -> Iterator[Fault]:
    for one in document.faults:
        place = one.place or (document.keys.get(one.trail) if one.key else None) or _nearest(one.trail, document.values)
        message = one.message if len(one.message) <= _SHOWN else f"{one.message[:_SHOWN]}..."
        yield Fault(document.file, *place, spoken(one.trail), message)


def _nearest(trail: Trail, values: Mapping[Trail, FilePosition]) -> FilePosition:
    while trail and trail not in values:
        trail = trail[:-1]
    return values[trail]
