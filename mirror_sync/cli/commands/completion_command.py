"""`completion`: the script by which a shell completes a line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mirror_sync.cli.exits import COMPLETING
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command

# typer's own goes by bash's words, which end at a colon: dataset:org/name were three. What stands before the last colon
# is there already, and bash puts in what comes behind it.
_BASH = f"""\
_mirror_sync_completion() {{
    local line=${{COMP_LINE:0:COMP_POINT}} word
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${{words[${{#words[@]}} - 1]}}
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${{words[*]}}" COMP_CWORD=$((${{#words[@]}} - 1)) {COMPLETING}=complete_bash "$1"))
    [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*:}}"}}"}}")
    return 0
}}

complete -o default -F _mirror_sync_completion mirror-sync"""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command
def complete(
    invocation: Invocation, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish.")]
) -> None:
    """Print what makes a shell complete our commands.

    Options and names of jobs, targets and repos, too: those of jobs.yaml, and those that runs have found.
    For bash: mirror-sync completion bash > /etc/bash_completion.d/mirror-sync
    """
    if shell is Shell.BASH:
        invocation.print(_BASH)
        return
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # a re-export

    invocation.print(get_completion_script(prog_name="mirror-sync", complete_var=COMPLETING, shell=shell))
