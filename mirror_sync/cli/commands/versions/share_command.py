"""`share`: a grey release, by which a share of those who ask for main is given what a channel stands for."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from mirror_sync.cli.commands.versions.promote_command import NoWait, Why, move
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, command
from mirror_sync.domain.content.share import WHOLE
from mirror_sync.errors import UsageError

_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?%?", re.ASCII)


@command
def share(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: RepoArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="What they are given: candidate, most often.")],
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="How many, as 10%; 0% ends it.")],
    why: Why,
    target: Target = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Give a share of main's readers what a channel stands for.

    A reader is told by the name of their token, else by their address, and stays among them, or not, at every
    front. Who asks for a commit, or any other name, gets that.
    """
    hundredths = _hundredths(percent)
    said = repo, why, target, no_wait
    move(invocation, said, lambda names, wanted: names.share(wanted, channel, hundredths), as_json)


def _hundredths(text: str) -> int:
    found = _PERCENT.fullmatch(text)
    hundredths = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else WHOLE + 1
    if hundredths > WHOLE:
        raise UsageError(f"{text!r} is no share; write 10%, 0.5% or 0%")
    return hundredths
