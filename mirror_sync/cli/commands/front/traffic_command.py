"""`traffic`: who reads the mirror, by the logs of its fronts."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command

if TYPE_CHECKING:
    from mirror_sync.cli.output.tables import TextLayout


class By(StrEnum):
    """What `traffic` lists."""

    REPO = "repo"
    USER = "user"
    ROLE = "role"


@command
def traffic(
    invocation: Invocation,
    logs: Annotated[list[str], typer.Argument(metavar="LOG", help="Logs of the nginx front, also .gz; - for stdin.")],
    target: Target = None,
    by: Annotated[By, typer.Option("--by", help="What to list: repos, or who reads them.")] = By.REPO,
    as_json: Json = False,
) -> None:
    """Show who reads the mirror, and what nobody reads.

    Also what is asked for in vain. A download is a file that was read from its first byte on. What is found is
    kept in the state folder, for the chart of the catalogue.
    """
    from mirror_sync.cli.output.traffic_text import readers_text, traffic_text
    from mirror_sync.config.tokens.tokens_file import known_tokens

    with invocation.mirror() as mirror:
        report = mirror.traffic(chosen(mirror.settings, target), logs)
        tokens = known_tokens(mirror.settings.tokens) or ()
    roles = {one.name: one.role for one in tokens} if by is By.ROLE else None
    every = invocation.options.verbose

    def show(page: TextLayout) -> str:
        if by is By.REPO:
            return traffic_text(report, page, every=every)
        return readers_text(report, page, roles)

    invocation.answer(report, show, as_json=as_json)
