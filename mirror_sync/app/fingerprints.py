"""What names of jobs.yaml stand for, said so that others can compare it: other runs, other machines."""

from __future__ import annotations

from hashlib import sha256

from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings


def places_of(settings: Settings) -> dict[str, str]:
    """Where each job publishes: the same text for the same place, however its target is named."""
    return {job.name: place_of(settings.targets[job.target]) for job in settings.jobs}


def fingerprints_of(settings: Settings) -> dict[str, str]:
    """What each upstream and target is, what is signed, and for which doors of fronts documents are made, without
    secrets, in a word: other machines must mean the same by a name. Where a key lies is each machine's own affair.
    """
    named = {f"upstream {name}": repr(side) for name, side in settings.upstreams.items()}
    named |= {f"target {name}": repr(side) for name, side in settings.targets.items()}
    trust = settings.trust
    named["trust"] = repr((trust.principal, sorted(trust.keys), trust.boms))
    named["front"] = repr(sorted(settings.front.documented_doors))
    return {name: sha256(said.encode()).hexdigest()[:16] for name, said in named.items()}
