"""Adapters made of upstreams and targets: the only place that names every source and store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.job.upstreams import (
    DirectoryUpstream,
    HubUpstream,
    MirrorUpstream,
    ModelScopeUpstream,
    OwnUpstream,
    Upstream,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mirror_sync.domain.content.refs import Refs
    from mirror_sync.domain.digest import Sha256
    from mirror_sync.domain.outcome.events import Observer
    from mirror_sync.domain.repo import Repo
    from mirror_sync.ports.lease_place import LeasePlace
    from mirror_sync.ports.memory import ReadCache
    from mirror_sync.ports.source import Source
    from mirror_sync.ports.store import Store
    from mirror_sync.ports.tiering import Tiering
    from mirror_sync.sources.hub.budget import Budgets
    from mirror_sync.sources.hub.webhooks import Webhooks
    from mirror_sync.sources.mirror.mirror_source import Check
    from mirror_sync.sources.mirror.readers import MirrorReader

_CONNECTIONS = 32  # to one host, for those who run no jobs: the fronts, verify, prune


def connections_of(jobs: Iterable[Job]) -> int:
    """As many connections to one host as these jobs can keep busy side by side."""
    from mirror_sync.domain.job.segment_gauge import MOST
    from mirror_sync.engine.context import REPOS_AT_ONCE

    return max(_CONNECTIONS, sum(job.workers + MOST + REPOS_AT_ONCE for job in jobs))


class OpenedTiers(NamedTuple):
    """A target's store, and what moves its blobs between its tiers; None where it has one."""

    store: Store
    tiering: Tiering | None


def open_tiers(
    target: Target,
    connections: int = _CONNECTIONS,
    *,
    unsigned: bool = False,
    learn: Callable[[Iterable[str]], None] = lambda _: None,
) -> OpenedTiers:
    """The adapter for a target, over all the places where its blobs lie. See `open_store`."""
    tiers = target.tiers
    if tiers is not None and tiers.at is not None:
        from mirror_sync.stores.two_places import TwoPlaces

        warm = _one_place(target, connections, learn, unsigned=unsigned)
        both = TwoPlaces(warm, _one_place(tiers.at, connections, learn))
        return OpenedTiers(both, both)
    store = _one_place(target, connections, learn, unsigned=unsigned)
    if tiers is None:
        return OpenedTiers(store, None)
    from mirror_sync.stores.s3.bucket_store import S3Store
    from mirror_sync.stores.s3.storage_classes import ClassTiers

    if not isinstance(store, S3Store):
        raise TypeError("a class of storage is of a bucket")  # jobs.yaml was checked
    return OpenedTiers(store, ClassTiers(store, tiers.storage_class))


def open_store(
    target: Target,
    connections: int = _CONNECTIONS,
    *,
    unsigned: bool = False,
    learn: Callable[[Iterable[str]], None] = lambda _: None,
) -> Store:
    """The adapter for a target. It connects at its first call. `unsigned` reads a public bucket.

    `learn` is told the keys that boto3 finds and renews by itself.
    """
    return open_tiers(target, connections, unsigned=unsigned, learn=learn).store


def _one_place(
    target: Target, connections: int, learn: Callable[[Iterable[str]], None], *, unsigned: bool = False
) -> Store:
    if isinstance(target, DirectoryTarget):
        from mirror_sync.stores.directory.directory_store import DirectoryStore

        return DirectoryStore(target.root)
    from mirror_sync.stores.s3.bucket_store import S3Options, S3Store

    return S3Store(target, S3Options(max_connections=connections, unsigned=unsigned, learn=learn))


def open_lease(target: Target, patience: float) -> LeasePlace:
    """Where the daemons that share a target agree on who works; calls wait about so many seconds for it."""
    if isinstance(target, DirectoryTarget):
        from mirror_sync.stores.directory.folder_lease import FolderLease

        return FolderLease(target.root, patience)
    from mirror_sync.stores.s3.bucket_lease import BucketLease

    return BucketLease(target, patience)


@dataclass(frozen=True, slots=True)
class OfMirrors:
    """What a source over another mirror is made with beside: what is remembered of one at a place, and who this mirror
    is to those that it reads from.
    """

    memory: Callable[[str], ReadCache]
    ids: Callable[[], frozenset[str]] = frozenset


def open_source(
    upstream: Upstream, budgets: Budgets, connections: int, tell: Observer, of_mirrors: OfMirrors
) -> Source:
    """The adapter for an upstream, without limits and repetitions. It connects at its first call."""
    if isinstance(upstream, DirectoryUpstream | OwnUpstream):
        return _own(upstream, connections, of_mirrors)
    if isinstance(upstream, MirrorUpstream):
        return _mirror(upstream, _mirror_reader(upstream, budgets, connections, tell), of_mirrors)
    return _SOURCES[type(upstream)](upstream, budgets, connections, tell)


def _own(upstream: DirectoryUpstream | OwnUpstream, connections: int, of_mirrors: OfMirrors) -> Source:
    def pushed() -> Source:
        from mirror_sync.config.checks.target_identity import place_of
        from mirror_sync.sources.mirror.readers import StoreReader
        from mirror_sync.sources.own.own_source import OwnSource
        from mirror_sync.stores.wrapped_store import ReadOnlyStore

        target = upstream.pushed_into
        name = upstream.url if isinstance(upstream, OwnUpstream) else str(upstream.root)
        reader = StoreReader(ReadOnlyStore(open_store(target, connections)), name)
        return OwnSource(reader, of_mirrors.memory(place_of(target)))

    if isinstance(upstream, OwnUpstream):
        return pushed()
    from mirror_sync.sources.own.folder_and_pushed import FolderAndPushed

    return FolderAndPushed(upstream.root, pushed)


def _hub(upstream: HubUpstream, budgets: Budgets, connections: int, tell: Observer) -> Source:
    from mirror_sync.net.transport import Transport
    from mirror_sync.sources.hub.hub_source import HubSource
    from mirror_sync.sources.wrappers.failover import FailoverSource

    transport = Transport(timeouts=upstream.timeouts, connections=connections)
    return FailoverSource(
        [
            HubSource(
                endpoint,
                token := upstream.token_for(endpoint),
                transport,
                budget=budgets.of(endpoint, token, upstream.reserve),
                allow_private=upstream.allow_private,
                tell=tell,
            )
            for endpoint in upstream.endpoints
        ],
        prefer=upstream.prefer,
        tell=tell,
    )


def _mirror(upstream: MirrorUpstream, reader: MirrorReader, of_mirrors: OfMirrors) -> Source:
    from mirror_sync.sources.mirror.feed_view import FeedView
    from mirror_sync.sources.mirror.mirror_source import MirrorSource

    memory = of_mirrors.memory(upstream.place)
    check = None if upstream.signers is None else _statement_check(upstream.signers)
    return MirrorSource(reader, memory, FeedView(reader, memory, of_mirrors.ids), check, anonymous=not upstream.token)


def _mirror_reader(upstream: MirrorUpstream, budgets: Budgets, connections: int, tell: Observer) -> MirrorReader:
    from mirror_sync.sources.mirror.readers import FrontReader, StoreReader

    if upstream.target is not None:
        from mirror_sync.stores.wrapped_store import ReadOnlyStore

        store = open_store(upstream.target, connections, unsigned=upstream.unsigned)
        return StoreReader(ReadOnlyStore(store), upstream.url)
    from mirror_sync.net.transport import Transport

    transport = Transport(timeouts=upstream.timeouts, connections=connections)
    budget = budgets.of(upstream.url, upstream.token, 0.0)
    private = upstream.allow_private
    return FrontReader(upstream.url, upstream.token, transport, budget, allow_private=private, tell=tell)


def _statement_check(signers: Path) -> Check:
    """Reads the keys each time: a rotation needs no restart."""

    def check(repo: Repo, refs: Refs, read: Callable[[Sha256], bytes]) -> int:
        from mirror_sync.signing.proof import expect_stated

        return expect_stated(signers, repo, refs, read).serial

    return check


def _modelscope(upstream: ModelScopeUpstream, budgets: Budgets, connections: int, tell: Observer) -> Source:
    from mirror_sync.net.transport import Transport
    from mirror_sync.sources.modelscope.modelscope_source import ModelScopeSource
    from mirror_sync.sources.wrappers.failover import FailoverSource

    source = ModelScopeSource(
        upstream,
        Transport(timeouts=upstream.timeouts, connections=connections),
        budget=budgets.of(upstream.url, upstream.token),
        tell=tell,
    )
    return FailoverSource([source])  # one that does not answer is left alone for a while


_SOURCES: Mapping[type[Upstream], Callable[[Any, Budgets, int, Observer], Source]] = {
    HubUpstream: _hub,
    ModelScopeUpstream: _modelscope,
}
"""The adapter of each kind of upstream; its keys in jobs.yaml are in config/keys/endpoints.py."""


def open_webhooks(upstream: HubUpstream) -> Webhooks:
    """The webhooks of the account that an upstream's token belongs to, at its first endpoint."""
    from mirror_sync.sources.hub.webhooks import Webhooks

    first = upstream.endpoints[0]
    return Webhooks(first, upstream.token_for(first) or "", upstream.timeouts)
