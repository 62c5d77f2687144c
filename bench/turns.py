"""Turns: what one contestant does in one round, from an empty target to a full one, checked when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from bench import competitors
from bench.builds import HERE, OURS, Build
from bench.content import Made
from bench.figures import Effect
from bench.measure import Command, Cost, measured
from bench.setting import Setting, settle
from bench.upstream import Upstream
from tests.servers.radosgw import Gateway

To = Literal["S3", "directory"]
UNCONFIRMED = f"{OURS}, confirm: off"
UNSIGNED = f"{OURS}, sign: never"
TUNED, DEFAULT = "rclone tuned", "rclone default"
DURABLE, HASHED = f"{TUNED} + sync -f", f"{TUNED} + sync -f + hashsum"
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

    def run(self, command: Command, target: Path | tuple[Gateway, str]) -> tuple[Cost, Mapping[str, int]]:
        """Measure a command that fills a target, with nothing of others left to be written out.

        Returns its cost and the sizes of what is in the target then, by name.
        """
        settle()
        gateway = None if isinstance(target, Path) else target[0]
        before = self._calls(gateway)
        cost = measured(command, self.folder / "log")
        calls = self._calls(gateway) - before - 1  # the first of these questions is counted by the second
        sizes = _folder_sizes(target) if isinstance(target, Path) else _bucket_sizes(*target)
        return replace(cost, effect=Effect(calls, len(sizes), sum(sizes.values()))), sizes

    def _calls(self, gateway: Gateway | None) -> int:
        return self.upstream.calls() + (gateway.requests() if gateway else 0)


class Turn(Protocol):
    """What takes its turn in a round."""

    def __call__(self, place: Place) -> Mapping[str, Cost]:
        """Return what each contestant that came in this turn cost. Raises CommandError or WrongResult."""


@dataclass(frozen=True)
class Ours:
    """A build of ours mirrors into an empty target; `more` is said of that in jobs.yaml."""

    to: To
    more: Mapping[str, str] = field(default_factory=dict)
    build: Build = HERE
    name: str = ""
    """What to call it; empty: as the build."""

    def __call__(self, place: Place) -> Mapping[str, Cost]:
        """Mirror, and in the first round verify."""
        cost = self._into_bucket(place) if self.to == "S3" else self._into_folder(place, place.folder / "mirror")
        return {f"{self.name or self.build.name} > {self.to}": cost}

    def _into_bucket(self, place: Place) -> Cost:
        with place.bucket() as (gateway, bucket):
            return self._into(place, gateway.place(bucket=bucket), (gateway, bucket))

    def _into_folder(self, place: Place, mirror: Path) -> Cost:
        return self._into(place, {"url": mirror.as_uri()}, mirror)

    def _into(self, place: Place, said: Mapping[str, str], target: Path | tuple[Gateway, str]) -> Cost:
        configuration = place.jobs({**said, **self.more})
        cost, sizes = place.run(competitors.sync(self.build, configuration), target)
        if place.check:
            _check_mirror(place, sizes)
            measured(competitors.verify(self.build, configuration), place.folder / "verify.log")
        return cost


ours_to_bucket = Ours("S3")
ours_unconfirmed = Ours("S3", {"confirm": "off"}, name=UNCONFIRMED)
ours_unsigned = Ours("S3", {"sign": "never"}, name=UNSIGNED)
ours_to_folder = Ours("directory")


def everybody(turns: tuple[Turn, ...], builds: tuple[Build, ...]) -> tuple[Turn, ...]:
    """All turns, those of ours once for each build; a turn with a name of its own is for the first of them alone."""
    first = builds[0]
    found: list[Turn] = []
    for turn in turns:
        if not isinstance(turn, Ours):
            found.append(turn)
        elif turn.name:
            found.append(replace(turn, build=first))
        else:
            found += [replace(turn, build=build) for build in builds]
    return tuple(found)


def rclone_to_bucket(name: str, flags: tuple[str, ...]) -> Turn:
    """``rclone copy`` from the CDN into a bucket, with these flags."""

    def turn(place: Place) -> Mapping[str, Cost]:
        with place.bucket() as (gateway, bucket):
            command = competitors.rclone(place.upstream, gateway, bucket, flags)
            cost, sizes = place.run(command, (gateway, bucket))
            if place.check:
                _check_copy(name, place.upstream.repo.files, sizes)
            return {f"{name} > S3": cost}

    return turn


def to_folder(name: str, command: Callable[[Upstream, Path], Command]) -> Turn:
    """A command that fills a folder."""

    def turn(place: Place) -> Mapping[str, Cost]:
        folder = place.folder / "files"
        cost, sizes = place.run(command(place.upstream, folder), folder)
        if place.check:
            _check_copy(name, place.upstream.repo.files, sizes)
        return {f"{name} > directory": cost}

    return turn


def rclone_to_folder(name: str, flags: tuple[str, ...] = ()) -> Turn:
    """``rclone copy`` from the CDN into a folder, with these flags."""
    return to_folder(name, lambda upstream, folder: competitors.rclone(upstream, None, str(folder), flags))


def durable_rclone(name: str, flags: tuple[str, ...], *, hashed: bool) -> Turn:
    """The same, ended when the files are on the disk; and `hashed` besides, which is what we promise."""

    def command(upstream: Upstream, folder: Path) -> Command:
        copy = competitors.rclone(upstream, None, str(folder), flags)
        return competitors.durable(copy, folder, hashed=hashed)

    return to_folder(name, command)


aria2_to_folder = to_folder(ARIA, competitors.aria2)


def two_steps(flags: tuple[str, ...]) -> Turn:
    """``snapshot_download`` to disk, and from there to S3: by rclone with these flags, and by s5cmd."""
    uploads: dict[str, Upload] = {
        BY_RCLONE: lambda folder, gateway, bucket: competitors.rclone(folder, gateway, bucket, flags),
        BY_S5CMD: competitors.s5cmd,
    }

    def turn(place: Place) -> Mapping[str, Cost]:
        folder = place.folder / "files"
        download = competitors.snapshot_download(place.upstream, folder, place.folder / "home")
        first, sizes = place.run(download, folder)
        if place.check:
            _check_copy(SNAPSHOT, place.upstream.repo.files, sizes)
        costs = {f"{SNAPSHOT} > directory": first}
        for name, upload in uploads.items():
            with place.bucket() as (gateway, bucket):
                second, sizes = place.run(upload(folder, gateway, bucket), (gateway, bucket))
                costs[f"{name} > S3"] = first.then(second)
                if place.check:
                    _check_copy(name, place.upstream.repo.files, sizes)
        return costs

    return turn


def _check_copy(name: str, wanted: Mapping[str, Made], found: Mapping[str, int]) -> None:
    sizes = {path: made.size for path, made in wanted.items()}
    _compare(name, sizes, found)


def _check_mirror(place: Place, found: Mapping[str, int]) -> None:
    """Every file is there under its SHA-256."""
    wanted = place.upstream.repo.files.values()
    sizes = {f"blobs/sha256/{made.sha256[:2]}/{made.sha256}": made.size for made in wanted}
    _compare(OURS, sizes, {key: size for key, size in found.items() if key in sizes})


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
    """Without what huggingface_hub keeps beside the files."""
    named = ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return {name: path.stat().st_size for name, path in named if not name.startswith(".cache/")}
