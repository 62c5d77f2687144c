"""`approve` and `reject`: a person lets something go that a rule holds, or refuses it whatever the rules say."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.deciding import AnyCommit, By, Rule, Ticket, Until, Why, decide
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.domain.policy.decisions import DecisionOutcome


@command
def approve(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: Annotated[
        str,
        typer.Argument(metavar="REPO[@COMMIT]", help="org/name, or dataset:org/name.", autocompletion=names_of_repos),
    ],
    why: Why,
    rule: Rule = None,
    until: Until = None,
    by: By = None,
    any_commit: AnyCommit = False,
    ticket: Ticket = None,
) -> None:
    """Let a commit go that a rule holds.

    Without a commit: the one that is held now. It is written into decisions.yaml, and counts from the
    next sync on. Nothing lifts policy.forbidden.
    """
    decide(invocation, DecisionOutcome.APPROVE, repo, (why, by, ticket or ""), (rule, until, any_commit))


@command
def reject(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO[@COMMIT]",
            help="org/name, dataset:org/name, or a glob like org/* with --any.",
            autocompletion=names_of_repos,
        ),
    ],
    why: Why,
    rule: Rule = None,
    until: Until = None,
    by: By = None,
    any_commit: AnyCommit = False,
    ticket: Ticket = None,
) -> None:
    """Refuse a commit, or with --any a repo.

    Without a commit: the one that is held now. It is written into decisions.yaml, and counts from the
    next sync on, before any approval. What is published already stays.
    """
    decide(invocation, DecisionOutcome.REJECT, repo, (why, by, ticket or ""), (rule, until, any_commit))
