"""What this machine remembers to have published in a target, and what of it is there: an empty place is not an empty
mirror, but a disk that is not mounted, a bucket that was emptied, or another prefix.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from contextlib import suppress

from mirror_sync.domain.content.keys import BLOBS, HUB, refs_key
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published_names import alias_target, case_folded
from mirror_sync.errors import DocumentError, StoreError, Vanished
from mirror_sync.ports.store import Store

_NAMED = 5  # repos that a message names, and that are looked for before all are listed
_ASK = "is it mounted, and is its url right?"


class Expected:
    """The repos that a target is known to have published, looked for in one list after the other.

    Where an alias leads is read once: what it leads to has to be in each list all the same.
    """

    def __init__(self, target: Target, repos: Collection[Repo]) -> None:
        self._target, self._repos = target, repos
        self._aliased: dict[Repo, tuple[Kind, str]] = {}

    def missing(self, listed: Iterable[Repo]) -> tuple[Repo, ...]:
        """Those that a list of what is published lacks, by their own name and by the one an alias leads to.

        Raises StoreError. Nothing is asked where all are listed.
        """
        there = {case_folded(repo) for repo in listed}
        absent = sorted(repo for repo in self._repos if case_folded(repo) not in there)
        return tuple(repo for repo in absent if not there or not self._is_led(repo, there))

    def expect_all(self, listed: Iterable[Repo]) -> None:
        """Raise Vanished, naming them, where a list of what is published lacks any; StoreError."""
        gone = self.missing(listed)
        if gone:
            shown = ", ".join(map(str, gone[:_NAMED])) + (f" and {len(gone) - _NAMED:,} more" if gone[_NAMED:] else "")
            raise Vanished(
                f"of what was published there it lacks {shown}: {_ASK} A sync publishes again what jobs.yaml names; "
                "take out of it what is gone on purpose"
            )

    def _is_led(self, repo: Repo, there: Collection[tuple[Kind, str]]) -> bool:
        if self._aliased.get(repo) in there:
            return True
        with suppress(DocumentError):
            aliased = alias_target(self._target.store, repo)
            if aliased is not None:
                self._aliased[repo] = case_folded(aliased)
        return self._aliased.get(repo) in there


def is_emptied(store: Store, expected: Collection[Repo]) -> bool:
    """Whether of all that was published there nothing is left. Raises StoreError.

    A target that lists anything is not emptied: what is expected by a former name may be there under its own, with
    the alias lost. Where one repo is all that there was, and its blobs are there, the disk is: somebody took its
    refs.json away.
    """
    looked_for = sorted(expected)[:_NAMED]  # lists may lag
    if not expected or any(store.stat(refs_key(repo)) is not None for repo in looked_for):
        return False
    if any(True for _ in store.list(HUB)):
        return False
    return len(expected) > 1 or not any(True for _ in store.list(BLOBS))


class Presence:
    """Whether a run may take what it does not find in a target for not published yet. Safe for many threads.

    What was published is asked for when something is missed first: what this very run has published by then is there.
    Where that cannot be read, nothing is expected: a history may be lost, and no run with it.
    """

    def __init__(self, context: RunContext, target: Target) -> None:
        self._context, self._target = context, target
        self._expected: frozenset[Repo] | None = None
        self._emptied: bool | None = None
        self._lock = threading.Lock()

    def expect(self, of: Repo | None = None) -> None:
        """Raise Vanished where all is gone that was published; of one repo, only where that is among them.

        For whoever finds nothing of a repo, and is about to publish it. The target is asked once. Raises StoreError.
        """
        with self._lock:
            expected = self._remembered()
            if not expected or (of is not None and of not in expected):
                return
            if self._emptied is None:
                self._emptied = is_emptied(self._target.store, expected)
        if self._emptied:
            lost = f"the {len(expected):,} repos that were" if len(expected) > 1 else "what was"
            raise Vanished(
                f"target {self._target.name} holds nothing of {lost} published there: {_ASK} If it was emptied on "
                "purpose: mirror-sync sync --anew"
            )

    def is_expected(self, repo: Repo) -> bool:
        """Whether it was published there, as far as this machine knows."""
        with self._lock:
            return repo in self._remembered()

    def _remembered(self) -> frozenset[Repo]:
        if self._expected is None:
            self._expected = frozenset()
            with suppress(StoreError):
                self._expected = self._context.remembered(self._target.name)
        return self._expected
