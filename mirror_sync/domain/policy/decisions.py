"""What people have decided about repos and commits: an approval lifts a hold of the rule that it names, a rejection
refuses, whatever rule it names.

A decision for one commit holds for that commit alone. A rejection comes before any approval, wherever each stands, so
that no order of entries lets through what somebody has refused. What `until` ends are approvals of new commits: what is
published under one stays approved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.times import iso_utc


class RuleKey(StrEnum):
    """What a decision calls a rule."""

    RESTRICTED = "restricted"
    FORBIDDEN = "forbidden"
    LICENCE = "licence"
    FORMATS = "formats"
    SCAN = "scan"
    COOLDOWN = "cooldown"
    BASE_MODEL = "base_model"
    GUARD = "guard"
    GATED = "gated"
    PRIVATE = "private"


STRANGER = "another-repo"  # the guard's code for a repo that goes by another one's name
REJECTED = "rejected"  # the code of what a person refused
_KEYS = {"license": RuleKey.LICENCE, STRANGER: RuleKey.GUARD, **{key.value: key for key in RuleKey}}


def key_of(code: str) -> RuleKey | None:
    """The rule that the code of a verdict or a report means, by its first word; None where no decision helps."""
    return _KEYS.get(code) or _KEYS.get(code.partition("-")[0])


class DecisionOutcome(StrEnum):
    """What a person decides."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """An entry of decisions.yaml; `commit` None is any, `until` (UTC) the first moment at which it holds no more.

    Only a rejection may name its repos by a glob. `place` is where it stands, for messages.
    """

    pattern: RepoPattern
    commit: CommitId | None
    rule: RuleKey
    outcome: DecisionOutcome
    by: str
    why: str
    ticket: str = ""
    until: datetime | None = None
    place: str = field(default="", compare=False)

    @property
    def said(self) -> str:
        """`Ada: the terms are read (LEGAL-42)`."""
        return f"{self.by}: {self.why}{f' ({self.ticket})' if self.ticket else ''}"

    @property
    def last_day(self) -> str:
        """Until when it holds, as decisions.yaml says it: a day (UTC), or a moment; empty where it has no end."""
        if self.until is None:
            return ""
        said = iso_utc(self.until)
        of_a_day = said.endswith("T00:00:00Z") and self.until.year > 1  # before that there is none
        return iso_utc(self.until - timedelta(days=1))[:10] if of_a_day else said

    def has_ended(self, now: datetime | None) -> bool:
        """Whether it holds no more; where nobody tells the time, what has an end has ended."""
        return self.until is not None and (now is None or now >= self.until)


@dataclass(frozen=True, slots=True)
class Matter:
    """What is to be decided: `spelled` are the names that a job and a target give to a repo, `names` all that lead to
    it, the upstream's own among them. `published`: the commit is, so that no end of an approval takes it back.
    """

    spelled: tuple[Repo, ...]
    names: tuple[Repo, ...] = ()
    commit: CommitId | None = None
    published: bool = False
    now: datetime | None = None

    @property
    def all_names(self) -> tuple[Repo, ...]:
        """Each once."""
        return tuple(dict.fromkeys((*self.spelled, *self.names)))


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that stand in decisions.yaml, whatever they are about."""

    every: tuple[Decision, ...] = ()
    # Made once: a run over ten thousand repos asks ten thousand times.
    _of: dict[tuple[Kind, str], tuple[Decision, ...]] = field(init=False, repr=False, compare=False, hash=False)
    _globs: tuple[Decision, ...] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        named: dict[tuple[Kind, str], tuple[Decision, ...]] = {}
        for one in self.every:
            if not one.pattern.is_glob:
                key = one.pattern.kind, one.pattern.glob.lower()
                named[key] = (*named.get(key, ()), one)
        object.__setattr__(self, "_of", named)
        object.__setattr__(self, "_globs", tuple(one for one in self.every if one.pattern.is_glob))

    def approval(self, rule: RuleKey, matter: Matter, *, pinned: bool = False) -> Decision | None:
        """Who has approved it for a rule; `pinned`: of this very commit. Nothing lifts what is forbidden.

        An approval is of the repo as a person spelled it, letter by letter. One that has ended counts still for what is
        published, but not with the guard, which asks what a name may go back to.
        """
        if rule is RuleKey.FORBIDDEN:
            return None
        for one in self._about(matter.spelled):
            of_commit = one.commit == matter.commit if one.commit is not None else not pinned
            spelled = not one.pattern.is_glob and one.pattern.repo in matter.spelled
            ended = one.has_ended(matter.now) and not (matter.published and rule is not RuleKey.GUARD)
            if one.outcome is DecisionOutcome.APPROVE and one.rule is rule and of_commit and spelled and not ended:
                return one
        return None

    def rejection(self, matter: Matter) -> Decision | None:
        """Who has refused it, by any of its names in whatever letters: upstreams take both for the same."""
        for one in self._about(matter.all_names):
            of_commit = one.commit is None or one.commit == matter.commit
            if one.outcome is DecisionOutcome.REJECT and of_commit and not one.has_ended(matter.now):
                return one
        return None

    def and_(self, more: Iterable[Decision]) -> Decisions:
        """These, and others."""
        added = tuple(more)
        return Decisions((*self.every, *added)) if added else self

    def _about(self, names: Iterable[Repo]) -> Iterator[Decision]:
        for name in names:
            yield from self._of.get((name.kind, name.id.lower()), ())
            yield from (one for one in self._globs if matches_in_any_case(one.pattern, name))


def matches_in_any_case(pattern: RepoPattern, repo: Repo) -> bool:
    """Whether a pattern stands for a repo, whatever letters either is written in."""
    return pattern.kind is repo.kind and fnmatchcase(repo.id.lower(), pattern.glob.lower())
