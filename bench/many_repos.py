"""``python -m bench.many_repos 10000 --authors 10000``: what a run costs over so many repos of which none has changed.

The world is made without mirroring all of it: one repo is mirrored by the program, and what it published is written
for all others under their names (`world`). The first run then reads all of it, and fills what a machine remembers;
those after it are what counts. The Hub is another process (`bench.many_repos_hub`), whose CPU is not in the figures.
With ``--s3`` the target is a bucket of moto's, another process as well. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.builds import HERE, Build, older, ours
from bench.competitors import jobs, sync
from bench.figures import MIB
from bench.many_repos_hub import Crowd, CrowdedHub, crowded_hub
from bench.measure import Command, Cost, measured
from bench.places import ROOT
from bench.setting import say
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Document, Root
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Kind, Repo
from tests.servers.moto import moto

LIMIT = 7200  # seconds of one run
HEAD = f"{'repos':>9}  {'run':<24} {'peak MiB':>8} {'CPU s':>8} {'s':>8} {'ms CPU/repo':>11}  calls"


@dataclass(frozen=True)
class Row:
    """What one run cost, and what it asked of the Hub."""

    repos: int
    run: str
    cost: Cost
    calls: Mapping[str, int]

    def __str__(self) -> str:
        """As a line below HEAD."""
        cost, each = self.cost, 1000 * self.cost.cpu_seconds / self.repos
        return (
            f"{self.repos:>9,}  {self.run:<24} {cost.peak_rss / MIB:>8.0f} {cost.cpu_seconds:>8.2f} "
            f"{cost.seconds:>8.1f} {each:>11.3f}  {dict(self.calls)}"
        )


@dataclass(frozen=True)
class Asked:
    """What is measured. `of_jobs` share the repos, each some of every author; `runs` after the first."""

    crowd: Crowd
    of_jobs: int = 1
    runs: int = 2
    catalogue: bool = True
    s3: bool = False


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each number of repos, and print what was found as it comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_repos", description=__doc__)
    parser.add_argument("repos", type=int, nargs="+")
    parser.add_argument("--authors", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2, help="after the first")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "many-repos", help="a folder that may be removed")
    parser.add_argument("--against", help="an older build, a wheel or a revision, in turns with this one")
    parser.add_argument("--no-catalogue", dest="catalogue", action="store_false")
    parser.add_argument("--s3", action="store_true", help="into a bucket of moto's in place of a folder")
    parser.add_argument("--keep", action="store_true", help="leave the world there, to look at it")
    options = parser.parse_args(argv)
    folder = options.work / "builds"
    builds = [HERE] if options.against is None else [ours(folder), older(options.against, folder)]
    say(HEAD)
    for repos in options.repos:
        crowd = Crowd(repos, options.authors)
        asked = Asked(crowd, options.jobs, options.runs, catalogue=options.catalogue, s3=options.s3)
        for row in rows(asked, options.work / str(repos), builds):
            say(str(row))
        if not options.keep:
            shutil.rmtree(options.work / str(repos))


def rows(asked: Asked, work: Path, builds: Sequence[Build] = (HERE,)) -> Iterator[Row]:
    """The first look, and those after it. Each build has a world of its own: each writes over the other's pages."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    crowd, runs = asked.crowd, dict[str, Command]()
    with ExitStack() as running:
        hub = running.enter_context(crowded_hub(crowd, work / "hub.log"))
        for build in builds:
            folder = work / build.name.replace(" ", "-")
            folder.mkdir()
            target = _target(running, folder, s3=asked.s3)
            world(crowd, hub, folder, target)
            runs[build.name] = _run_of(build, asked, hub, folder, target)
        for what in ("first look", *(["nothing changed"] * asked.runs)):
            for name, run in runs.items():
                hub.calls()
                cost = measured(run, work / "log", LIMIT)
                yield Row(crowd.repos, f"{name} {what}", cost, hub.calls())


def _run_of(build: Build, asked: Asked, hub: CrowdedHub, work: Path, target: dict[str, str]) -> Command:
    """One entry of jobs.yaml for each job, and a line for each repo, as a person writes it."""
    crowd = asked.crowd
    path = jobs(work, hub.url, [crowd.id(0)], target, catalogue=asked.catalogue)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["jobs"]
    lines = ["".join(f"{name}: {json.dumps(value)}\n" for name, value in document.items()), "jobs:\n"]
    for job in range(asked.of_jobs):
        lines.append(f"  - name: job-{job:02}\n    repos:\n")
        numbers = (number for number in range(crowd.repos) if number // crowd.authors % asked.of_jobs == job)
        lines += (f"      - {crowd.id(number)}\n" for number in numbers)
    path.write_text("".join(lines), encoding="utf-8")
    return sync(build, path)


def _target(running: ExitStack, work: Path, *, s3: bool) -> dict[str, str]:
    if not s3:
        return {"url": (work / "mirror").as_uri()}
    server = running.enter_context(moto())
    return server.place()


def world(crowd: Crowd, hub: CrowdedHub, work: Path, target: dict[str, str]) -> None:
    """Let a target publish all repos of a crowd: the first by the program, the others as that one was written."""
    folder = work / "made"
    folder.mkdir()
    mirror = folder / "mirror"
    path = jobs(folder, hub.url, [crowd.id(0)], {"url": mirror.as_uri()}, catalogue=False)
    measured(sync(HERE, path), work / "log", LIMIT)
    put = _putting(mirror, target)
    first = Repo(Kind.MODEL, crowd.id(0))
    refs = Refs.decode((mirror / refs_key(first)).read_bytes())
    (digest,) = refs.snapshots.values()
    root = Root.decode((mirror / blob_key(digest)).read_bytes())
    info, commits = (json.loads((mirror / blob_key(one)).read_bytes()) for one in (root.info, root.commits))
    for key in _blobs(mirror):
        put(key, (mirror / key).read_bytes())
    for number in range(crowd.repos):
        _publish(crowd, number, put, (refs, root, info, commits))
    if "endpoint_url" not in target:
        shutil.move(mirror, work / "mirror")


def _publish(crowd: Crowd, number: int, put: Any, like: tuple[Refs, Root, dict[str, Any], list[Any]]) -> None:
    refs, root, info, commits = like
    repo, commit = Repo(Kind.MODEL, crowd.id(number)), CommitId(crowd.commit(number))
    said = crowd.about(number)
    of = Document.of_json({name: said.get(name, value) for name, value in info.items()})
    history = Document.of_json([{**commits[0], "id": commit}])
    last = {**root.last, "id": commit}
    made = replace(root, repo=str(repo), commit=commit, last=last, info=of.digest, commits=history.digest).encode()
    for document in (of, history, made):
        put(blob_key(document.digest), document.body)
    names = tuple(replace(ref, target=commit) for ref in refs.refs)
    put(refs_key(repo), replace(refs, refs=names, snapshots={commit: made.digest}, log=()).encode())


def _putting(mirror: Path, target: dict[str, str]) -> Any:
    if "endpoint_url" not in target:

        def into_folder(key: str, body: bytes) -> None:
            path = mirror / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

        return into_folder
    from tests.servers.bucket import S3Server

    client = S3Server(target["endpoint_url"], target["access_key"], target["secret_key"]).client()
    bucket = target["url"].removeprefix("s3://")
    return lambda key, body: client.put_object(Bucket=bucket, Key=key, Body=body)


def _blobs(mirror: Path) -> list[str]:
    return [str(path.relative_to(mirror)) for path in (mirror / "blobs").rglob("*") if path.is_file()]


if __name__ == "__main__":
    main()
