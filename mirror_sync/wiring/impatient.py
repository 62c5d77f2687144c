"""Places of jobs.yaml opened for somebody who will not wait: `doctor`, who asks each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.app.looking.patient import SOON
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.job.upstreams import HubUpstream, MirrorUpstream, ModelScopeUpstream, Upstream
from mirror_sync.wiring.adapters import OfMirrors, open_source, open_store

if TYPE_CHECKING:
    from mirror_sync.domain.content.upstream import BudgetState
    from mirror_sync.ports.source import Source
    from mirror_sync.ports.store import Store
    from mirror_sync.stores.s3.bucket_probe import BucketProbe
    from mirror_sync.stores.s3.client import S3Options


class ImpatientOpener:
    """Implements `PlaceOpener` of `doctor`. `learn` is told the keys that are found on the way."""

    def __init__(self, state_dir: Path, learn: Callable[[Iterable[str]], None]) -> None:
        self._state_dir, self._learn = state_dir, learn

    def store(self, target: Target) -> Store:
        if isinstance(target, DirectoryTarget):
            return open_store(target)
        from mirror_sync.stores.s3.bucket_store import S3Store

        return S3Store(target, self._options())

    def bucket(self, target: Target) -> BucketProbe | None:
        if isinstance(target, DirectoryTarget):
            return None
        from mirror_sync.stores.s3.bucket_probe import BucketProbe

        return BucketProbe(target, self._options())

    def source(self, upstream: Upstream, endpoint: str) -> Source:
        from mirror_sync.sources.hub.budget import Budgets
        from mirror_sync.state.target_memory import mirror_memory

        if isinstance(upstream, HubUpstream):
            token = upstream.token_for(endpoint)
            upstream = replace(upstream, endpoints=(endpoint,), token=token, tokens={}, timeouts=SOON)
        elif isinstance(upstream, ModelScopeUpstream | MirrorUpstream):
            upstream = replace(upstream, timeouts=SOON)
        of_mirrors = OfMirrors(partial(mirror_memory, self._state_dir, reading=True))
        return open_source(upstream, Budgets(), 1, lambda _: None, of_mirrors)

    def budget(self, headers: Mapping[str, str]) -> Mapping[str, BudgetState]:
        from mirror_sync.sources.hub.budget import Budget

        budget = Budget()
        budget.learn(headers)
        return budget.state()

    def _options(self) -> S3Options:
        from mirror_sync.stores.s3.client import S3Options

        return S3Options(
            max_connections=2, connect_timeout=SOON.connect, read_timeout=SOON.first_byte, attempts=1, learn=self._learn
        )
