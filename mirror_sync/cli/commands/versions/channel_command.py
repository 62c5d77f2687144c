"""`channel`: which names of ours a repo has, and who moved them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, chosen, command, repo_of
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.observe.figures import age

if TYPE_CHECKING:
    from mirror_sync.app.versions.releasing import RepoNames

_SHOWN = 20  # moves of a history; all of them are in the JSON


@command
def channel(invocation: Invocation, repo: RepoArgument, target: Target = None, as_json: Json = False) -> None:
    """Show the channels and tags of a repo, and who moved them."""
    with invocation.mirror(None, reading=True) as mirror:
        found = mirror.releases.names(chosen(mirror.settings, target), repo_of(repo))
    now = datetime.now(UTC)
    invocation.answer(found, lambda page: "\n".join(_text(found, page, now)), as_json=as_json)


def _text(found: RepoNames, page: TextLayout, now: datetime) -> Iterator[str]:
    names = {**({"main": found.main} if found.main else {}), **found.names}
    if names:
        yield page.table(("NAME", "COMMIT"), [Row((name, commit)) for name, commit in names.items()])
    if found.pinned is not None:
        yield page.sentence(f"main is pinned {found.pinned.said}; mirror-sync unpin {found.repo} lets it follow again.")
    if found.share is not None:
        yield page.sentence(f"{found.share.said} of those who ask for main are given {found.share.channel}.")
    if not found.names:
        first = f"mirror-sync promote {found.repo} main candidate makes one"
        yield page.sentence(f"{found.repo} has no channel and no tag of this mirror's own; {first}.")
    if found.history:
        rows = [
            Row((one.verb, age(one.at, now), _short(one.before), _short(one.after), one.by, one.name), one.why)
            for one in reversed(found.history[-_SHOWN:])
        ]
        yield page.table(("DONE", "AGE", "FROM", "TO", "BY", "NAME"), rows, dispensable=("BY",), words=("BY",))
    yield from (page.sentence(f"note: {note}") for note in found.notes)


def _short(commit: str | None) -> str:
    return "-" if commit is None else commit[:SHORT]
