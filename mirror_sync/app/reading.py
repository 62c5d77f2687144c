"""Who reads a target now: the logs of its fronts since they were counted last, added to what was known.

"Not counted" is never "not read". What is known is whole from a moment on: from there to now no log has a longer hole
than quiet hours make, each front's by itself, and all lines were understood. A hole, a log that ends early, one that
cannot be read or that a program wrote which told less begins that moment anew, or leaves none.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path

from mirror_sync.app.measuring import RegistryReads
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.job.targets import Tiers
from mirror_sync.domain.outcome.traffic import Hit
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.front.protocols.access_log import line_of, lines_of
from mirror_sync.ports.store import Store
from mirror_sync.state.reads_file import KeptReads, Span, keep_reads, kept_reads

_MINUTE = 60
_AHEAD = 300.0  # seconds that a clock may be ahead
_LATE = 60.0  # seconds between a line and the time of its file
_LISTS = 5  # of a pattern, while files are put away meanwhile
_BAD = 1000  # one line in so many may be torn
_FOUND, _CLIENTS_FAULT, _MISSING = 200, 400, 404
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


class CountReads:
    """Counts what logs say of a target's repos, and remembers it in the state folder, unless `reading`.

    What cannot be remembered is a doubt: it would be counted from the beginning again and again, until a log is gone.

    Two that count at once lose nothing: who writes last has read on from what it knew.
    """

    def __init__(self, state_dir: Path, now: Callable[[], datetime], *, reading: bool = False) -> None:
        self._state_dir, self._now, self._reading = state_dir, now, reading

    def __call__(self, target: str, store: Store, keep: Keep | Tiers) -> ReadTimes:
        """What is known by now, by the logs that a bound or tiers name. StoreError."""
        now, before = self._now().timestamp(), kept_reads(self._state_dir, target)
        mirrored = frozenset(mirrored_repos(store))
        tally = _Tally(mirrored, RegistryReads(store, mirrored).plain, before)
        counted: dict[str, Span] = {}
        doubts: list[str] = []
        for pattern in keep.logs:
            span = before.counted.get(pattern)
            try:
                counted[pattern] = _FrontLog(pattern, keep.quiet, now, tally).go_on(span)
            except _Doubt as doubt:
                doubts.append(str(doubt))
                counted |= {} if span is None else {pattern: span}
        if not self._reading:
            try:
                keep_reads(self._state_dir, target, KeptReads(counted, tally.read, tally.asked))
            except OSError as error:
                doubts.append(f"what was counted cannot be kept in {self._state_dir}: {error.strerror or error}")
        since = None if doubts else max(span.since for span in counted.values())
        return ReadTimes(since, "; ".join(doubts), tally.read, tally.asked)


class _Doubt(Exception):
    """Why it is not known what is read."""


class _Tally:
    """The last read of each repo that is published, and the last time it was asked for in vain."""

    def __init__(self, mirrored: frozenset[Repo], plain: Callable[[Hit], Hit], before: KeptReads) -> None:
        self._mirrored, self._plain = mirrored, plain
        self.read = {repo: at for repo, at in before.read.items() if repo in mirrored}
        self.asked = {repo: at for repo, at in before.asked.items() if repo in mirrored}

    def add(self, hit: Hit) -> None:
        """Anything of a repo that was answered is a read of it: who has the files asks whether they are new."""
        hit = self._plain(hit)
        if hit.repo not in self._mirrored:
            return
        if _FOUND <= hit.status < _CLIENTS_FAULT:
            found = self.read
        elif hit.status == _MISSING:
            found = self.asked
        else:
            return
        found[hit.repo] = max(found.get(hit.repo, 0.0), hit.at.timestamp())


@dataclass(slots=True)
class _Lines:
    """How many of a file are there, and how many were not understood."""

    all: int = 0
    bad: int = 0


class _FrontLog:
    """The files in which one front says who reads."""

    def __init__(self, pattern: str, quiet: timedelta, now: float, tally: _Tally) -> None:
        self._pattern, self._quiet, self._now, self._tally = pattern, quiet.total_seconds(), now, tally
        self._minutes: set[int] = set()
        self._unnamed = 0.0  # when something was given last of which nobody knows the repo

    def go_on(self, span: Span | None) -> Span:
        """Read what was written since, and say from when on nothing is missing. _Doubt."""
        for path in self._files(0.0 if span is None else span.at - _LATE):
            self._read(path)
        known = [] if span is None else [span.until]
        moments = sorted([*known, *(float(one * _MINUTE) for one in self._minutes)])
        if not moments:
            raise _Doubt(f"{self._pattern}: no line of a front's log that says what each door gave")
        since, late = moments[-1], self._now - moments[-1]
        if late > self._quiet + _MINUTE:
            raise _Doubt(f"{self._pattern}: it ends at {_spoken(since)}, and who has read since is not known")
        for moment in reversed(moments):
            if since - moment > self._quiet + _MINUTE:
                break
            since = moment
        if span is not None and since <= span.until:
            since = span.since
        return Span(max(since, self._unnamed), moments[-1], self._now)

    def _files(self, written_since: float) -> Iterator[Path]:
        """Each once, under whatever name it is found: one that is put away meanwhile has another."""
        seen = set[tuple[int, int]]()
        for _ in range(_LISTS):
            fresh = 0
            for path in map(Path, sorted(glob(self._pattern))):  # noqa: PTH207  of an absolute pattern
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # put away since it was listed
                except OSError as error:
                    raise _Doubt(f"{path}: {error.strerror or error}") from None
                if (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    fresh += 1
                    if stat.st_mtime >= written_since:
                        yield path
            if not fresh:
                break
        if not seen:
            raise _Doubt(f"{self._pattern}: there is no such log")

    def _read(self, path: Path) -> None:
        lines = _Lines()
        try:
            self._add(lines_of([str(path)]), lines)
        except _UNREADABLE as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise _Doubt(f"{path}: {why}") from None
        if lines.bad > 1 + lines.all // _BAD:
            raise _Doubt(
                f"{path}: {lines.bad:,} of {lines.all:,} lines are not of a front's JSON log, and may be reads"
            )

    def _add(self, texts: Iterable[str], lines: _Lines) -> None:
        for text in texts:
            lines.all += 1
            try:
                line = line_of(text)
            except ValueError:
                lines.bad += 1
                continue
            at = line.at.timestamp()
            if at > self._now + _AHEAD:
                lines.bad += 1
                continue
            if line.unnamed:
                self._unnamed = max(self._unnamed, at)
            if line.whole:
                self._minutes.add(int(at // _MINUTE))
            if line.hit is not None:
                self._tally.add(line.hit)


def _spoken(at: float) -> str:
    return iso_utc(datetime.fromtimestamp(at, UTC))
