"""What a status.json says, as far as it can be believed: other machines wrote it, or somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mirror_sync.catalogue.documents import FORMAT
from mirror_sync.catalogue.local_knowledge import KnownJob
from mirror_sync.domain import bounds
from mirror_sync.domain.catalogue.rows import REASON, ShownJob
from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.times import iso_utc

_T = TypeVar("_T")
_LONGEST = 1000  # characters of a name
_WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """`assets` no page names any more, each with the time when that was first seen. `repos` are the lines of all jobs,
    one after the other, as they were written: hardly anybody asks for them, and there may be very many.
    """

    jobs: tuple[KnownJob, ...] = ()
    assets: Mapping[str, str] = field(default_factory=dict)
    repos: str = field(default="[]", repr=False)

    @property
    def lines(self) -> tuple[RepoStatus, ...]:
        """All of them."""
        return self.lines_of(lambda job: True)

    def lines_of(self, wanted: Callable[[str], bool]) -> tuple[RepoStatus, ...]:
        """Those of the jobs that are wanted, by their names; what is wrong is left out."""
        return tuple(_each(_line, (entry for entry in _entries(self.repos) if wanted(str(entry.get("job"))))))


def read_status(body: bytes) -> PeerStatus:
    """An entry that is wrong is left out; nothing is left of a document that cannot be read: it is written anew."""
    try:
        head, repos = _apart(body.decode())
        document = json.loads(head)
        if document["format"] != FORMAT:
            return PeerStatus()
        if repos is None:  # of another writer than ours
            repos = json.dumps(document["repos"])
        return PeerStatus(
            tuple(_each(_job, document["jobs"])),
            dict(_each(lambda item: (_text(item[0]), _at(item[1])), list(document.get("unused", {}).items()))),
            repos,
        )
    except _WRONG:
        return PeerStatus()


_REPOS = '"repos":['
_DECODER = json.JSONDecoder()


def _apart(text: str) -> tuple[str, str | None]:
    """A document as we write it without its lines, and these, which come last; None where it is not sure to be one."""
    at = text.find(_REPOS, text.find('"unused":'))
    if at < 0 or not text.endswith("]}\n"):
        return text, None
    head = f"{text[:at]}{_REPOS}]}}"
    return (head, text[at + len(_REPOS) - 1 : -2]) if _is_whole(head) else (text, None)


def _is_whole(head: str) -> bool:
    """Whether what stands before the lines is a document by itself: then the lines were cut off where they begin."""
    try:
        return list(json.loads(head))[-2:] == ["unused", "repos"]
    except ValueError:
        return False


def _entries(repos: str) -> Iterator[dict[str, Any]]:
    """The entries of a list, one held at a time. What comes after a fault of the JSON is none."""
    at = 1
    while repos[at : at + 1] not in ("]", ""):
        try:
            entry, at = _DECODER.raw_decode(repos, at)
        except _WRONG:
            return
        if isinstance(entry, dict):
            yield entry
        while repos[at : at + 1] in (",", " "):
            at += 1


def _each(read: Callable[[Any], _T], entries: Iterable[Any]) -> Iterator[_T]:
    for entry in entries:
        with suppress(*_WRONG):
            yield read(entry)


def _job(said: Mapping[str, Any]) -> KnownJob:
    shown = ShownJob(
        name=_text(said["name"]),
        schedule=_text(said["schedule"]),
        repos=bounds.whole(said["repos"]),
        mirrored=bounds.whole(said["mirrored"]),
        last_started=_time(said["last_started"]),
        last_finished=_time(said["last_finished"]),
        last_state=_text(said["last_state"]),
        next_run=_time(said["next_run"]),
        paused=bool(said["paused"]),
    )
    return KnownJob(shown, _text(said["machine"]), _at(said["at"]), _text(said["upstream"]), _time(said["succeeded"]))


def _line(said: Mapping[str, Any]) -> RepoStatus:
    return RepoStatus(
        state=RepoState(said["state"]),
        job=_text(said["job"]),
        kind=Kind(said["kind"]),
        repo=_text(said["repo"]),
        revision=_text(said["revision"]),
        reason=_text(bounds.short(bounds.text(said["reason"]), REASON)),
        code=_text(said.get("code", "")),  # which programs before did not say
        commit=None if said["commit"] is None else _text(said["commit"]),
        published=_time(said["published"]),
        lag_seconds=_seconds(said["lag_seconds"]),
        files=bounds.whole(said["files"]),
        bytes=bounds.whole(said["bytes"]),
        assurance=_assurance(said),
    )


def _assurance(said: Mapping[str, Any]) -> Assurance:
    """What programs before did not say is not known."""
    if said.get("signed") is None:
        return Assurance()
    known = bool(said["signed"]), bool(said["scanned"]), _time(said["scanned_at"])
    if said["code_files"] is None:
        return Assurance(*known)
    return Assurance(*known, _text(said["class"] or ""), bounds.whole(said["code_files"]))


def _text(value: object) -> str:
    """ValueError for half characters, which JSON can name and no page can hold, and for what no name is as long as."""
    said = bounds.text(value)
    said.encode()
    if len(said) > _LONGEST:
        raise ValueError("too long for a name")
    return said


def _at(value: object) -> str:
    """As we write times. ValueError for what is none, or stands for no time in UTC."""
    found = moment(bounds.text(value))
    if found is None:
        raise ValueError("no time")
    return iso_utc(found)


def _time(value: object) -> str | None:
    return None if value is None else _at(value)


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= bounds.LARGEST:
        raise ValueError("no length of time")
    return float(value)
