"""The guard: what lists much less, is another repo, or may be older, is not believed before a person has looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.identity import Identity

ANY = "*"


@dataclass(frozen=True, slots=True)
class Guard:
    """How much of a published snapshot a new commit may remove: a share of its files, 1 being any; which repos may
    take the place of another, by their own `_id`, or any by `*`; and which moves of a name another endpoint than the
    first may ask for, as `FROM..TO`.

    Files are counted, not bytes: a listing that was cut short lacks files, while a model that drops one format of its
    weights for another loses most of its bytes in good health. A file that only moved is not removed.
    """

    max_removed: float = 0.5
    accept: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.max_removed <= 1:
            raise ValueError(f"guard.max_removed is a share from 0% to 100%, not {self.max_removed!r}")

    def objection(self, published: int, removed: Callable[[], int], *, listed: int) -> str:
        """Why a new commit must not replace what is published; empty when it may.

        `published` counts the files that are, `removed` those of them that are no more, neither by path nor by content;
        both were selected alike. `listed` counts all files of the new commit, before any selection.
        """
        if self.max_removed >= 1 or not published:
            return ""
        if not listed:
            return f"it lists no file, where {published} are published; guard.max_removed is {self}"
        gone = removed()
        if gone <= self.max_removed * published:
            return ""
        return f"it removes {gone} of {published} published files; guard.max_removed is {self}"

    def stranger(self, published: Identity, told: Identity) -> str:
        """Why the repo that goes by a published name now is not to be followed; empty when it is the same or accepted.

        An acceptance names the newcomer itself: one of the name would hold for whoever comes next, too.
        """
        if not told.differs(published) or self.accept & {ANY, told.word}:
            return ""
        return (
            f"the name belongs to another repo now ({told}) than the one that was published ({published}): "
            f"if the new one is meant, add '{told.shown}' to guard.accept of the job"
        )

    def follows(self, published: CommitId, told: CommitId) -> bool:
        """Whether a person has accepted that a name goes from one commit to the other, whichever is the older.

        An acceptance names both: one of the new commit alone would hold for every later return to it, too.
        """
        return self.move(published, told) in self.accept

    @staticmethod
    def move(published: CommitId, told: CommitId) -> str:
        """What a person accepts a move by, as git writes a range."""
        return f"{published}..{told}"

    def __str__(self) -> str:
        return f"{self.max_removed * 100:g}%"
