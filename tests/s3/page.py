"""docs/lab/s3.md, as a run found the servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.s3.round import STEPS, Step
from tests.s3.servers import Candidate

_HEAD = """\
# S3-compatible servers

What mirror-sync does on every S3-compatible server that a package registry brings. `make s3` installs each at the
version below, runs it on loopback, makes a whole round on it and tries the contract of a store; it wrote this page on
{day}. SeaweedFS, radosgw and moto are part of `make test`, too.

The round: **sync** of a repo with a file of 40 MiB, which comes in parts; **verify** reads all of it; **sync again**
finds nothing to do; a **new commit** replaces the large file; **prune** removes the old one, after which `verify` and
`sync` find all in order; **serve** gives every file, and a part of one, to a reader.

The contract: the laws that every store of ours keeps (`tests/stores`), among them what resuming asks for, which a
server without multipart uploads is not asked. What is not kept may show only on a bad day, when something is cut off or
two write at once: read the list before you trust a server with the only copy.
"""
_TAIL = """
## What to say to a target

- `multipart: off`: the server has no multipart uploads. A large file goes in one PUT of up to 5 GiB. Without this key
  the sync of a large file fails, and says so.
- `confirm: off`: no server here needs it. It saves a call for each object where calls cost and the server is trusted;
  [decision 20](../design/decisions/0020-what-was-put-is-looked-for.md) has the price.
- `addressing: path` is the default, and every server here takes it; names of buckets as hosts need DNS.

A server without DeleteObjects needs no key: after the first 501 or 405 objects are deleted one by one. A listing may
come in any order. Nothing relies on conditional puts, on metadata of objects or on lifecycle rules: servers differ in
all of them.
"""
_LINE = re.compile(r"^(\| ([^|]+?) \|.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^(- \*\*(.+?)\*\*.*(?:\n  - .*)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What became of one server; `fault` where it could not be installed, started or asked at all."""

    candidate: Candidate
    version: str = ""
    steps: tuple[Step, ...] = ()
    kept: int = 0
    broken: tuple[str, ...] = ()
    fault: str = ""

    @property
    def told(self) -> str:
        """In one line."""
        failed = [step.name for step in self.steps if step.fault]
        works = f"{', '.join(failed)} failed" if failed else "the whole round works"
        return self.fault or f"{works}; {self.kept} of {self.kept + len(self.broken)} laws"


def write_page(path: Path, rows: Sequence[Row], order: Sequence[str]) -> None:
    """Writes the page; a server that is not among the rows keeps what the page had of it."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = {name: line for line, name in _LINE.findall(old)} | {row.candidate.name: _line(row) for row in rows}
    faults = {name: block for block, name in _BLOCK.findall(old)} | {row.candidate.name: _faults(row) for row in rows}
    table = [
        f"| server | version | {' | '.join(STEPS)} | laws kept | switched off |",
        "|" + "---|" * (len(STEPS) + 4),
        *(lines[name] for name in order if name in lines),
    ]
    found = [faults[name] for name in order if faults.get(name)]
    head = _HEAD.format(day=f"{datetime.now(UTC):%Y-%m-%d}")
    path.write_text("\n".join([head, *table, "", "## What does not work", "", *found, _TAIL]), encoding="utf-8")


def _line(row: Row) -> str:
    one = row.candidate
    version = f"{row.version} ({one.registry})" if row.version else f"{one.package} ({one.registry})"
    marks = ["no" if step.fault else "yes" for step in row.steps] or ["-"] * len(STEPS)
    laws = f"{row.kept} of {row.kept + len(row.broken)}" if row.kept else "-"
    off = ", ".join(f"`{key}: {'on' if value else 'off'}`" for key, value in one.target.items())
    said = ": ".join(filter(None, [off, one.why])) or "-"
    return f"| {one.name} | {version} | {' | '.join(marks)} | {laws} | {said} |"


def _faults(row: Row) -> str:
    """What is wrong with a server; empty where nothing is."""
    if row.fault:
        return f"- **{row.candidate.name}** was not tried: {_plain(row.fault)}"
    lines = [f"  - {step.name}: {_plain(step.fault)}" for step in row.steps if step.fault]
    if row.broken:
        lines.append(f"  - laws not kept: {'; '.join(_words(name) for name in row.broken)}")
    return "\n".join([f"- **{row.candidate.name}**", *lines]) if lines else ""


def _words(name: str) -> str:
    """A test's name as a sentence."""
    return re.sub(r"\[(.+)\]$", r" (\1)", name.removeprefix("test_")).replace("_", " ")


def _plain(text: str) -> str:
    """Without what differs at every run, or would be markup."""
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", text)
    return re.sub(r"[<>|`]", "'", text)
