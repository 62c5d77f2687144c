"""Where a front of a jobs.yaml finds the daemon that it asks about what is not mirrored, or lies in a cold tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.front.misses.daemon_desk import DeskOptions


def desk_of(settings: Settings, target: str) -> DeskOptions | None:
    """How a front of a target asks it; None where it asks nothing. `check` wants what is missing then."""
    from mirror_sync.domain.url import own_address
    from mirror_sync.front.misses.daemon_desk import DeskOptions

    http, secret = settings.http, settings.http.asked_by
    asks = settings.front.miss != "404" or settings.site.ask.form or settings.targets[target].tiers is not None
    if http.listen is None or secret is None or not asks:
        return None
    return DeskOptions(settings.front.miss, target, own_address(http.listen.host), http.listen.port, secret)
