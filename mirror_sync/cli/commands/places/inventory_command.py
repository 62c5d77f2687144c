"""`inventory`: which blobs are here, for an export elsewhere."""

from __future__ import annotations

from itertools import islice

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command

_AT_ONCE = 1000  # lines


@command
def inventory(invocation: Invocation, target: Target = None, as_json: Json = False) -> None:
    """Print which blobs are here, for export --inventory elsewhere.

    It names no repo and no file: a line for each SHA-256; as JSON with its bytes. An export reads either.
    """
    from mirror_sync.engine.places.bundle_format import inventory_json, inventory_lines

    with invocation.mirror(None, reading=True) as mirror:
        name = chosen(mirror.settings, target)
        blobs = mirror.bundles.inventory(name)
        lines = inventory_json(name, blobs) if as_json else inventory_lines(blobs)
        while some := [*islice(lines, _AT_ONCE)]:
            invocation.print("\n".join(some))
