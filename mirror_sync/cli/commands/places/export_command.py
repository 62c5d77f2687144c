"""`export`: writes what is published into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command
from mirror_sync.config.keys.values import quantities
from mirror_sync.errors import UsageError


@command
def export(  # noqa: PLR0913, PLR0917  one parameter an option
    invocation: Invocation,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder of the bundle, on a disk to be carried.")],
    repos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REPO", help="org/name, dataset:org/name, or org/*; all if left out.", autocompletion=names_of_repos
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            "--since", metavar="BASE", help="Leave out what is in an earlier bundle: its folder or index.json."
        ),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", metavar="FILE", help="Leave out what the receiver has: what inventory printed there."
        ),
    ] = None,
    part_size: Annotated[
        str, typer.Option("--part-size", metavar="SIZE", help="The largest file of the bundle, like 500MB.")
    ] = "4GiB",
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Write what is published into files to be carried.

    They are for a mirror without a network, whose `mirror-sync import` takes them in; sha256sum, tar and cat restore
    them as well. The same command goes on where an interrupted one had stopped.
    """
    from mirror_sync.app.places.bundles import AskedBundle
    from mirror_sync.cli.output.bundle_text import export_text

    if since is not None and inventory is not None:
        raise UsageError("--since and --inventory exclude each other: what the receiver has, it tells best")
    try:
        size = quantities.size(part_size)
    except ValueError as error:
        raise UsageError(f"--part-size: {error}") from None
    with invocation.mirror("exporting", reading=True) as mirror:
        name = chosen(mirror.settings, target)
        report = mirror.bundles.export(name, AskedBundle(to, tuple(repos or ()), size, since, inventory))
    invocation.answer(report, lambda page: export_text(report, page), as_json=as_json)
