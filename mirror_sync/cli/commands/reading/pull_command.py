"""`pull`: one revision of a repo, from a mirror, proved."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.at_a_mirror import From, NamedRepo, reading, repo_and_revision
from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command

if TYPE_CHECKING:
    from mirror_sync.engine.pull.pulling import Pulled

_REDRAWN = 0.5  # seconds
_MOST = 64  # files at once


@command
def pull(  # noqa: PLR0913, PLR0917  one parameter an option
    invocation: Invocation,
    repo: NamedRepo,
    source: From = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Into this folder; the cache of the Hub's clients if left out."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="GLOB", help="These files, the card and licences; repeatable."),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option("--signers", metavar="FILE", help="Public keys; what none of them has signed is not pulled."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, max=_MOST, help="Files at once.")] = 8,
    as_json: Json = False,
) -> None:
    """Download a repo from a mirror, each file proved.

    Needs no jobs.yaml and keeps no state. A pull that was stopped goes on where it was. HF_TOKEN, or what hf auth login
    has kept, is sent to the mirror.
    """
    from mirror_sync.wiring.pull_reader import PullOrder

    wanted, revision = repo_and_revision(repo)
    order = PullOrder(wanted, revision, folder, tuple(include or ()), signers, workers)
    shown = _Shown(sys.stderr.isatty() and invocation.options.loudness >= 0)
    with reading(invocation, source, workers) as mirror:
        try:
            found = mirror.pull(order, shown)
        finally:
            shown.wipe()
    invocation.answer(found, lambda page: _text(found), as_json=as_json)
    for problem in found.problems:
        invocation.say(problem)
    end(found.ok)


class _Shown:
    """What a terminal shows meanwhile: one line, which is drawn again and again."""

    def __init__(self, watched: bool) -> None:
        self._watched, self._next = watched, 0.0

    def __call__(self, files: int, size: int) -> None:
        if self._watched and time.monotonic() >= self._next:
            self._next = time.monotonic() + _REDRAWN
            sys.stderr.write(f"\r\x1b[K{files:,} files, {size:,} bytes")
            sys.stderr.flush()

    def wipe(self) -> None:
        if self._watched:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _text(found: Pulled) -> str:
    """One line of what is proved, and of what is not; what failed is told apart."""
    opened = found.opened
    of = "" if found.files == opened.root.files else f" of {opened.root.files:,}"
    what = f"{opened.repo} at {opened.revision}, commit {opened.root.commit}: {found.files:,}{of} files"
    if not found.ok:
        return f"not complete: {what}, {found.failed:,} failed"
    if not found.files:
        return f"nothing matches: {what}"
    held = f"signed by {found.signer}" if found.signer else "who stands for that root was not asked (--signers)"
    return (
        f"proved: {what}, {found.bytes:,} bytes, {found.kept:,} there before, in {found.place}; each by its SHA-256 "
        f"up to root {opened.digest}; {held}"
    )
