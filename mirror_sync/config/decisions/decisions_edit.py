"""Adds an entry to decisions.yaml in place: what a person has written there stays, byte for byte.

The entry goes behind the last one, in the way in which the list is written. What comes out is read again before it is
kept: it must hold what was there, and the entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import takewhile
from pathlib import Path

import yaml

from mirror_sync.config.decisions.decision_entries import ANY
from mirror_sync.config.decisions.decisions_file import decisions_in
from mirror_sync.config.edited_files import alone_at, replace_file
from mirror_sync.config.yaml.text_file import MISSING, read_text
from mirror_sync.domain.policy.decisions import Decision
from mirror_sync.errors import ConfigError, Fault, UsageError

_HEADER = "# What people have decided about what mirror-sync holds: docs/guide/trust.md. Keep it in git.\nversion: 1\n"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*[A-Za-z0-9_]")
_FOUR_DIGITS = 1000  # of years before, strftime writes fewer
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where an entry goes: at `at` of the text, in place of all up to `end`; `indent` of its dash, None in brackets."""

    at: int
    end: int
    indent: int | None
    before: str = ""
    after: str = ""


def with_entry(path: Path, text: str, decision: Decision) -> str:
    """The text of a decisions.yaml with one entry more. ConfigError for one that has faults; UsageError, with what to
    write by hand, for one that is written in a way in which nothing can be added.
    """
    known = decisions_in(path, text).decisions.every
    spot = _spot(text)
    ends = "\r\n" if "\r\n" in text else "\n"
    entry = _flow(decision) if spot.indent is None else _block(decision, spot.indent).replace("\n", ends)
    made = text[: spot.at] + spot.before.replace("\n", ends) + entry + spot.after + text[spot.end :]
    with suppress(ConfigError):
        if decisions_in(path, made).decisions.every == (*known, decision):
            return made
    by_hand = _flow(decision)
    raise UsageError(f"{path} is written in a way in which nothing can be added to it: add to its list: {by_hand}")


def add_entry(path: Path, decision: Decision) -> None:
    """Write the file anew with one entry more, or make it; owner and mode stay. ConfigError, UsageError, OSError."""
    path = path.resolve()
    with alone_at(path):
        try:
            text = _raw(path)
        except FileNotFoundError:
            text = None
        made = with_entry(path, _HEADER if text is None else text, decision)
        replace_file(path, made.encode())


def _raw(path: Path) -> str:
    """With the byte order mark that a reader leaves out. FileNotFoundError, ConfigError."""
    try:
        text = read_text(path).text
    except ValueError as error:
        if str(error) == MISSING:
            raise FileNotFoundError(path) from None
        raise ConfigError((Fault(str(path), 0, 0, "", str(error)),)) from None
    with path.open("rb") as file:
        return f"{_BOM}{text}" if file.read(3) == _BOM.encode() else text


def _spot(text: str) -> _Spot:
    """After the last entry of the list; where there is no list, behind its key, or at the end with the key."""
    found = _found(text)
    if found is None:
        return _Spot(len(text), len(text), 0, before=("" if text.endswith("\n") or not text else "\n") + "decisions:\n")
    key, value, last, close = found
    if isinstance(value.event, yaml.ScalarEvent):  # nothing, or null: it makes room
        if value.end > value.start:
            return _Spot(value.start, value.end, 0, before="\n")
        return _after_line(text, key.end, 0)
    if last is None:  # []
        return _Spot(value.start, close.end, 0, before="\n")
    if close.end == close.start:  # no bracket ends it
        return _after_line(text, _content_end(text, last), value.column)
    tail = re.sub(r"#[^\n]*", "", text[last.end : close.start])
    return _Spot(close.start, close.start, None, before="" if "," in tail else ", ")


def _after_line(text: str, at: int, indent: int) -> _Spot:
    """At the beginning of the next line; the last one may lack its end."""
    line = text.find("\n", at)
    if line < 0:
        return _Spot(len(text), len(text), indent, before="\n")
    return _Spot(line + 1, line + 1, indent)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a parser tells of a piece of the text, from `start` up to `end`; the keys of the file have depth 1.

    Only a bracket has a length where a list or mapping ends.
    """

    event: yaml.Event
    start: int
    end: int
    column: int
    depth: int

    @property
    def ends(self) -> bool:
        return isinstance(self.event, yaml.CollectionEndEvent)


def _pieces(text: str) -> Iterator[_Piece]:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth -= isinstance(event, yaml.CollectionEndEvent)
        start, end = event.start_mark, event.end_mark
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent) and start is not None and end is not None:
            yield _Piece(event, start.index, end.index, start.column, depth)
        depth += isinstance(event, yaml.CollectionStartEvent)


def _found(text: str) -> tuple[_Piece, _Piece, _Piece | None, _Piece] | None:
    """The key `decisions`, its value, the last thing in that, and what ends it; None without the key."""
    pieces = list(_pieces(text))
    top = [at for at, one in enumerate(pieces) if one.depth == 1 and not one.ends]
    for key, value in zip(top[::2], top[1::2], strict=True):
        event = pieces[key].event
        if isinstance(event, yaml.ScalarEvent) and event.value == "decisions":
            inside = list(takewhile(lambda one: one.depth > 1, pieces[value + 1 :]))
            seen = [one for one in inside if one.end > one.start]
            return pieces[key], pieces[value], seen[-1] if seen else None, pieces[value + 1 + len(inside)]
    return None


def _content_end(text: str, last: _Piece) -> int:
    """Where the last thing of the list ends: a block of text ends at the next line, which is none of it."""
    end = last.end
    while end > last.start and text[end - 1].isspace():
        end -= 1
    return end


def _fields(decision: Decision) -> Iterator[tuple[str, str]]:
    yield "repo", _said(str(decision.pattern))
    yield "commit", ANY if decision.commit is None else f'"{decision.commit}"'
    yield "rule", decision.rule
    yield "outcome", decision.outcome
    yield "by", _quoted(decision.by)
    yield "why", _quoted(decision.why)
    if decision.ticket:
        yield "ticket", _quoted(decision.ticket)
    if decision.until is not None:
        yield "until", _until(decision.until)


def _until(end: datetime) -> str:
    """The last day, where it ends with one."""
    if end.time() != time(0) or end.year <= _FOUR_DIGITS:
        return f'"{end.isoformat()}"'
    return f"{end - timedelta(days=1):%Y-%m-%d}"


def _said(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and ": " not in text else _quoted(text)


def _quoted(text: str) -> str:
    """Every text of one line of what can be seen is the same to JSON and to YAML."""
    return json.dumps(text, ensure_ascii=False)


def _block(decision: Decision, indent: int) -> str:
    margin = " " * indent
    lines = [f"{key}: {value}" for key, value in _fields(decision)]
    return "".join(f"{margin}{'  ' if at else '- '}{line}\n" for at, line in enumerate(lines))


def _flow(decision: Decision) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in _fields(decision)) + "}"
