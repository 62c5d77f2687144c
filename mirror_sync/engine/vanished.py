"""What this machine remembers to have published in a target, and what of it is there: an empty place is not an empty
mirror, but a disk that is not mounted, a bucket that was emptied, or another prefix.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from contextlib import suppress

from mirror_sync.domain.keys import BLOBS, refs_key
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.names import meant
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.engine.site import Site, Target
from mirror_sync.errors import DocumentError, StoreError, Vanished
from mirror_sync.ports import Store

_NAMED = 5  # repos that a message names, and that are looked for before all are listed
_ASK = "is it mounted, and is its url right?"


def missing(store: Store, expected: Collection[Repo], listed: Iterable[Repo]) -> tuple[Repo, ...]:
    """The expected repos that a list of what is published lacks, by their own name and by the one an alias leads to.

    Raises StoreError. Nothing is asked where all are listed.
    """
    there = {_alike(repo) for repo in listed}
    absent = (repo for repo in sorted(expected) if _alike(repo) not in there)
    return tuple(repo for repo in absent if not there or not _is_led(store, repo, there))


def expect_all(target: Target, expected: Collection[Repo], listed: Iterable[Repo]) -> None:
    """Raise Vanished, naming them, where a list of what is published lacks any expected repo; StoreError."""
    gone = missing(target.store, expected, listed)
    if gone:
        shown = ", ".join(map(str, gone[:_NAMED])) + (f" and {len(gone) - _NAMED:,} more" if gone[_NAMED:] else "")
        raise Vanished(
            f"of what was published there it lacks {shown}: {_ASK} A sync publishes again what jobs.yaml names; "
            "take out of it what is gone on purpose"
        )


def is_emptied(store: Store, expected: Collection[Repo]) -> bool:
    """Whether of all that was published there nothing is left. Raises StoreError.

    Where one repo is all that there was, and its blobs are there, the disk is: somebody took its refs.json away.
    """
    looked_for = sorted(expected)[:_NAMED]
    if not expected or any(store.stat(refs_key(repo)) is not None for repo in looked_for):
        return False
    if len(missing(store, expected, mirrored_repos(store))) < len(expected):
        return False
    return len(expected) > 1 or not any(True for _ in store.list(BLOBS))


class Presence:
    """Whether a run may take what it does not find in a target for not published yet. Safe for many threads.

    What was published is what is remembered when the run begins; where that cannot be read, nothing is expected: a
    history may be lost, and no run with it.
    """

    def __init__(self, site: Site, target: Target) -> None:
        self._target = target
        self._expected = frozenset[Repo]()
        with suppress(StoreError):
            self._expected = site.remembered(target.name)
        self._emptied: bool | None = None
        self._lock = threading.Lock()

    def expect(self, of: Repo | None = None) -> None:
        """Raise Vanished where all is gone that was published; of one repo, only where that is among them.

        For whoever finds nothing of a repo, and is about to publish it. The target is asked once. Raises StoreError.
        """
        if not self._expected or (of is not None and of not in self._expected):
            return
        with self._lock:
            if self._emptied is None:
                self._emptied = is_emptied(self._target.store, self._expected)
        if self._emptied:
            count = f"the {len(self._expected):,} repos" if len(self._expected) > 1 else "what"
            raise Vanished(
                f"target {self._target.name} holds nothing of {count} that was published there: {_ASK} If it was "
                "emptied on purpose: mirror-sync sync --anew"
            )


def _alike(repo: Repo) -> tuple[Kind, str]:
    """An upstream knows no two repos whose ids differ in capitals only."""
    return repo.kind, repo.id.lower()


def _is_led(store: Store, repo: Repo, there: Collection[tuple[Kind, str]]) -> bool:
    with suppress(DocumentError):
        led = meant(store, repo)
        return led is not None and _alike(led) in there
    return False
