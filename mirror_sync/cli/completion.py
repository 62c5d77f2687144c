"""How a shell completes a line: the script it loads, and the names that jobs.yaml adds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import yaml


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def script(shell: Shell) -> str:
    """What the shell is to load."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # a re-export

    from mirror_sync.cli.exits import COMPLETING

    return get_completion_script(prog_name="mirror-sync", complete_var=COMPLETING, shell=shell)


def names_of_jobs(incomplete: str) -> Iterator[str]:
    """From jobs.yaml, as far as it can be read: a shell wants no faults."""
    path = Path(os.environ.get("MIRROR_SYNC_CONFIG") or "jobs.yaml")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    jobs = tree.get("jobs") if isinstance(tree, dict) else None
    for job in jobs if isinstance(jobs, list) else ():
        name = job.get("name") if isinstance(job, dict) else None
        if isinstance(name, str) and name.startswith(incomplete):
            yield name
