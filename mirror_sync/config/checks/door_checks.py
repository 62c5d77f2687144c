"""What open doors of the fronts want of other places of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import TypeAdapter, ValidationError

from mirror_sync.config.findings import Finding, quoted
from mirror_sync.config.keys.model import File
from mirror_sync.config.keys.place_keys import BucketPlace
from mirror_sync.config.keys.program_entries import CatalogueEntry, FrontEntry, HttpEntry, OciEntry
from mirror_sync.config.keys.values.scalars import FrontUrl
from mirror_sync.domain.job.targets import FROZEN

_ADDRESS: TypeAdapter[str | None] = TypeAdapter(FrontUrl | None)


def door_faults(tree: Mapping[str, object]) -> Iterator[Finding]:
    """What a door cannot be without; `tree` is the file as it was written."""
    try:
        front = FrontEntry.model_validate(tree.get("front", {}))
    except ValidationError:
        return  # which is told by itself
    if front.torrents and front.url is None:
        wants = "wants front.url: torrents name the address of the mirror; write url: https://models.example.org"
        yield Finding(("front", "torrents"), wants)
    if front.layers is not None and front.layers.partition("://")[2] == f"{front.listen.host}:{front.listen.port}":
        wants = "is where this front listens itself: write the address of a serve behind it, like http://127.0.0.1:8081"
        yield Finding(("front", "oci", "layers"), wants)
    yield from _miss_faults(tree, front)
    yield from _replica_faults(tree, front)


def _replica_faults(tree: Mapping[str, object], front: FrontEntry) -> Iterator[Finding]:
    """Addresses of replicas to which no reader of this front could be led."""
    targets = tree.get("targets")
    for name, entry in targets.items() if isinstance(targets, dict) else ():
        replicas = entry.get("replicas") if isinstance(entry, dict) else None
        known = dict[str, object]()
        for index, replica in enumerate(replicas if isinstance(replicas, list) else ()):
            try:
                url = _ADDRESS.validate_python(replica.get("front") if isinstance(replica, dict) else None)
            except ValidationError:
                continue  # as above
            trail = ("targets", name, "replicas", index, "front")
            if url is None:
                continue
            if url == front.url:
                says = "is front.url, where readers are already: write the address of a front over the replica"
                yield Finding(trail, f"{quoted(url)} {says}, or leave it out")
            elif url in known:
                says = f"is that of {quoted(str(known[url]))}, too: each replica has a front of its own"
                yield Finding(trail, f"{quoted(url)} {says}")
            known.setdefault(url, replica.get("name"))


def _miss_faults(tree: Mapping[str, object], front: FrontEntry) -> Iterator[Finding]:
    """Fronts decide nothing of what is not here by themselves: they ask the daemon."""
    try:
        http, site = HttpEntry.model_validate(tree.get("http", {})), CatalogueEntry.model_validate(tree.get("site", {}))
    except ValidationError:
        return
    right = 'http: {front_secret: "${FRONT_SECRET}"}'
    if http.listen is None:
        right += " and an address in http.listen, where none is written"
    if front.miss != "404" and http.asked_by is None:
        says = f"{front.miss} is done by the daemon, which answers only fronts that know its secret; write {right}"
        yield Finding(("front", "miss"), says)
    if site.ask.form and http.asked_by is None:
        says = f"the daemon notes what is asked for, and answers only fronts that know its secret; write {right}"
        yield Finding(("site", "ask", "form"), says)
    if site.ask.form and not site.enabled:
        yield Finding(("site", "ask", "form"), "is a part of the catalogue, which is off; remove it, or enabled: false")


def door_doubts(file: File) -> Iterator[Finding]:
    """What an open door can be without, and is less then."""
    front = file.front
    yield from _tier_doubts(file)
    if front.torrents and front.torrent_options.trackers and not file.site.enabled:
        says = "the list of torrents for trackers (/-/torrents/whitelist) is made with the catalogue, which is off"
        yield Finding(("front", "torrents"), says)
    if front.s3 and not file.site.enabled:
        message = "no list of repos is published (site: {enabled: false}), so that S3's clients cannot list them"
        yield Finding(("front", "s3"), f"{message}; what is asked for by its repo is given")
    if "images" in front.doors and isinstance(front.oci, OciEntry) and "layers" not in front.oci.model_fields_set:
        message = 'serve gives images, and an nginx has no layer of them, so that it gives none: write layers: "" where'
        yield Finding(("front", "oci", "images"), f"{message} that is meant, else the address of a serve behind it")


def _tier_doubts(file: File) -> Iterator[Finding]:
    """What moves files between tiers, or has them restored, is the daemon."""
    for name, entry in file.targets.items():
        if entry.tiers is None:
            continue
        trail, cold = ("targets", name, "tiers"), entry.tiers.cold
        if file.maintenance.prune is None:
            says = "files are moved after each prune of the daemon, and there is none: write maintenance: {prune: ...}"
            yield Finding(trail, f"{says}, or have mirror-sync archive --all-due run by a timer")
        waits = cold.storage_class in FROZEN or isinstance(cold.target, BucketPlace)
        if waits and entry.tiers.warm_back == "on-demand" and file.http.asked_by is None:
            who = "fronts ask the daemon for files that they cannot give at once, and it answers only those that know"
            yield Finding((*trail, "warm_back"), f'{who} its secret; write http: {{front_secret: "${{FRONT_SECRET}}"}}')
