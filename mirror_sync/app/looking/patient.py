"""Whom the checks look at: what jobs.yaml says, as far as it can be read, and ways to ask what it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mirror_sync.app.looking.checkup import Health
from mirror_sync.app.remembered import LocalMemory
from mirror_sync.config.settings import Settings
from mirror_sync.config.yaml.variables import state_dir_in, with_variables, written
from mirror_sync.domain.job.targets import Target
from mirror_sync.domain.job.upstreams import Timeouts, Upstream
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.errors import Fault
from mirror_sync.net.transport import Transport
from mirror_sync.observe.figures import in_time
from mirror_sync.owners import is_there
from mirror_sync.state.history import HISTORY_FILE, History

if TYPE_CHECKING:
    from mirror_sync.domain.content.upstream import BudgetState
    from mirror_sync.ports.source import Source
    from mirror_sync.ports.store import Store

COLD = " (cold)"
SOON = Timeouts(connect=5, first_byte=8, stall=8)
_LARGEST = 1024 * 1024  # bytes of an answer that is looked at
_AHEAD, _REFUSED = 60, 900  # seconds of a wrong clock: said, and from where on SigV4 refuses all that is signed


class Bucket(Protocol):
    """What only a bucket can be asked, of an object that lies under `key`. All raise StoreError."""

    def takes_other_bytes(self, key: str) -> bool:
        """Whether it stores a body that is not the one whose digest was signed."""
        ...

    def condition(self, key: str) -> str:
        """What it makes of If-None-Match on a PUT: `kept`, `ignored` or `refused`."""
        ...


class PlaceOpener(Protocol):
    """How places are opened, with little patience, no repeats and no limits."""

    def store(self, target: Target) -> Store: ...

    def bucket(self, target: Target) -> Bucket | None:
        """None for what is no bucket."""
        ...

    def source(self, upstream: Upstream, endpoint: str) -> Source:
        """Of one endpoint alone."""
        ...

    def budget(self, headers: Mapping[str, str]) -> Mapping[str, BudgetState]:
        """What an answer says of its upstream's limits; empty for nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """`behind`: seconds by which the clock of the server is behind ours, within one; None where it tells no time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    behind: float | None


@dataclass
class Patient:
    """`settings` None: jobs.yaml has the `faults`. `jobs`, `targets`: those that are looked at, empty for all.

    `front` is an address that was given. `unfit`: why nothing may be written as whom we are; empty for nothing.
    """

    path: Path
    settings: Settings | None
    faults: tuple[Fault, ...]
    ways: PlaceOpener
    front: str | None = None
    jobs: Collection[str] = ()
    target: str | None = None
    unfit: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    replies: dict[str, Reply] = field(default_factory=dict)  # of upstreams, for the checks that build on them

    @cached_property
    def raw(self) -> dict[str, Any]:
        """jobs.yaml as YAML alone, variables not put in; empty for what is none."""
        return written(self.path)

    @property
    def sound(self) -> Settings:
        """The settings, for checks that are made where there are some. RuntimeError where there are none."""
        if self.settings is None:
            raise RuntimeError(f"a check that needs a sound {self.path.name} was made without one")
        return self.settings

    @property
    def state_dir(self) -> Path | None:
        """None where nobody knows."""
        if self.settings is not None:
            return self.settings.state_dir
        return state_dir_in(with_variables(self.raw), self.path) if self.raw else None

    @property
    def targets(self) -> dict[str, Target]:
        """Those that are looked at, by their names."""
        if self.settings is None:
            return {}
        meant = {job.target for job in self.settings.jobs if job.name in self.jobs}
        return {
            name: target
            for name, target in self.settings.targets.items()
            if self.target in (None, name) and (not self.jobs or name in meant)
        }

    @property
    def places(self) -> dict[str, Target]:
        """Where blobs of these lie: each by itself, a cold place behind its target, with COLD behind its name."""
        found: dict[str, Target] = {}
        for name, target in self.targets.items():
            at = None if target.tiers is None else target.tiers.at
            found |= {name: target} if at is None else {name: replace(target, tiers=None), f"{name}{COLD}": at}
        return found

    @property
    def upstreams(self) -> dict[str, Upstream]:
        """Those of the jobs that are looked at, by their names."""
        if self.settings is None:
            return {}
        jobs = [job for job in self.settings.jobs if not self.jobs or job.name in self.jobs]
        meant = {name for job in jobs if job.target in self.targets for name in (job.upstream, *job.roads)}
        return {name: one for name, one in self.settings.upstreams.items() if name in meant}

    @cached_property
    def memory(self) -> LocalMemory | None:
        """What is remembered; None where there is nothing yet."""
        settings = self.settings
        if settings is None or not is_there(path := settings.state_dir / HISTORY_FILE):
            return None
        return LocalMemory(settings, lambda: History(path, reading=True))

    @property
    def remembered(self) -> LocalMemory:
        """The same, for checks that are made where something is remembered. RuntimeError where nothing is."""
        if self.memory is None:
            raise RuntimeError("a check of what is remembered was made where nothing is")
        return self.memory

    def known(self) -> tuple[RepoStatus, ...]:
        """What is remembered of the repos of the jobs that are looked at. OSError."""
        if self.memory is None or self.settings is None:
            return ()
        targets = self.targets
        jobs = {job.name for job in self.settings.jobs if job.target in targets}
        found, _ = self.memory.repos_and_runs()
        return tuple(one for one in found if one.job in jobs and (not self.jobs or one.job in self.jobs))

    def published(self, target: str) -> list[RepoStatus]:
        """What is remembered to be published in a target. OSError."""
        jobs = {job.name for job in self.sound.jobs if job.target == target}
        return [one for one in self.known() if one.job in jobs and one.commit]


def ask(url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", direct: bool = False) -> Reply:
    """One request with little patience. UpstreamError where nothing answers."""
    from mirror_sync.net.network import BROKEN, unreachable

    transport = Transport(timeouts=SOON, connections=1, direct=direct)
    began = datetime.now(UTC)
    try:
        answer = transport.open(url, {**(headers or {}), "connection": "close"}, method=method)
    except BROKEN as error:
        raise unreachable(url, error) from error
    ours = began + (datetime.now(UTC) - began) / 2
    body, buffer = bytearray(), memoryview(bytearray(65536))
    try:
        answer.limit(SOON.first_byte)
        while method != "HEAD" and len(body) < _LARGEST and (count := answer.readinto(buffer)):
            body += buffer[:count]
    finally:
        answer.discard()
    behind = None
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        behind = (ours - theirs.astimezone(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        pass
    return Reply(answer.status, answer.headers, bytes(body), behind)


def clock_said(behind: float | None, whose: str) -> Iterator[tuple[Health, str] | tuple[Health, str, str, str]]:
    """How another clock stands to ours. The header tells whole seconds, and time passes on the way."""
    if behind is None:
        yield Health.SKIPPED, f"{whose} tells no time"
        return
    apart = abs(behind)
    if apart <= _AHEAD:
        yield Health.OK, f"as ours, within {max(round(apart), 1)} s"
        return
    said = f"ours is {in_time(apart)} {'ahead of' if behind > 0 else 'behind'} that of {whose}"
    worst = Health.FAULT if apart > _REFUSED else Health.WARNING
    why = "signed requests are refused from 15 minutes on" if worst is Health.WARNING else "signed requests are refused"
    yield worst, f"{said}: {why}", "set the clock of whichever is wrong", "timedatectl status"


def token_place(patient: Patient, upstream: str) -> str:
    """Where jobs.yaml has the token of an upstream from."""
    upstreams = patient.raw.get("upstreams")
    entry = upstreams.get(upstream) if isinstance(upstreams, dict) else None
    entry = entry if isinstance(entry, dict) else {}
    if isinstance(path := entry.get("token_file"), str):
        return str(patient.path.absolute().parent / os.path.expandvars(path))
    said = entry.get("token")
    if isinstance(said, str) and "${" in said:
        return f"the variable {said.partition('${')[2].partition('}')[0].partition(':')[0]}"
    return f"upstreams.{upstream} in {patient.path}"
