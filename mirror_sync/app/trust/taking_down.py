"""Takes a repo down in a target, and lets it come back: each by a person's word, and told to everybody who watches."""

from __future__ import annotations

from collections.abc import Callable

from mirror_sync.app.catalogues import Catalogues
from mirror_sync.app.configured import Configured
from mirror_sync.app.trust.auditing import acting
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.tombstone import LONGEST_BY, LONGEST_WHY, Tombstone
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.events import RepoRestored, RepoWithdrawn
from mirror_sync.domain.outcome.report import TakenDown
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.engine.published_names import published_as
from mirror_sync.engine.upkeep.take_down import let_come_back, take_down
from mirror_sync.errors import UsageError


class TakeDownRepo:
    """Safe for many threads."""

    def __init__(
        self, configured: Configured, context: Callable[[], RunContext], catalogues: Callable[[], Catalogues]
    ) -> None:
        self._configured, self._context, self._catalogues = configured, context, catalogues

    def withdraw(
        self, actor: Actor, target: str, repo: Repo, *, why: str, by: str = "", dry_run: bool = False
    ) -> TakenDown:
        """For `actor`, nobody is given the repo any more, and no job brings it back.

        `by` and `why` are for everybody to read.

        UsageError for what the target does not have, and for words that are none; StoreError, DocumentError.
        """
        context, place = self._context(), self._place(target)
        meant = published_repo(place, repo)
        tombstone = Tombstone(
            context.now(), in_one_line(why, "--why", LONGEST_WHY), in_one_line(by, "--by", LONGEST_BY)
        )
        if not tombstone.why:
            raise UsageError("say why: --why TEXT is what readers are told")
        with acting(context, actor, [target]) as acting_context:
            report = take_down(acting_context, place, meant, tombstone, dry_run=dry_run)
        if not dry_run:
            told = report.by, report.why, report.at, len(report.snapshots), report.blobs, report.bytes
            context.tell(RepoWithdrawn(target, meant, *told))
            self._catalogues().publish(place)
        return report

    def restore(self, actor: Actor, target: str, repo: Repo, *, why: str, by: str = "") -> Repo:
        """For `actor`, let jobs publish it again, and return the id by which it was; `why` and `by` are for the log.

        UsageError for a repo that was not taken down; StoreError, DocumentError.
        """
        context, place = self._context(), self._place(target)
        meant = published_repo(place, repo)
        words = in_one_line(by, "--by", LONGEST_BY), in_one_line(why, "--why", LONGEST_WHY)
        if not words[1]:
            raise UsageError("say why: --why TEXT is what the log keeps")
        with acting(context, actor, [target]) as acting_context:
            restored = let_come_back(acting_context, place, meant, ": ".join(filter(None, words)))
        if not restored:
            raise UsageError(f"{meant} was not taken down in target {target}")
        context.tell(RepoRestored(target, meant, *words, context.now()))
        self._catalogues().publish(place)
        return meant

    def _place(self, target: str) -> Target:
        self._configured.target(target)
        return self._context().targets[target]


def published_repo(target: Target, repo: Repo) -> Repo:
    """The id by which a repo is published: a former name, or other letters, will do. UsageError, StoreError."""
    known = frozenset(mirrored_repos(target.store))
    found = published_as(target.store, repo, known)
    if found is None:
        near = did_you_mean(RepoPattern(repo.kind, repo.id), (RepoPattern(one.kind, one.id) for one in known))
        raise UsageError(f"target {target.name} has nothing of {repo}{near}")
    return found


def in_one_line(text: str, option: str, most: int) -> str:
    """What a person wrote, in one line, which headers and logs can hold. UsageError for more than `most` characters."""
    words = " ".join(text.split())
    if len(words) > most or not words.isprintable():
        raise UsageError(f"{option}: up to {most:,} characters that can be seen")
    return words
