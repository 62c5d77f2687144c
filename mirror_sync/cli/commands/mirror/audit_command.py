"""`audit`: what was done in a target, and by whom; and the proof that nothing of that is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mirror_sync.cli.commands.mirror.verify_command import moment_of
from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, OnlyRepoOption, Target, chosen, command, repo_of
from mirror_sync.errors import UsageError


@command
def audit(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what was done since a date, or in the last 7d.")
    ] = None,
    repo: OnlyRepoOption = None,
    target: Target = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Prove that no segment is missing, and none was changed.")
    ] = False,
    signers: Annotated[
        Path | None,
        typer.Option("--signers", metavar="FILE", help="With --verify: whose signatures count."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what was done in a target, when, and by whom.

    Of all machines that write there. With --verify: walk the chain of each from its first segment to its last, and say
    in a line each what is wrong with it; then it exits with 1.
    """
    from mirror_sync.cli.output.audit_text import acts_text, proof_text

    if signers is not None and not verify:
        raise UsageError("--signers goes with --verify")
    if verify and (since or repo):
        raise UsageError("--verify walks whole chains: leave out --since and --repo")
    try:
        moment = None if since is None else moment_of(since, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    named = None if repo is None else repo_of(repo)
    with invocation.mirror(None, reading=True) as mirror:
        name = chosen(mirror.settings, target)
        if verify:
            proof = mirror.audit.prove(name, None if signers is None else mirror.segment_check(signers))
            invocation.answer(proof, lambda page: proof_text(proof, page), as_json=as_json)
            end(proof.ok)
            return
        found = mirror.audit.acts(name, moment, named)
    invocation.answer(found, lambda page: acts_text(found, page), as_json=as_json)
    end(not found.faults)
