"""Who brings changed repos up to date: the threads of this process, unless a crew of other machines is given."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mirror_sync.domain.job import Job, owners
from mirror_sync.domain.report import RepoReport
from mirror_sync.engine.decision import Seen
from mirror_sync.engine.gather import Task

if TYPE_CHECKING:
    from mirror_sync.engine.site import Site
    from mirror_sync.engine.sync import Bench


@dataclass(frozen=True, slots=True)
class Errand:
    """One changed revision of a repo, with all that whoever brings it up to date must be told; can be pickled.

    `jobs` are those of all configured ones that publish the repo into the same target.
    """

    run: str
    task: Task
    seen: Seen
    jobs: tuple[Job, ...]

    @classmethod
    def of(cls, bench: Bench, task: Task, seen: Seen) -> Errand:
        return cls(bench.run, task, seen, owners(bench.jobs, bench.target.name, task.repo))


class Crew(Protocol):
    """Carries errands out. Safe for many threads."""

    at_once: int  # errands that may be brought to `bring` side by side

    def at_work(self, site: Site) -> AbstractContextManager[object]:
        """Errands are brought inside the block only. Raises ClusterError when nobody could take one."""
        ...

    def bring(self, bench: Bench, errand: Errand) -> RepoReport:
        """Carry one out, once, while the caller holds the repo's lock.

        What goes wrong with the repo is in the report, and so is a stop: what was put of large files is noted then.
        Raises ClusterError when nobody carried it out, and Interrupted for a stop before anything was planned.
        """
        ...
