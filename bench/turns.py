"""Turns: what one contestant does in one round, from an empty target to a full one, checked when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import competitors
from bench.content import Made
from bench.measure import Command, Cost, measured
from bench.setting import Setting, settle
from bench.upstream import Upstream
from tests.servers.radosgw import Gateway

OURS = "mirror-sync"
UNCONFIRMED = f"{OURS}, confirm: off"
TUNED, DEFAULT = "rclone tuned", "rclone default"
SNAPSHOT, ARIA = "snapshot_download", "aria2c + sha256sum"
BY_RCLONE, BY_S5CMD = f"{SNAPSHOT}, then rclone", f"{SNAPSHOT}, then s5cmd"


Upload = Callable[[Path, Gateway, str], Command]
"""What brings a folder into a bucket."""


class WrongResult(RuntimeError):
    """A contestant ended well but its target does not hold what it should."""


@dataclass(frozen=True)
class Place:
    """Where a turn is taken."""

    setting: Setting
    upstream: Upstream
    folder: Path
    """Empty; removed after the turn."""
    check: bool
    """Whether the target is to be compared with the repo."""

    @contextmanager
    def bucket(self) -> Iterator[tuple[Gateway, str]]:
        """An empty bucket, for as long as the block lasts."""
        gateway = self.setting.gateway()
        bucket = gateway.make_bucket()
        try:
            yield gateway, bucket
        finally:
            gateway.free(bucket)

    def jobs(self, target: dict[str, str]) -> Path:
        """What we are told to mirror, and where."""
        repos = [self.upstream.repo_id]
        return competitors.jobs(self.folder, self.upstream.hub, repos, target, catalogue=False)

    def run(self, command: Command) -> Cost:
        """Measure a command, with nothing of others left to be written out."""
        settle()
        return measured(command, self.folder / "log")


class Turn(Protocol):
    """What takes its turn in a round."""

    def __call__(self, place: Place) -> Mapping[str, Cost]:
        """Return what each contestant that came in this turn cost. Raises CommandError or WrongResult."""


def ours_to_bucket(place: Place) -> Mapping[str, Cost]:
    """Mirror into a bucket."""
    return {f"{OURS} > S3": _into_bucket(place, {})}


def ours_unconfirmed(place: Place) -> Mapping[str, Cost]:
    """Mirror into a bucket without looking for what was put."""
    return {f"{UNCONFIRMED} > S3": _into_bucket(place, {"confirm": "off"})}


def _into_bucket(place: Place, more: Mapping[str, str]) -> Cost:
    with place.bucket() as (gateway, bucket):
        configuration = place.jobs({**competitors.bucket_target(gateway, bucket), **more})
        cost = place.run(competitors.sync(configuration))
        if place.check:
            _check_mirror(place, configuration, _bucket_sizes(gateway, bucket))
        return cost


def ours_to_folder(place: Place) -> Mapping[str, Cost]:
    """Mirror into a directory."""
    mirror = place.folder / "mirror"
    configuration = place.jobs({"url": mirror.as_uri()})
    cost = place.run(competitors.sync(configuration))
    if place.check:
        _check_mirror(place, configuration, _folder_sizes(mirror))
    return {f"{OURS} > directory": cost}


def rclone_to_bucket(name: str, flags: tuple[str, ...]) -> Turn:
    """``rclone copy`` from the CDN into a bucket, with these flags."""

    def turn(place: Place) -> Mapping[str, Cost]:
        with place.bucket() as (gateway, bucket):
            cost = place.run(competitors.rclone(place.upstream, gateway, bucket, flags))
            if place.check:
                _check_copy(name, place.upstream.repo.files, _bucket_sizes(gateway, bucket))
            return {f"{name} > S3": cost}

    return turn


def to_folder(name: str, command: Callable[[Upstream, Path], Command]) -> Turn:
    """A command that fills a folder."""

    def turn(place: Place) -> Mapping[str, Cost]:
        folder = place.folder / "files"
        cost = place.run(command(place.upstream, folder))
        if place.check:
            _check_copy(name, place.upstream.repo.files, _folder_sizes(folder))
        return {f"{name} > directory": cost}

    return turn


def rclone_to_folder(name: str, flags: tuple[str, ...] = ()) -> Turn:
    """``rclone copy`` from the CDN into a folder, with these flags."""
    return to_folder(name, lambda upstream, folder: competitors.rclone(upstream, None, str(folder), flags))


aria2_to_folder = to_folder(ARIA, competitors.aria2)


def two_steps(flags: tuple[str, ...]) -> Turn:
    """``snapshot_download`` to disk, and from there to S3: by rclone with these flags, and by s5cmd."""
    uploads: dict[str, Upload] = {
        BY_RCLONE: lambda folder, gateway, bucket: competitors.rclone(folder, gateway, bucket, flags),
        BY_S5CMD: competitors.s5cmd,
    }

    def turn(place: Place) -> Mapping[str, Cost]:
        folder = place.folder / "files"
        first = place.run(competitors.snapshot_download(place.upstream, folder, place.folder / "home"))
        if place.check:
            _check_copy(SNAPSHOT, place.upstream.repo.files, _folder_sizes(folder))
        costs = {f"{SNAPSHOT} > directory": first}
        for name, upload in uploads.items():
            with place.bucket() as (gateway, bucket):
                costs[f"{name} > S3"] = first.then(place.run(upload(folder, gateway, bucket)))
                if place.check:
                    _check_copy(name, place.upstream.repo.files, _bucket_sizes(gateway, bucket))
        return costs

    return turn


def _check_copy(name: str, wanted: Mapping[str, Made], found: Mapping[str, int]) -> None:
    sizes = {path: made.size for path, made in wanted.items()}
    kept = {path: size for path, size in found.items() if not path.startswith(".cache/")}
    _compare(name, sizes, kept)


def _check_mirror(place: Place, configuration: Path, found: Mapping[str, int]) -> None:
    """Every file is there under its SHA-256, and `verify` reads all of it back."""
    wanted = place.upstream.repo.files.values()
    sizes = {f"blobs/sha256/{made.sha256[:2]}/{made.sha256}": made.size for made in wanted}
    _compare(OURS, sizes, {key: size for key, size in found.items() if key in sizes})
    measured(competitors.verify(configuration), place.folder / "verify.log")


def _compare(name: str, wanted: Mapping[str, int], found: Mapping[str, int]) -> None:
    if wanted == found:
        return
    missing, added = len(wanted.keys() - found.keys()), len(found.keys() - wanted.keys())
    odd = next(path for path in sorted(wanted.keys() | found.keys()) if wanted.get(path) != found.get(path))
    message = f"{name}: {missing} files missing, {added} too many; {odd}: {found.get(odd)} not {wanted.get(odd)} bytes"
    raise WrongResult(message)


def _bucket_sizes(gateway: Gateway, bucket: str) -> dict[str, int]:
    pages = gateway.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}


def _folder_sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
