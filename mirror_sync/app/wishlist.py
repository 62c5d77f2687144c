"""What readers want of targets that is not mirrored there, as this machine was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mirror_sync.config.settings import Settings
from mirror_sync.domain.nearest import names_instead
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.outcome.wish import RepoWish, Wishlist
from mirror_sync.errors import UsageError
from mirror_sync.owners import is_there
from mirror_sync.state.wishes import FILE, Wishes


def wishlist_of(settings: Settings, target: str | None, statuses: Collection[RepoStatus]) -> Wishlist:
    """Without what is mirrored by now. UsageError for a target that is none; StoreError where it cannot be read."""
    if target is not None and target not in settings.targets:
        raise UsageError(f"{settings.path.name} has no target {target!r}{names_instead(target, settings.targets)}")
    return Wishlist.of(_wanted(settings, target, statuses))


def wished_in(settings: Settings, statuses: Collection[RepoStatus]) -> dict[str, int]:
    """How many repos are wanted, by target; none for those of which none ever was. StoreError."""
    return Counter(one.target for one in _wanted(settings, None, statuses))


def _wanted(settings: Settings, target: str | None, statuses: Collection[RepoStatus]) -> list[RepoWish]:
    if not is_there(settings.state_dir / FILE):
        return []
    into = {job.name: job.target for job in settings.jobs}
    there = {(into.get(one.job), one.kind, one.repo) for one in statuses if one.state.mirrored}
    wishes = Wishes(settings.state_dir, reading=True)
    try:
        found = wishes.all(target)
    finally:
        wishes.close()
    return [one for one in found if (one.target, one.repo.kind, one.repo.id) not in there]
