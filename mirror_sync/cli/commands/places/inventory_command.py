"""`inventory`: which blobs are here, for an export elsewhere."""

from __future__ import annotations

from itertools import islice

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Target, chosen, command

_AT_ONCE = 1000  # lines


@command
def inventory(invocation: Invocation, target: Target = None) -> None:
    """Print which blobs are here, for export --inventory elsewhere.

    It names no repo and no file: a line for each SHA-256.
    """
    from mirror_sync.engine.places.bundle_format import INVENTORY

    with invocation.mirror(None, reading=True) as mirror:
        digests = mirror.bundles.inventory(chosen(mirror.settings, target))
        invocation.print(INVENTORY)
        while some := [*islice(digests, _AT_ONCE)]:
            invocation.print("\n".join(some))
