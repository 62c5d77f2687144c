"""What became of work that failed: one place turns every exception into an answer, so that none ends a run."""

from __future__ import annotations

import traceback

from mirror_sync.domain.events import Crashed
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.decision import Settled, failure, internal_failure
from mirror_sync.engine.site import Site
from mirror_sync.errors import MirrorError


def settle(site: Site, run: str, named: Repo | RepoPattern, error: Exception) -> Settled:
    """The failure of a repo, or of what a pattern stands for; what no layer raises on purpose is told as Crashed."""
    if isinstance(error, MirrorError):
        return failure(error)
    site.tell(Crashed(run, named, "".join(traceback.format_exception(error))))
    return internal_failure(error)
