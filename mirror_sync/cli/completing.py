"""What a shell puts in for a word that was begun: names of jobs, targets and repos, of this machine's files alone.

A person waits meanwhile: nothing is asked over a network, jobs.yaml is read as YAML and no more, and of the history the
names. A shell wants no faults: what cannot be read has no names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

_MOST = 300  # names: nobody reads more
_GLOB = frozenset("*?[!")

_REMEMBERED = """
SELECT DISTINCT kind, repo FROM repos WHERE (kind = ? OR ? = '') AND substr(repo, 1, ?) = ? ORDER BY repo LIMIT ?
"""


def names_of_jobs(context: typer.Context, incomplete: str) -> Iterator[str]:
    """As jobs.yaml has them."""
    return (name for name in _jobs(_tree(_config(context))) if name.startswith(incomplete))


def names_of_targets(context: typer.Context, incomplete: str) -> Iterator[str]:
    """As jobs.yaml has them."""
    targets = _tree(_config(context)).get("targets")
    return (str(name) for name in (targets if isinstance(targets, dict) else ()) if str(name).startswith(incomplete))


def names_of_repos(context: typer.Context, incomplete: str) -> list[str]:
    """Those that jobs.yaml names, and that runs have found for its globs: org/name, dataset:org/name."""
    from mirror_sync.config.yaml.variables import state_dir_in

    config = _config(context)
    tree = _tree(config)
    named = {name for name in _named(tree) if name.startswith(incomplete)}
    named.update(_remembered(state_dir_in(tree, config), incomplete))
    return sorted(named)[:_MOST]


def names_of_jobs_and_repos(context: typer.Context, incomplete: str) -> list[str]:
    """Of what may stand for either."""
    return [*names_of_jobs(context, incomplete), *names_of_repos(context, incomplete)]


def _config(context: typer.Context | None) -> Path:
    """The file that the line names so far, or the usual one."""
    while context is not None:
        if said := context.params.get("config"):
            return Path(said)
        context = context.parent  # type: ignore[assignment]  # click's own, which has params, too
    return Path(os.environ.get("MIRROR_SYNC_CONFIG") or "jobs.yaml")


def _tree(path: Path) -> dict[str, Any]:
    from mirror_sync.config.yaml.variables import with_variables, written

    return with_variables(written(path))


def _entries(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    jobs = tree.get("jobs")
    return (job for job in (jobs if isinstance(jobs, list) else ()) if isinstance(job, dict))


def _jobs(tree: dict[str, Any]) -> Iterator[str]:
    return (name for job in _entries(tree) if isinstance(name := job.get("name"), str))


def _named(tree: dict[str, Any]) -> Iterator[str]:
    for job in _entries(tree):
        repos = job.get("repos")
        for name in repos if isinstance(repos, list) else ():
            if isinstance(name, str) and _GLOB.isdisjoint(name):
                yield name.strip()


def _remembered(state: Path, incomplete: str) -> Iterable[str]:
    """Of the history, without making anything beside it, or waiting for who writes it."""
    import sqlite3
    from contextlib import closing

    from mirror_sync.owners import reading_uri

    kind, colon, begun = incomplete.rpartition(":")
    try:
        if not (path := state / "history.db").is_file():
            return []
        with closing(sqlite3.connect(reading_uri(path), 0, uri=True)) as history:
            rows = history.execute(_REMEMBERED, (kind, kind, len(begun), begun, _MOST)).fetchall()
    except (OSError, sqlite3.Error):
        return []
    names = ((found, f"{found}:{repo}" if colon or found != "model" else repo) for found, repo in rows)
    return [name for _, name in names if name.startswith(incomplete) and _GLOB.isdisjoint(name)]
