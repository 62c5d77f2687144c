"""Archives and thaws: what is due in targets of two tiers, and single repos by a word of somebody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from mirror_sync.app.configured import Configured
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.cooling import ByHand
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.tier_report import Move, MovedRepo, TierReport
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.places.tier_pass import TieredTarget, TierPass
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.engine.published_names import published_as
from mirror_sync.errors import Interrupted, MirrorError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.owners import cause
from mirror_sync.state.reads_file import keep_last_tiers, note_begun, note_by_hand, tier_notes

_log = Logger()


class TierTargets:
    """Safe for many threads."""

    def __init__(self, settings: Settings, configured: Configured, context: Callable[[], RunContext]) -> None:
        self._settings, self._configured, self._context = settings, configured, context

    def move_due(self, *, dry_run: bool = False) -> tuple[TierReport, ...]:
        """One pass over each target that has tiers. What is wrong with one is a fault in its report; Interrupted."""
        return tuple(
            self._pass(name, ByHand(), None, dry_run=dry_run)
            for name, target in self._settings.targets.items()
            if target.tiers is not None
        )

    def archive(self, target: str, repo: Repo, *, dry_run: bool = False) -> TierReport:
        """Let the files of a repo go cold now, whoever reads it. UsageError, StoreError, OSError."""
        repo, at = self._published(target, repo), self._now()
        if not dry_run:
            note_by_hand(self._settings.state_dir, target, repo, Move.ARCHIVED, at)
        return self._pass(target, ByHand(archived={repo: at}), repo, dry_run=dry_run)

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        """Bring the files of a repo back; it stays as if it had been read now. UsageError, MirrorError, OSError."""
        repo, at = self._published(target, repo), self._now()
        note_by_hand(self._settings.state_dir, target, repo, Move.THAWED, at)
        tiered = self._tiered(target, ByHand())
        self._expect_ready(tiered)
        return TierPass(self._context(), tiered, at).thaw(repo)

    def is_cold(self, target: str, digest: Sha256) -> bool:
        """Whether a blob lies in the cold tier of a target alone. StoreError."""
        tiering = self._context().targets[target].tiering
        return tiering is not None and tiering.is_cold(blob_key(digest))

    def _pass(self, target: str, by_hand: ByHand, only: Repo | None, *, dry_run: bool) -> TierReport:
        folder = self._settings.state_dir
        try:
            tiered = self._tiered(target, by_hand)
            if not dry_run:
                self._expect_ready(tiered)
            report = TierPass(self._context(), tiered, self._now()).run(only, dry_run=dry_run)
        except Interrupted:
            raise
        except (MirrorError, OSError) as error:
            said = str(error) if isinstance(error, MirrorError) else cause(error, folder)
            return TierReport(target, 0, 0, faults=(f"nothing is archived or thawed: {said}",), dry_run=dry_run)
        if not dry_run:
            try:
                keep_last_tiers(folder, report)
            except OSError as error:  # status and metrics can do without
                _log.warning("tiers.not-written", target=target, reason=cause(error, folder))
        return report

    def _expect_ready(self, tiered: TieredTarget) -> None:
        """StoreUnavailable, OSError."""
        folder, name = self._settings.state_dir, tiered.target.name
        tiered.tiering.ready(begun=tier_notes(folder, name).begun)
        note_begun(folder, name)

    def _tiered(self, target: str, now: ByHand) -> TieredTarget:
        """With what is said of a repo at this moment. UsageError for a target of one tier."""
        self._configured.target(target)
        place = self._context().targets[target]
        if place.tiering is None or place.tiers is None:
            raise UsageError(f"target {target} has no cold tier; write tiers: {{cold: ...}} for it")
        said = tier_notes(self._settings.state_dir, target).by_hand
        thawed = {repo: at for repo, at in said.thawed.items() if repo not in now.archived}
        by_hand = replace(said, archived={**said.archived, **now.archived}, thawed=thawed)
        return TieredTarget(place, place.tiering, place.tiers, by_hand)

    def _published(self, target: str, repo: Repo) -> Repo:
        """By the id under which it is published. UsageError where it is not."""
        self._tiered(target, ByHand())
        store = self._context().targets[target].store
        repos = set(mirrored_repos(store))
        found = published_as(store, repo, repos)
        if found is None:
            near = did_you_mean(RepoPattern(repo.kind, repo.id), (RepoPattern(one.kind, one.id) for one in repos))
            raise UsageError(f"nothing of {repo} is mirrored in {target}{near}")
        return found

    def _now(self) -> float:
        return datetime.now(UTC).timestamp()
