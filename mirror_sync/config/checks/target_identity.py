"""Where a target publishes, so written that one place is one text: two names of it would lock and prune it apart."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from glob import glob
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mirror_sync.config.findings import Finding, quoted
from mirror_sync.config.keys.endpoints import OwnEntry, TargetEntry
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.url import Url
from mirror_sync.owners import EVERYBODY, is_open, who_else_writes, whose

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AWS = re.compile(r"s3[a-z0-9.\-]*\.amazonaws\.com")  # whose buckets have their names to themselves, in all regions
_FOLDERS = ("/", "./", "../", "file:")  # nothing but a folder begins so
_ENTRY: TypeAdapter[TargetEntry] = TypeAdapter(TargetEntry)


def place_of(target: Target) -> str:
    """What two targets have in common when, and only when, they publish into one place. Links are followed."""
    if isinstance(target, DirectoryTarget):
        return f"file://{os.path.realpath(target.root)}"
    return f"{_endpoint(target.endpoint_url)}/{target.bucket}/{target.prefix}"


def faults(tree: Mapping[str, object], base: Path) -> Iterator[Finding]:
    """The targets of a file, and replicas, that are places of others; those with faults of their own are left out."""
    first: dict[str, str] = {}
    for name, target in _targets(tree.get("targets"), base):
        place = place_of(target)
        if place in first:
            what = f"{quoted(name)} and {quoted(first[place])} are one place, {quoted(place)}"
            yield Finding(("targets", name), f"{what}; keep one of them, and name it in all jobs")
        first.setdefault(place, name)
    yield from _doubled_upstreams(tree, base, first)
    yield from _doubled_replicas(tree, base, first)
    yield from _doubled_tiers(tree, base, first)


def _doubled_upstreams(tree: Mapping[str, object], base: Path, known: dict[str, str]) -> Iterator[Finding]:
    """Own upstreams in places that are known by now; theirs become known."""
    own = dict[str, str]()
    for name, place in _own_places(tree.get("upstreams"), base):
        if place in own:
            what = f"{quoted(name)} and {quoted(own[place])} are one place, {quoted(place)}"
            yield Finding(("upstreams", name), f"{what}; keep one of them, and name it in all jobs")
        elif place in known:
            what = f"{quoted(place)} is the target {quoted(known[place])}, too: what is pushed would stand among it"
            yield Finding(("upstreams", name, "url"), f"{what}; give the upstream a place of its own")
        else:
            own[place] = name
    known |= own


def _doubled_replicas(tree: Mapping[str, object], base: Path, known: dict[str, str]) -> Iterator[Finding]:
    """Replicas in places that are known by now, and names that one target has twice."""
    for name, target in _targets(tree.get("targets"), base):
        called = set[str]()
        for index, replica in enumerate(target.replicas):
            trail, place = ("targets", name, "replicas", index), place_of(replica.at)
            if place in known:
                what = f"{quoted(replica.name)} and {quoted(known[place])} are one place, {quoted(place)}"
                yield Finding(trail, f"{what}; a replica has a place of its own")
            elif (nested := _nested(target, replica.at)) is not None:
                what = f"{quoted(nested[0])} lies inside {quoted(nested[1])}"
                said = f"{what}: who loses one loses both; a replica has a place of its own, outside its target's"
                yield Finding((*trail, "url"), said)
            if replica.name == name:
                what = f"{quoted(name)} is the name of its target, too"
                yield Finding((*trail, "name"), f"{what}: nobody could tell which is meant; call it otherwise")
            if replica.name in called:
                yield Finding((*trail, "name"), f"{quoted(replica.name)} stands here twice; call one of them otherwise")
            called.add(replica.name)
            known.setdefault(place, f"{name}/{replica.name}")


def _nested(target: Target, other: Target) -> tuple[str, str] | None:
    """The folder that lies inside the other one, and that; None where neither does. Links are followed."""
    if isinstance(target, DirectoryTarget) and isinstance(other, DirectoryTarget):
        folders = [Path(os.path.realpath(one.root)) for one in (target, other)]
        for inner, outer in (folders, folders[::-1]):
            if inner.is_relative_to(outer):
                return str(inner), str(outer)
    return None


def _doubled_tiers(tree: Mapping[str, object], base: Path, known: dict[str, str]) -> Iterator[Finding]:
    """Cold tiers in places that are known by now: nothing names what is cold there, and a prune would remove it."""
    for name, target in _targets(tree.get("targets"), base):
        if target.tiers is None or target.tiers.at is None:
            continue
        trail, place = ("targets", name, "tiers", "cold", "target"), place_of(target.tiers.at)
        if place in known:
            what = f"it is the place of {quoted(known[place])}, {quoted(place)}, too"
            yield Finding(trail, f"{what}; a cold tier has a place of its own")
        elif (nested := _nested(target, target.tiers.at)) is not None:
            what = f"{quoted(nested[0])} lies inside {quoted(nested[1])}"
            yield Finding((*trail, "url"), f"{what}; a cold tier has a place of its own, outside its target's")
        known.setdefault(place, f"the cold tier of {name}")


def doubts(tree: Mapping[str, object], base: Path) -> Iterator[Finding]:
    """Targets that are folders, and look as if a scheme was forgotten: the name of a bucket would make a folder."""
    targets = tree.get("targets")
    for name, entry in targets.items() if isinstance(targets, dict) else ():
        url = entry.get("url") if isinstance(entry, dict) else None
        if isinstance(url, str) and not url.startswith(_FOLDERS) and not url.startswith("s3:"):
            what = f"{quoted(url)} has no scheme, and becomes the folder {plain(str(base / url))}"
            yield Finding(
                ("targets", name, "url"), f"{what}; write {quoted(f'./{url}')} if that is meant, else s3://..."
            )


def uncounted(targets: Mapping[str, Target], *, by_digest: bool) -> Iterator[Finding]:
    """Targets with a bound, or tiers, of which it cannot be known here who reads them, so that nothing ever goes."""
    for name, target in targets.items():
        counted = target.keep or target.tiers
        trail = ("targets", name, "tiers" if target.keep is None else "keep")
        nothing = "no prune lets anything go here" if target.keep is not None else "nothing goes cold here by itself"
        for pattern in () if counted is None else counted.logs:
            found = glob(pattern)  # noqa: PTH207  of an absolute pattern
            if not found:
                yield Finding((*trail, "logs"), f"there is no {plain(pattern)} on this machine: {nothing}")
            elif not any(os.access(path, os.R_OK) for path in found):
                yield Finding((*trail, "logs"), f"{plain(pattern)} cannot be read: {nothing}")
        if counted is not None and by_digest:
            said = "what front: {by_digest} gives is of no repo: after each such read counting begins anew"
            yield Finding(trail, said)


def openness(state_dir: Path) -> Iterator[Finding]:
    """A state folder that others may look or write into: it is made for its owner alone."""
    writer = who_else_writes(state_dir)
    if writer:
        right = f"chmod {'0700' if writer == EVERYBODY else 'g-w'} {state_dir}"
        said = f"{writer} may write into it, and replace what is kept there: {whose(state_dir)}; {right}"
        yield Finding(("state_dir",), said)
    if is_open(state_dir) and writer != EVERYBODY:
        yield Finding(("state_dir",), f"others may look into it: {whose(state_dir)}; chmod 0700 {state_dir}")


def _targets(targets: object, base: Path) -> Iterator[tuple[str, Target]]:
    for name, entry in targets.items() if isinstance(targets, dict) else ():
        try:
            yield name, _ENTRY.validate_python(entry).target(base)
        except ValidationError:
            continue


def _own_places(upstreams: object, base: Path) -> Iterator[tuple[str, str]]:
    """Where push puts models, of upstreams of kind: own that have no faults."""
    for name, entry in upstreams.items() if isinstance(upstreams, dict) else ():
        if isinstance(entry, dict) and entry.get("kind") == "own":
            try:
                found = OwnEntry.model_validate(entry)
            except ValidationError:
                continue
            yield name, place_of(found.place(base))


def _endpoint(url: str | None) -> str:
    if url is None:
        return "s3:/"
    found = Url.parse(url)
    host = found.host.rstrip(".")
    if _AWS.fullmatch(host):
        return "s3:/"
    return str(replace(found, host="127.0.0.1" if host in _LOOPBACK else host)).rstrip("/")
