"""What the rest of the program gets from jobs.yaml: everything resolved, checked and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mirror_sync.config.keys.program_entries import (
    CatalogueEntry,
    EngineEntry,
    FrontEntry,
    HaEntry,
    HttpEntry,
    MaintenanceEntry,
    TracesEntry,
)
from mirror_sync.config.keys.trust_entries import Trust
from mirror_sync.domain.access.rights import AccessRules, Opening
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.targets import Target
from mirror_sync.domain.job.upstreams import Upstream
from mirror_sync.domain.outcome.notices import Hooks
from mirror_sync.domain.outcome.replicas import ReplicaFront
from mirror_sync.errors import Fault


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole jobs.yaml; names in `jobs` are keys of `upstreams` and `targets`.

    What only the program itself goes by stands here as its entry. `bandwidth` and `connections` hold for all jobs
    together, beside what each says itself. `access` holds for all targets, `access_to` for one; `tokens` is the file of
    those of readers, None for no tokens. `decisions` is the file of those, which `jobs` hold as it was when this was
    read. `secrets` are all secret values that were met, for redaction; `warnings` do not stop a run. `digest` is that
    of the file as it was read, variables not put in. `edge`: a small machine, with little memory.
    """

    path: Path
    state_dir: Path
    upstreams: Mapping[str, Upstream]
    targets: Mapping[str, Target]
    jobs: tuple[Job, ...]
    hooks: Hooks = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[Fault, ...] = ()
    bandwidth: Bandwidth = Bandwidth()
    connections: int | None = None
    front: FrontEntry = FrontEntry()
    http: HttpEntry = HttpEntry()
    engine: EngineEntry = EngineEntry()
    traces: TracesEntry = TracesEntry()
    site: CatalogueEntry = CatalogueEntry()
    maintenance: MaintenanceEntry = MaintenanceEntry()
    decisions: Path | None = None
    digest: Sha256 = field(default=Sha256.of(b""), compare=False)
    trust: Trust = Trust()
    access: AccessRules = AccessRules()
    tokens: Path | None = None
    edge: bool = False
    ha: HaEntry | None = None

    @property
    def leased(self) -> str | None:
        """The target that holds the lease of daemons; None where one of them is all there is."""
        return None if self.ha is None else self.ha.target or next(iter(self.targets))

    def fronts_beside(self, target: str) -> tuple[ReplicaFront, ...]:
        """The replicas of a target to which readers of its front are led, too, in the order of the file."""
        replicas = self.targets[target].replicas
        return tuple(ReplicaFront(one.name, one.front) for one in replicas if one.front is not None)

    def access_to(self, target: str) -> AccessRules:
        """Who may read what of a target: what `access` says, and what its jobs open."""
        jobs = [job for job in self.jobs if job.target == target]
        opened = tuple(Opening(job.repos, job.denied) for job in jobs if job.opens)
        return replace(self.access, opened=opened, all_opened=bool(jobs) and all(job.opens for job in jobs))
