"""`wishes`: what readers asked for in vain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_targets
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.observe.figures import age, counted

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.wish import RepoWish, Wishlist

_SHOWN = 3  # of those who asked


@command
def wishes(
    invocation: Invocation,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="NAME", help="Only what was asked for of this target.", autocompletion=names_of_targets
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what readers asked for that is not mirrored.

    As fronts and traffic have told this machine, those first that most ask for. grant has a job mirror it.
    """
    from mirror_sync.app.wishlist import wishlist_of

    with invocation.mirror(None, reading=True) as mirror:
        found = wishlist_of(mirror.settings, target, mirror.status())
    now, several = datetime.now(UTC), len({one.target for one in found.wishes}) > 1
    invocation.answer(found, lambda page: _text(found, page, now, several=several), as_json=as_json)


def _text(found: Wishlist, page: TextLayout, now: datetime, *, several: bool) -> str:
    if not found.wishes:
        return "Nobody has asked for anything that is not mirrored, as far as this machine was told."
    heads = ("ASKED", "BY", "LAST", "TARGET", "REPO") if several else ("ASKED", "BY", "LAST", "REPO")
    rows = [Row(_cells(one, now, several=several), _note(one)) for one in found.wishes]
    table = page.table(heads, rows, words=("REPO",))
    return f"{table}\n{counted(len(found.wishes), 'repo')} wanted; mirror-sync grant REPO --job JOB has one mirrored."


def _cells(one: RepoWish, now: datetime, *, several: bool) -> tuple[str, ...]:
    place = (one.target,) if several else ()
    return str(one.count), str(len(one.askers)), age(one.last, now), *place, str(one.repo)


def _note(one: RepoWish) -> str:
    more = len(one.askers) - _SHOWN
    askers = ", ".join(one.askers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return "; ".join(filter(None, (askers, one.outcome and f"{one.outcome}: {one.verdict}")))
