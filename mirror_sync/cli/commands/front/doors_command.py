"""`doors`: what clients of open doors need of what is published already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, OnlyRepoOption, OnlyTarget, chosen, command, repo_of

if TYPE_CHECKING:
    from mirror_sync.app.trust.signing_repos import SignedRepo


@command
def doors(
    invocation: Invocation,
    repo: OnlyRepoOption = None,
    target: OnlyTarget = None,
    as_json: Json = False,
) -> None:
    """Make what open doors need of what is published.

    The first line says which are open. What is published from then on is ready for them by itself. Files are read again
    for torrents and images alone.
    """
    with invocation.mirror("doors") as mirror:
        name = None if target is None else chosen(mirror.settings, target)
        report = mirror.open_doors(invocation.actor, repo=None if repo is None else repo_of(repo), target=name)
    lines = [line for one in report.repos for line in _lines(one)] or ["nothing is published"]
    opened = f"open: {', '.join(report.doors)}"
    invocation.answer(report, lambda page: "\n".join([opened, *lines]), as_json=as_json)
    end(report.ok)


def _lines(one: SignedRepo) -> Iterator[str]:
    yield f"{one.target}: {one.repo}: {_words(one)}"
    yield from (f"  no torrent of {said}" for said in one.without)
    yield from (f"  no image of {said}" for said in one.imageless)


def _words(one: SignedRepo) -> str:
    if one.problem:
        return f"failed: {one.problem}"
    many = "" if one.snapshots == 1 else "s"
    return f"{one.snapshots} snapshot{many} made ready" if one.snapshots else "ready already"
