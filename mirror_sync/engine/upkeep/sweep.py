"""Removes what transfers that nobody went on with have left in a target."""

from __future__ import annotations

from mirror_sync.engine.context import Target

WEEK = 7 * 24 * 3600.0  # seconds


def sweep_uploads(target: Target, older_than: float = WEEK) -> int:
    """Remove the uploads without activity for so many seconds, and the notes on them; return how many uploads.

    Uploads in use are spared from one hour on: see `ports.Store.sweep`. Raises StoreError.
    """
    count = target.store.sweep(older_than)
    for key in target.notes.stale(older_than):
        with target.notes.claim(key) as mine:
            if mine:
                target.notes.forget(key)
    return count
