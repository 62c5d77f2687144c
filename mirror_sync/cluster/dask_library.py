"""The library of the scheduler and of the workers: imported when it is asked for, quiet, and what ours are known by."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from mirror_sync.errors import ClusterError

NAME = "mirror-sync"


def resource(of_version: str | None = None) -> str:
    """What our workers offer one of for each work item they take at once, and no other process does."""
    return f"{NAME}-{of_version or version(NAME)}"


def import_distributed() -> Any:
    """The library. ClusterError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise ClusterError("engine: {kind: dask} needs the extra: pip install 'mirror-sync[cluster]'") from error
    return distributed


def quieten() -> None:
    """What Dask logs of lost connections is said by us in one line."""
    import_distributed()  # it sets its own level
    for name in ("distributed", "distributed.client", "distributed.worker", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
