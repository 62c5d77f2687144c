"""`traffic`: who reads the mirror, by the logs of its fronts."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command


@command
def traffic(
    invocation: Invocation,
    logs: Annotated[list[str], typer.Argument(metavar="LOG", help="Logs of the nginx front, also .gz; - for stdin.")],
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show who reads the mirror, and what nobody reads.

    Also what is asked for in vain. A download is a file that was read from its first byte on. What is found is
    kept in the state folder, for the chart of the catalogue.
    """
    from mirror_sync.cli.output.traffic_text import traffic_text

    with invocation.mirror() as mirror:
        report = mirror.traffic(chosen(mirror.settings, target), logs)
    every = invocation.options.verbose
    invocation.answer(report, lambda page: traffic_text(report, page, every=every), as_json=as_json)
