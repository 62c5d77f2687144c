"""What `approve` and `reject` share: their options, and the way from them into decisions.yaml."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.domain.policy.decisions import DecisionOutcome, RuleKey
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import UsageError

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; it is kept with every snapshot.")]
Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        metavar="RULE",
        help="Which rule's hold; the one that holds it now.",
        autocompletion=lambda: [rule.value for rule in RuleKey],
    ),
]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="The last day on which it counts.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decided; the user of this command.")]
AnyCommit = Annotated[bool, typer.Option("--any", help="Of all commits, those to come, too.")]
Ticket = Annotated[str | None, typer.Option("--ticket", metavar="T", help="Where it is written down.")]


def decide(
    invocation: Invocation,
    outcome: DecisionOutcome,
    asked: str,
    said: tuple[str, str | None, str],
    meant: tuple[str | None, str | None, bool],
) -> None:
    """Write a decision, and say when it counts. `said`: why, by whom, the ticket; `meant`: rule, end, of any commit.

    As whoever we are, not as the owner of the state folder: decisions.yaml is the operator's. UsageError, ConfigError.
    """
    from mirror_sync.app.trust.holding import Desk, Wish, held_now
    from mirror_sync.wiring.program import Mirror

    (why, by, ticket), (rule, until, any_commit) = said, meant
    name, at, commit = asked.partition("@")
    if at and (any_commit or not commit):
        raise UsageError(f"{asked!r} names {'a commit beside --any' if commit else 'no commit'}; write one of them")
    wish = Wish(
        outcome,
        _pattern(name),
        _line(by or _user(), "--by"),
        _line(why, "--why"),
        commit=commit.lower() or None,
        any_commit=any_commit,
        rule=_rule(rule),
        ticket=_line(ticket, "--ticket") if ticket else "",
        until=_end(until),
    )
    invocation.start_log()
    mirror = Mirror(invocation.settings(), (), invocation.stop, invocation.redaction.rotate, reading=True)
    try:
        held = held_now(mirror.status(), mirror.settings.jobs, mirror.history.changes, datetime.now(UTC)).holds
        decision, new = Desk(mirror.settings, held, mirror.store, datetime.now(UTC)).decide(wish)
    finally:
        mirror.close()
    of = decision.commit or "any commit"
    verb = "approved" if outcome is DecisionOutcome.APPROVE else "rejected"
    what = f"{verb} {decision.pattern} ({of}), rule {decision.rule}, by {decision.by}"
    if not new:
        invocation.print(f"{decision.place} says so already: {what}; nothing was written.")
        return
    file = mirror.settings.decisions
    invocation.print(f"{what}.\nWritten into {file}, and committed nowhere; it counts from the next sync on.")


def _pattern(text: str) -> RepoPattern:
    try:
        return RepoPattern.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _rule(text: str | None) -> RuleKey | None:
    if text is not None and text not in [*RuleKey]:
        raise UsageError(f"--rule: there is no rule {text!r:.60}; the rules are {', '.join(RuleKey)}")
    return None if text is None else RuleKey(text)


def _line(text: str, option: str) -> str:
    if not text.strip() or not text.isprintable():
        raise UsageError(f"{option} must be a few words in one line")
    return text.strip()


def _end(text: str | None) -> datetime | None:
    from mirror_sync.config.decisions.decision_entries import end_of

    try:
        return None if text is None else end_of(text)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None


def _user() -> str:
    """Whoever types, also with sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
