"""What waits for a person, and what a person decides about it: behind `holds`, `approve` and `reject`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from mirror_sync.config.decisions.decisions_edit import add_entry
from mirror_sync.config.decisions.decisions_file import read_decisions
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.held_note import HeldNote, held_commits
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.report import STALE, RepoOutcome, RepoPlan, RepoStatus
from mirror_sync.domain.policy.decisions import (
    STRANGER,
    Decision,
    DecisionOutcome,
    Matter,
    RuleKey,
    key_of,
    matches_in_any_case,
)
from mirror_sync.domain.policy.licences import BY_NAME
from mirror_sync.domain.policy.rules import Outcome
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.subject import Subject
from mirror_sync.engine.published import read_refs
from mirror_sync.errors import DocumentError, KeyMissing, StoreError, UsageError
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_document
from mirror_sync.state.records import ChangeRecord

_SHORTEST = 7  # digits by which a commit that is held may be named


@dataclass(frozen=True, slots=True)
class Hold(Subject):
    """A commit that waits; `rule` as a decision calls it, `since` in ISO 8601, `command` what lets it go.

    `command` is empty where no decision does: then the reason says what would; and where a person has decided since it
    was held: then `decided` says who, and what the next sync makes of it.
    """

    commit: str
    rule: str
    code: str
    reason: str
    since: str
    command: str
    decided: str = ""

    def encode(self) -> dict[str, Any]:
        """An entry of `holds --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held now, by job and name."""

    holds: tuple[Hold, ...]

    def encode(self) -> dict[str, Any]:
        """The document of `holds --json`."""
        return {"holds": [one.encode() for one in self.holds]}


def held_now(
    statuses: Sequence[RepoStatus],
    jobs: Sequence[Job],
    changes: Callable[[Kind, str], Sequence[ChangeRecord]],
    now: datetime,
) -> Holds:
    """What of these jobs is held, as the last look at each found it. OSError where the history cannot be read."""
    names = {job.name: job for job in jobs}
    held = [one for one in statuses if one.job in names and _is_meant(names[one.job], one)]
    found = (_hold(one, _since(one, changes(one.kind, one.repo))) for one in held)
    return Holds(tuple(_decided(one, names[one.job], now) for one in found))


def _is_meant(job: Job, one: RepoStatus) -> bool:
    """Whether a rule holds it, of a repo that the job names still."""
    ruled = one.code == STALE or command_for(one.code, one.reason, one.pattern, one.held)
    if one.outcome is not RepoOutcome.HELD or one.held is None or not ruled or one.one_repo is None:
        return False
    return job.means(one.one_repo) and job.follows(one.revision)


def _since(one: RepoStatus, changes: Sequence[ChangeRecord]) -> str:
    """When this commit was held first; as far as that is known."""
    mine = (change for change in changes if (change.job, change.revision) == (one.job, one.revision))
    last = next(mine, None)
    return last.at if last is not None and last.commit == one.held else one.last_attempt or ""


def _hold(one: RepoStatus, since: str) -> Hold:
    rule = key_of(one.code) or RuleKey.GUARD
    command = command_for(one.code, one.reason, one.pattern, one.held)
    return Hold(*one.subject.parts, one.held or "", rule, one.code, one.reason, since, command)


def _decided(hold: Hold, job: Job, now: datetime) -> Hold:
    """The same with what has been decided since the run that held it."""
    rule = key_of(hold.code)
    repo = hold.pattern.repo
    matter = Matter((repo,), commit=CommitId(hold.commit), now=now)
    against = job.decisions.rejection(matter)
    if against is not None:
        return replace(hold, command="", decided=f"rejected by {against.said}: the next sync refuses it")
    found = None if rule is None else job.decisions.approval(rule, matter, pinned=_is_pinned(hold, job, repo))
    if found is None:
        return hold
    return replace(hold, command="", decided=f"approved by {found.said}: it counts at the next sync")


def _is_pinned(hold: Hold, job: Job, repo: Repo) -> bool:
    """Whether only an approval of the very commit lets it go."""
    pins = (one for one in job.house.restricted if one.pin and matches_in_any_case(one.pattern, repo))
    return hold.code == STRANGER or (hold.rule == RuleKey.RESTRICTED and next(pins, None) is not None)


def command_for(code: str, reason: str, repo: RepoPattern, commit: str | None) -> str:
    """What lets a held commit go; empty where no decision does.

    An upstream, too, may call a repo gated or private: that is no rule of ours, and its reason says so.
    """
    key = key_of(code)
    by_upstream = key in (RuleKey.GATED, RuleKey.PRIVATE) and BY_NAME not in reason
    if key is None or commit is None or by_upstream:
        return ""
    return f"mirror-sync approve {repo}@{commit} --why TEXT"


Told = TypeVar("Told", RepoPlan, RepoStatus)


def with_commands(told: Sequence[Told]) -> tuple[Told, ...]:
    """The same with the rule and the command in the reason of each that a decision lets go: for a person to read."""
    return tuple(map(_with_command, told))


def _with_command(one: Told) -> Told:
    commit = one.held if isinstance(one, RepoStatus) else one.commit
    command = command_for(one.code, one.reason, one.pattern, commit)
    if one.outcome is not RepoOutcome.HELD or not command:
        return one
    return replace(one, reason=f"{one.reason}; rule {key_of(one.code)}: {command}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants decided; `commit` as it was written, None for that which is held now. `rule` None: by which
    it is held.
    """

    outcome: DecisionOutcome
    pattern: RepoPattern
    by: str
    why: str
    commit: str | None = None
    any_commit: bool = False
    rule: RuleKey | None = None
    ticket: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where decisions are made. `holds` are all that there are, `store_of` opens a target by its name to be read."""

    settings: Settings
    holds: Sequence[Hold]
    store_of: Callable[[str], Store]
    now: datetime

    def decide(self, wish: Wish) -> tuple[Decision, bool]:
        """Write what was decided, and whether it is new. UsageError says what cannot be, and what would be right;
        ConfigError for a decisions.yaml with faults.
        """
        path = self.settings.decisions
        if path is None:
            raise UsageError(
                f"{self.settings.path.name} names no file for decisions; write decisions: ./decisions.yaml there"
            )
        known = read_decisions(path).decisions
        self._expect_named(wish)
        rule, commit = self._meant(wish)
        self._expect_of_use(wish, rule, commit)
        told = wish.by, wish.why, wish.ticket, wish.until
        decision = Decision(wish.pattern, commit, rule, wish.outcome, *told)
        same = (one for one in known.every if _is_said(one, decision) and not one.has_ended(self.now))
        if (found := next(same, None)) is not None:
            return found, False
        if wish.outcome is DecisionOutcome.APPROVE:
            against = known.rejection(Matter((wish.pattern.repo,), commit=commit, now=self.now))
            if against is not None:
                raise UsageError(
                    f"{against.place} rejects {against.pattern}, which always wins: remove that entry first"
                )
        add_entry(path, decision)
        return decision, True

    def _expect_named(self, wish: Wish) -> None:
        pattern = wish.pattern
        if pattern.is_glob:
            if wish.outcome is DecisionOutcome.APPROVE:
                raise UsageError(f"{pattern} is a glob; approve one repo, like {self._like(pattern)}")
            if not wish.any_commit:
                raise UsageError(f"{pattern} is a glob, of no one commit; write --any")
            return
        jobs = self.settings.jobs
        if any(job.means(pattern.repo) for job in jobs):
            return
        known = [*(one for job in jobs for one in job.repos if not one.is_glob), *(one.pattern for one in self.holds)]
        denied = denials(jobs, pattern.repo)
        why = denied or f"no job of {self.settings.path.name} names it"
        raise UsageError(f"{pattern}: {why}{did_you_mean(pattern, known)}")

    def _like(self, pattern: RepoPattern) -> str:
        held = (str(one.pattern) for one in self.holds if pattern.matches(one.pattern.repo))
        return next(held, "owner/name")

    def _meant(self, wish: Wish) -> tuple[RuleKey, CommitId | None]:
        """The rule and the commit that a decision is about."""
        waiting = [] if wish.pattern.is_glob else self._waiting(wish.pattern.repo)
        if wish.any_commit:
            rules = {rule for _, rule in waiting if rule is not None}
            default = RuleKey.RESTRICTED if wish.outcome is DecisionOutcome.REJECT else None
            return self._rule(wish, rules, default), None
        commits = {commit for commit, _ in waiting}
        if wish.commit is not None:
            commits = {commit for commit in commits if commit.startswith(wish.commit) and _is_enough(wish.commit)}
            if not commits and CommitId.matches(wish.commit):
                commits = {CommitId(wish.commit)}
        if len(commits) != 1:
            raise UsageError(self._not_one(wish, sorted({commit for commit, _ in waiting})))
        (commit,) = commits
        rules = {rule for one, rule in waiting if one == commit and rule is not None}
        default = RuleKey.RESTRICTED if wish.outcome is DecisionOutcome.REJECT else None
        return self._rule(wish, rules, default), commit

    def _not_one(self, wish: Wish, held: Sequence[str]) -> str:
        """Why it is not known which commit is meant."""
        some = " or ".join(f"{wish.pattern}@{commit}" for commit in held)
        if held and wish.commit is None:
            return f"of {wish.pattern} {len(held)} commits are held; write {some}, or --any"
        if held:
            return f"{wish.commit} is no commit of {wish.pattern} that is held; write {some}, or a whole id"
        near = did_you_mean(wish.pattern, (one.pattern for one in self.holds))
        said = f"{wish.pattern} is not held, as far as this machine and its target know{near}"
        if near:
            return said
        if wish.commit is not None:
            return f"{said}; write a whole commit id of 40 digits, and --rule"
        return f"{said}; to decide before it is, write {wish.pattern}@COMMIT or --any, and --rule"

    @staticmethod
    def _rule(wish: Wish, rules: set[RuleKey], default: RuleKey | None) -> RuleKey:
        if wish.rule is not None:
            return wish.rule
        if len(rules) == 1:
            return next(iter(rules))
        if default is not None:
            return default
        if rules:
            raise UsageError(f"{wish.pattern} is held by {' and '.join(sorted(rules))}; choose one with --rule")
        raise UsageError(f"which rule is meant? {wish.pattern} is not known to be held by any: write --rule restricted")

    def _expect_of_use(self, wish: Wish, rule: RuleKey, commit: CommitId | None) -> None:
        """Refuse what would be written and change nothing."""
        if wish.until is not None and wish.until <= self.now:
            raise UsageError("--until is over already; write a day to come, or leave it out")
        if wish.outcome is DecisionOutcome.REJECT:
            return
        repo = wish.pattern.repo
        for job in self.settings.jobs:
            for pattern in job.house.forbidden:
                if matches_in_any_case(pattern, repo):
                    raise UsageError(f"policy.forbidden has {pattern}, and no decision lifts that: take it out there")
            for one in job.house.restricted:
                if rule is RuleKey.RESTRICTED and commit is None and one.pin and matches_in_any_case(one.pattern, repo):
                    raise UsageError(f"policy.restricted pins {one.pattern}: write {repo}@COMMIT, each for itself")
        if rule is RuleKey.FORBIDDEN:
            raise UsageError("no decision lifts policy.forbidden; choose another --rule")

    def _waiting(self, repo: Repo) -> list[tuple[CommitId, RuleKey | None]]:
        """The commits of a repo that are held, and by which rule, None where that is not told in a word.

        What this machine remembers; where that is nothing, what the targets do.
        """
        mine = [one for one in self.holds if (one.kind, one.repo) == (repo.kind, repo.id)]
        if mine:
            return [(CommitId(one.commit), key_of(one.code)) for one in mine]
        targets = dict.fromkeys(job.target for job in self.settings.jobs if job.means(repo))
        return [found for target in targets for found in self._noted(target, repo)]

    def _noted(self, target: str, repo: Repo) -> Iterator[tuple[CommitId, RuleKey | None]]:
        """The newest of what refs.json remembers to be held."""
        try:
            store = self.store_of(target)
            notes = list(held_notes(store, repo))
        except (StoreError, DocumentError, OSError) as error:
            raise UsageError(
                f"what target {target} remembers of {repo} cannot be read: {error}; name commit and rule"
            ) from error
        newest = max(notes, key=lambda note: note.since, default=None)
        if newest is not None:
            held = next((one for one in newest.verdicts if one.outcome is Outcome.HELD), None)
            known = (
                None if held is None or held.rule == "license" else key_of(held.rule)
            )  # that holds for three reasons
            yield newest.commit, known


def held_notes(store: Store, repo: Repo) -> Iterator[HeldNote]:
    """What a target remembers of commits of a repo that are held, or were. StoreError, DocumentError."""
    refs = read_refs(store, repo)
    for commit in held_commits(refs):
        try:
            yield HeldNote.decode(read_document(store, refs.attachments[f"held.{commit}"], MAX_DOCUMENT))
        except (KeyMissing, DocumentError):
            continue


def _is_enough(commit: str) -> bool:
    return len(commit) >= _SHORTEST


def _is_said(one: Decision, wanted: Decision) -> bool:
    """Whether an entry says already what a person wants to."""
    return (one.pattern, one.commit, one.rule, one.outcome) == (
        wanted.pattern,
        wanted.commit,
        wanted.rule,
        wanted.outcome,
    ) and (one.until is None or one.until == wanted.until)
