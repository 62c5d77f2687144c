"""`completion`: the script by which a shell completes a line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mirror_sync.cli.exits import COMPLETING
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command
def complete(
    invocation: Invocation, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish.")]
) -> None:
    """Print what makes a shell complete our commands.

    Options and names of jobs, too. For bash: mirror-sync completion bash > /etc/bash_completion.d/mirror-sync
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # a re-export

    invocation.print(get_completion_script(prog_name="mirror-sync", complete_var=COMPLETING, shell=shell))
