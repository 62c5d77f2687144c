"""`target promote`: a replica becomes the target, and the target its replica, once nothing is lost by that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mirror_sync.app.places.replicating import Replicas
from mirror_sync.config.promoted_target import expect_promotable
from mirror_sync.domain.job.targets import Replica
from mirror_sync.domain.outcome.replicas import MARK
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.places.across import AcrossReport, compare
from mirror_sync.errors import StoreError, UsageError
from mirror_sync.observe.figures import counted


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done, or would be. `without`: the old target did not answer; `published`: up to when the new one has
    what that had published, empty for all. `fronted`: readers of the old one were led to the new one, too. `cold`: the
    old one has a cold place, which stays beside whichever is the target: what lies there alone the old one has not.
    """

    target: str
    replica: str
    repos: int
    published: str = ""
    without: bool = False
    dry_run: bool = False
    fronted: bool = False
    cold: bool = False


class PromoteReplica:
    """`path` is jobs.yaml."""

    def __init__(self, path: Path, context: Callable[[], RunContext], replicas: Replicas) -> None:
        self._path, self._context, self._replicas = path, context, replicas

    def __call__(self, name: str, *, without: bool = False, dry_run: bool = False) -> Promotion:
        """Look whether the replica has all, and make it ready; what is left is `promote_in_file`.

        `without`: the target is lost, and so is what the replica has not. UsageError where something would be lost, or
        jobs.yaml cannot be changed; StoreError for a replica that does not answer.
        """
        found = self._replicas.named(None, name)
        if len(found) > 1:
            raise UsageError(
                f"several replicas are called {name}: {', '.join(f'{of}/{one.name}' for of, one in found)}"
            )
        ((target, replica),) = found
        expect_promotable(self._path, target, replica.name)
        report = self._alone(target, replica) if without else self._beside(target, replica, dry_run=dry_run)
        published = self._replicas.places(target, replica).status.published if without else ""
        if not dry_run:
            # first: a replica without its mark gets it again, a target with one would say for ever that it is late
            self._replicas.places(target, replica).replica.store.delete([MARK])
        fronted = replica.front is not None
        tiers = self._context().targets[target].tiers
        cold = tiers is not None and tiers.at is not None
        return Promotion(target, replica.name, report.repos, published, without, dry_run, fronted, cold)

    def _beside(self, target: str, replica: Replica, *, dry_run: bool) -> AcrossReport:
        """Copied once more, and compared."""
        if not dry_run:
            status = self._replicas.copy(target, replica)
            if status.reason:
                raise UsageError(
                    f"{target}/{replica.name} has not all of target {target}: {status.reason}. Nothing was changed; if "
                    f"the target is lost: mirror-sync target promote {replica.name} --without-old"
                )
        report = self._replicas.across(target, replica)
        if not report.ok:
            raise UsageError(
                f"{target}/{replica.name} is not the same as target {target} ({_why(report)}): nothing was changed; "
                "mirror-sync verify --across says more"
            )
        return report

    def _alone(self, target: str, replica: Replica) -> AcrossReport:
        """Whether all that the replica publishes is there, whatever the target had beyond."""
        places = self._replicas.places(target, replica)
        report = compare(self._context(), places.replica, places.replica, replica.name)
        if report.unreadable:
            raise StoreError(report.unreadable)
        if not report.ok or not report.repos:
            why = _why(report) if report.repos else "it publishes nothing"
            raise UsageError(f"{target}/{replica.name} is not whole ({why}): nothing was changed")
        return report


def _why(report: AcrossReport) -> str:
    if report.unreadable:
        return report.unreadable
    if report.faults:
        first = report.faults[0]
        return f"{counted(report.faulty, 'fault')}, the first in {first.repo}: {first.problem}"
    are = "is" if len(report.behind) == 1 else "are"
    return f"{counted(len(report.behind), 'repo')} {are} behind, {report.behind[0]} for one"
