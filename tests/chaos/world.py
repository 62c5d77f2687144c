"""One world: an upstream, a target, two machines that mirror it, a front, and a reader; thrown away after some rounds.

Worlds bound what a long run takes of disk and memory, and a failure is found again by its world alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.actors import Ending, Machine, beside, knows, start
from tests.chaos.faults import Faulter
from tests.chaos.inspector import Inspector
from tests.chaos.jobs import SELDOM, write_jobs
from tests.chaos.ledger import KEPT, Ledger
from tests.chaos.neighbour import Neighbour
from tests.chaos.proxy import Proxy, proxy
from tests.chaos.reader import Client, Reader, reading
from tests.chaos.shelf import BucketShelf, FolderShelf, Shelf
from tests.chaos.tally import Finding, Meter, Tally, Traffic
from tests.chaos.upstream import Upstream
from tests.servers.bucket import S3Server
from tests.servers.ports import answers, free_port
from tests.standin import Hub

LEASE = 3.0
"""Seconds that a daemon of two keeps the work, the least there is."""
_FRONT = Ending(None, 1e9)


@dataclass
class World:
    """All that a round needs."""

    number: int
    folder: Path
    dice: Random
    hub: Hub
    meter: Meter
    upstream: Upstream
    near: Neighbour
    traffic: Traffic
    faulter: Faulter
    machines: tuple[Machine, Machine]
    patient: Machine
    """The first machine, with a schedule of hours."""
    pair: tuple[Machine, Machine]
    """Both machines, for daemons of which one works at a time."""
    ledger: Ledger
    inspector: Inspector
    tally: Tally
    shelf: Shelf
    rest: threading.Lock = field(default_factory=threading.Lock)
    """While it is held the reader reads nothing."""


@dataclass(frozen=True)
class Place:
    """A target: how the program reaches it, how the front does, and how it is read."""

    url: Mapping[str, str]
    direct: Mapping[str, str]
    shelf: Shelf
    proxy: Proxy | None = None


@contextmanager
def folder_place(folder: Path) -> Iterator[Place]:
    """A directory."""
    root = folder / "mirror"
    root.mkdir()
    url = {"url": root.as_uri()}
    yield Place(url, url, FolderShelf(root))


@contextmanager
def bucket_place(server: S3Server) -> Iterator[Place]:
    """A bucket behind a proxy; emptied afterwards, since radosgw's store is memory."""
    bucket = server.make_bucket()
    with proxy(server.endpoint_url) as between:
        through, direct = (server.place(bucket=bucket, endpoint_url=url) for url in (between.url, None))
        try:
            yield Place(through, direct, BucketShelf(server, bucket), between)
        finally:
            server.empty(bucket)


@contextmanager
def world(number: int, seed: int, folder: Path, server: S3Server | None, tally: Tally) -> Iterator[World]:
    """Build a world; `server` None: its target is a directory. A reader reads for as long as the block lasts."""
    with unwatched(number, seed, folder, server, tally) as (one, place), ExitStack() as stack:
        front = _start_front(stack, one, place)
        client = Client(front, one.upstream.truth, Random(one.dice.random()))
        dice = Random(one.dice.random())
        reader = Reader(one.upstream.truth, one.ledger, one.inspector, client, dice, tally, rest=one.rest)
        stack.enter_context(reading(reader))
        yield one
    tally.close(one.traffic)
    tally.raced += one.ledger.raced


@contextmanager
def unwatched(
    number: int, seed: int, folder: Path, server: S3Server | None, tally: Tally
) -> Iterator[tuple[World, Place]]:
    """A world without a reader."""
    folder.mkdir(parents=True)
    dice = Random(f"{seed} {number}")
    with ExitStack() as stack:
        place = stack.enter_context(folder_place(folder) if server is None else bucket_place(server))
        yield _furnished(stack, number, folder, dice, place, tally), place


def _furnished(stack: ExitStack, number: int, folder: Path, dice: Random, place: Place, tally: Tally) -> World:
    hub, beside_it, meter = Hub(), Hub(), Meter()
    for one in (hub, beside_it):
        one.log = meter
        stack.enter_context(one)
    upstream = Upstream(hub, Random(dice.random()))
    upstream.populate()
    near = Neighbour(beside_it, upstream, Random(dice.random()))
    near.look()
    truth, traffic = upstream.truth, Traffic()
    # By pairs of worlds: directories and buckets take turns.
    kept = KEPT[number // 2 % len(KEPT)]
    ledger = Ledger(place.shelf, truth, lambda kind, seen: None, upstream.refused, kept=kept)
    ledger.say = _teller(tally, number, ledger)
    machines = (Machine("one", folder / "one.yaml"), Machine("two", folder / "two.yaml"))
    patient = Machine("one", folder / "patient.yaml")
    endpoints = (hub.url, beside_it.url)
    for machine in machines:
        write_jobs(machine, endpoints, place.url, kept)
    write_jobs(patient, endpoints, place.url, kept, SELDOM)
    pair = (Machine("one", folder / "one-of-two.yaml"), Machine("two", folder / "two-of-two.yaml"))
    for machine in pair if knows("", "ha") else ():
        write_jobs(machine, endpoints, place.url, kept, lease=LEASE)
    return World(
        number=number,
        folder=folder,
        dice=dice,
        hub=hub,
        meter=meter,
        upstream=upstream,
        near=near,
        traffic=traffic,
        faulter=Faulter(hub, truth, traffic, place.proxy),
        machines=machines,
        patient=patient,
        pair=pair,
        ledger=ledger,
        inspector=Inspector(place.shelf, truth, Random(dice.random())),
        tally=tally,
        shelf=place.shelf,
    )


def _teller(tally: Tally, number: int, ledger: Ledger) -> Callable[[str, str], None]:
    def say(kind: str, seen: str) -> None:
        tally.found(Finding(kind, number, ledger.season.number, seen))

    return say


def _start_front(stack: ExitStack, one: World, place: Place) -> str:
    """The program's own front, as a process, past the proxy: the mirror is judged, not its server's network."""
    machine = Machine("front", one.folder / "front.yaml")
    write_jobs(machine, [one.hub.url], place.direct, one.ledger.kept)
    port = free_port()
    run = start(machine, 0, ("serve", "--port", str(port)), _FRONT)
    stack.enter_context(beside(run))
    while not answers(port):
        if run.running.poll() is not None:
            raise RuntimeError(f"serve ended with {run.running.returncode}: {run.out.with_suffix('.err').read_text()}")
    return f"http://127.0.0.1:{port}"
