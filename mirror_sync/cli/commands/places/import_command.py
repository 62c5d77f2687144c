"""`import`: publishes what a bundle brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command


@command
def import_bundle(
    invocation: Invocation,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the bundle, as far as it is here.")],
    signers: Annotated[
        Path | None,
        typer.Option("--signers", metavar="FILE", help="Take only what these keys have signed (allowed_signers)."),
    ] = None,
    older: Annotated[
        bool, typer.Option("--older", help="Take a bundle that is older than what was imported before, too.")
    ] = False,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Publish what an export brings, all of it proved.

    The same command goes on where an interrupted one had stopped, and when more parts are there. Names that a person
    has set here stay; what was taken down where the bundle comes from is taken down here.
    """
    from mirror_sync.cli.output.bundle_text import import_text

    with invocation.mirror("importing") as mirror:
        name = chosen(mirror.settings, target)
        report = mirror.bundles.take_in(invocation.actor, name, folder, signers, older=older)
    invocation.answer(report, lambda page: import_text(report, page), as_json=as_json)
    end(report.ok)
