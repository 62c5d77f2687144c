"""What a machine remembers of inspections: verdicts of commits that were held, classes of their files, clean scans.

A cache: what is forgotten is looked at again. It is kept in `looks.db`, by rows whose names no key of a bucket has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from hashlib import sha256
from uuid import uuid4

from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.classifier import VERSION
from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScanResult
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.inspection.inspected_files import InspectedFile
from mirror_sync.engine.stages import Change
from mirror_sync.errors import StoreError
from mirror_sync.ports.memory import FINDINGS, ReadCache

_TURNED = _AGAIN = "1"  # of how it is written
_MOST = 200_000  # files of a held commit that are remembered

Known = Mapping[str, tuple[str, Classified]]
"""By path: the digest, and what was found."""


@dataclass(frozen=True, slots=True)
class TurnedFile:
    """A published file in which a scanner found something later; `at` is ISO 8601 in UTC."""

    path: str
    digest: Sha256
    scanner: str
    result: ScanResult
    why: str
    at: str


class InspectionMemory:
    """Of one target. It may forget, and it may fail to remember: neither is an error.

    `rescan`: no scan that was made before is believed.
    """

    def __init__(self, read_cache: ReadCache, *, rescan: bool = False) -> None:
        self._read_cache, self._rescan = read_cache, rescan

    def turned(self, repo: Repo) -> tuple[TurnedFile, ...]:
        """What the last rescan found in what is published of a repo."""
        with suppress(ValueError, TypeError):
            found = json.loads(self._recall(_turned(repo), _TURNED) or "[]")
            return tuple(
                TurnedFile(path, Sha256(digest), who, ScanResult(result), why, at)
                for path, digest, who, result, why, at in found
            )
        return ()

    def turn(self, repo: Repo, files: Sequence[TurnedFile]) -> None:
        """Remember that in place of what was found before."""
        if files or self.turned(repo):
            rows = [list(astuple(one)) for one in files[:_MOST]]
            self._remember(_turned(repo), _TURNED, json.dumps(rows, separators=(",", ":")).encode())

    def scan_again(self, repo: Repo | None) -> None:
        """Believe nothing any more of what was remembered of scans and holds until now, of one repo or of all."""
        self._remember(_again(repo), _AGAIN, uuid4().hex.encode())

    def since(self, repo: Repo) -> str:
        """Since when what is remembered is believed, in a word; empty: from the beginning."""
        return b"".join(self._recall(_again(one), _AGAIN) or b"" for one in (None, repo)).decode(errors="replace")

    def verdicts(self, change: Change, scanners: str) -> tuple[Verdict, ...]:
        """Those by which this very commit was held, under the same policy by the same `scanners`."""
        with suppress(ValueError, TypeError):
            found = json.loads(self._recall(_held(change), _terms(change, scanners)) or "[]")
            return tuple(Verdict(rule, Outcome(outcome), why, code) for rule, outcome, why, code in found)
        return ()

    def hold(self, change: Change, scanners: str, verdicts: Iterable[Verdict]) -> None:
        """Remember why a commit is held; for no verdict, that it is not."""
        said = [[one.rule, one.outcome, one.reason, one.code] for one in verdicts]
        if said or self._recall(_held(change), _terms(change, scanners)):
            self._remember(_held(change), _terms(change, scanners), json.dumps(said).encode())

    def classes(self, change: Change) -> Known:
        """Of the files of the repo that was held last."""
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(self._recall(_classes(change), VERSION) or "{}")
            return {path: (digest, Classified(FileClass(of), what)) for path, (digest, of, what) in found.items()}
        return {}

    def keep(self, change: Change, files: Iterable[InspectedFile]) -> None:
        """Remember the classes of what no published snapshot tells of."""
        new = {
            one.file.path: (one.file.sha256, one.found.of, one.found.what)
            for one in files
            if one.found is not None and not one.published
        }
        if len(new) <= _MOST:
            self._remember(_classes(change), VERSION, json.dumps(new, separators=(",", ":")).encode())

    def scan(self, scanner: tuple[str, str], path: str, digest: Sha256) -> ScannedFile | None:
        """What a scanner, by name and version, said of these bytes under such a name."""
        if self._rescan:
            return None
        with suppress(ValueError, TypeError):
            result, why = json.loads(self._recall(_scan(scanner[0], path, digest), scanner[1]) or "null")
            return ScannedFile(path, ScanResult(result), str(why))
        return None

    def scanned(self, scanner: tuple[str, str], digest: Sha256, said: ScannedFile) -> None:
        """Remember an answer that was one: what failed is asked again.

        What a rescan finds is, too: the target has a note of it, which another machine may take back.
        """
        if said.result is ScanResult.CLEAN or said.result.found:
            body = b"null" if self._rescan and said.result.found else json.dumps([said.result, said.why]).encode()
            self._remember(_scan(scanner[0], said.path, digest), scanner[1], body)

    def _recall(self, name: str, version: str) -> bytes | None:
        with suppress(StoreError):
            return self._read_cache.recall(name, version)
        return None

    def _remember(self, name: str, version: str, body: bytes) -> None:
        with suppress(StoreError):
            self._read_cache.remember(name, version, body)


def _again(repo: Repo | None) -> str:
    return f"{FINDINGS}again:{'' if repo is None else refs_key(repo)}"


def _turned(repo: Repo) -> str:
    return f"{FINDINGS}turned:{refs_key(repo)}"


def _held(change: Change) -> str:
    return f"{FINDINGS}held:{refs_key(change.task.repo)}@{change.task.revision}"


def _classes(change: Change) -> str:
    return f"{FINDINGS}classes:{refs_key(change.task.repo)}"


def _scan(scanner: str, path: str, digest: Sha256) -> str:
    """A name counts as far as scanners go by it: its suffix."""
    return f"{FINDINGS}{scanner}:{digest}:{path.rpartition('/')[2].rpartition('.')[2][:20]}"


def _terms(change: Change, scanners: str) -> str:
    """What a verdict depends on beside the files: another one of these, and it is judged anew."""
    job = change.task.job
    formats = None if job.formats is None else (sorted(job.formats.refuse), sorted(job.formats.hold))
    said = (change.resolved.commit, VERSION, formats, job.scan, job.selection, scanners)
    return sha256(repr(said).encode()).hexdigest()
