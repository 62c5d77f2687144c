"""`sign`: signs what is published already."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, OnlyRepoOption, OnlyTarget, chosen, command, repo_of
from mirror_sync.errors import UsageError


@command
def sign(
    invocation: Invocation,
    everything: Annotated[bool, typer.Option("--all", help="Sign every repo of every target.")] = False,
    repo: OnlyRepoOption = None,
    target: OnlyTarget = None,
    retire: Annotated[
        str | None,
        typer.Option(
            "--retire",
            metavar="FINGERPRINT",
            help="Once all is signed: an old key, as ssh-keygen -l shows it, which is valid no longer.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign what was published unsigned, or with another key.

    New snapshots are signed when they are published. Files are not read again: what is signed are their digests.
    """
    if everything == (repo is not None):
        raise UsageError("say what to sign: --all, or --repo REPO")
    if retire and not everything:
        raise UsageError("--retire goes with --all: what a key has signed must be signed anew first")
    with invocation.mirror("signing") as mirror:
        name = None if target is None else chosen(mirror.settings, target)
        report = mirror.sign(invocation.actor, repo=None if repo is None else repo_of(repo), target=name, retire=retire)
    lines = [f"{one.target}: {one.repo}: {one.words}" for one in report.repos] or ["nothing to sign"]
    if retire and report.ok:
        lines.append(f"{retire} is valid no longer: give out trust/allowed_signers as the target has it now")
    invocation.answer(report, lambda page: "\n".join(lines), as_json=as_json)
    end(report.ok)
