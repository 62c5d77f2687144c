"""How long a snapshot stays that no branch, no tag and no channel points to any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.versions import earlier_mains
from mirror_sync.domain.digest import CommitId


@dataclass(frozen=True, slots=True)
class Retention:
    """A snapshot stays while it is among the newest `snapshots` of its repo, or published less than `age` ago.

    So do the last `rollbacks` that main stood for before its present one.
    """

    snapshots: int = 3
    age: timedelta = timedelta(days=90)
    rollbacks: int = 0

    def expired(
        self, refs: Refs, published: Mapping[CommitId, float], pinned: Collection[str], now: float
    ) -> tuple[CommitId, ...]:
        """The commits of a repo that need not stay.

        `published` gives the times of publication and `now` the present, in seconds by the store's clock; a commit
        whose time is unknown stays. `pinned` are revisions that jobs name: a commit among them stays, as does
        everything that a ref or a channel points to. While main is pinned the newest of all others stays, since main
        goes there, and so does what it stood for before: a rollout that is watched may take it back.
        """
        pin = int(refs.pins(DEFAULT_BRANCH))
        newest = sorted(published, key=lambda commit: (published[commit], commit), reverse=True)
        ahead = [commit for commit in newest if commit != refs.commit_of(DEFAULT_BRANCH)][:pin]
        back = earlier_mains(refs)[: max(self.rollbacks, pin)]
        kept = {*newest[: self.snapshots], *ahead, *refs.named, *pinned, *back}
        horizon = now - self.age.total_seconds()
        return tuple(commit for commit in refs.snapshots if commit not in kept and published.get(commit, now) < horizon)


def most_generous(wishes: Iterable[Retention]) -> Retention:
    """What satisfies several jobs at once; ValueError when there is none."""
    several = list(wishes)
    most = max(wish.snapshots for wish in several), max(wish.age for wish in several)
    return Retention(*most, max(wish.rollbacks for wish in several))
