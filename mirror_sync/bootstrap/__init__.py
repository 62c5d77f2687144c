"""Assembles the program from its settings: the only place that names every adapter.

`adapters` makes one source or store, `assembly` the engine's context of all of them, `catalogues` publishes what
`knowledge` tells it of a target, and `mirror` has the program's verbs. `fingerprints` says what names of jobs.yaml
stand for.
"""

from mirror_sync.bootstrap.adapters import connections_of
from mirror_sync.bootstrap.fingerprints import places_of
from mirror_sync.bootstrap.mirror import Mirror

__all__ = ["Mirror", "connections_of", "places_of"]
