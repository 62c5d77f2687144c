"""The command lines of everybody, each as good as its documentation and this machine allow.

Nobody is asked to do less than before: rclone's and s5cmd's tuned forms leave out calls that an empty target does not
need, but no byte. None of the others proves a SHA-256, except aria2c with sha256sum behind it.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from bench.builds import Build
from bench.measure import Command
from bench.places import BIN
from bench.upstream import Upstream
from tests.servers.bucket import S3Server

_EMPTY_TARGET = ("--no-traverse", "--no-check-dest")
BARE_PUT = (
    *("--s3-no-check-bucket", "--s3-no-head", "--s3-disable-checksum", "--s3-use-unsigned-payload", "true"),
    *_EMPTY_TARGET,
)
"""Leaves out the calls and hashes that an empty target and a trusted network do not need."""
TUNED = (
    *("--transfers", "8", "--checkers", "16", "--s3-upload-cutoff", "64M"),
    *("--multi-thread-streams", "8", "--multi-thread-cutoff", "64M", "--multi-thread-chunk-size", "32M"),
    *("--s3-chunk-size", "32M", "--s3-upload-concurrency", "8"),
    *BARE_PUT,
)
"""rclone's best to S3 for files of megabytes, as chosen with `bench.tuning`; bodies cannot be signed without TLS."""
TUNED_SMALL = ("--transfers", "32", "--checkers", "16", "--http-no-head", *BARE_PUT)
"""rclone's best to S3 for files of kilobytes, as chosen with `bench.tuning`: it asks the CDN for no size, too."""
TUNED_FOLDER = ("--transfers", "16", "--checkers", "16", *_EMPTY_TARGET)
"""rclone's best to a folder here."""
_HASHSUM = (str(BIN / "rclone"), "hashsum", "sha256")

SNAPSHOT = (
    "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1], local_dir=sys.argv[2])"
)


def sync(build: Build, configuration: Path) -> Command:
    """Ours, as a user types it."""
    return Command([build.program, "-c", configuration, "sync"])


def verify(build: Build, configuration: Path) -> Command:
    """Ours, reading back and hashing all that is published."""
    return Command([build.program, "-c", configuration, "verify"])


def jobs(
    folder: Path,
    upstream: str | Path,
    repos: list[str],
    target: Mapping[str, object],
    *,
    catalogue: bool = True,
    **more: object,
) -> Path:
    """Write a jobs.yaml with nothing but what must be said, and `more`; all else is default.

    `upstream` is the address of a Hub, or a folder. Without a `catalogue` ours does no more than those who only move
    files.
    """
    hub = {"kind": "huggingface", "endpoints": [upstream]}
    document: dict[str, object] = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "directory", "url": str(upstream)} if isinstance(upstream, Path) else hub},
        "targets": {"mirror": dict(target)},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "bench", "repos": repos}],
        **more,
    }
    if not catalogue:
        document["site"] = {"enabled": False}
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # every JSON document is YAML
    return path


def rclone(source: Upstream | Path, target: S3Server | None, where: str, flags: tuple[str, ...] = ()) -> Command:
    """``rclone copy`` from the CDN or a folder to a bucket, or to a folder when there is no server."""
    environment = _rclone_environment(target)
    if isinstance(source, Upstream):
        environment |= _rclone_remote("CDN", type="http", url=source.listing)
    come = "cdn:" if isinstance(source, Upstream) else str(source)
    leave = () if isinstance(source, Upstream) else ("--exclude", "/.cache/**")
    goes = where if target is None else f"s3:{where}"
    return Command([BIN / "rclone", "copy", come, goes, *leave, *flags], environment)


def durable(copy: Command, folder: Path, *, hashed: bool) -> Command:
    """A copy into a folder that is on the disk when it ends, as ours is; `hashed`: and then reads all of it back and
    tells the SHA-256 of each file, as whoever wants to know what has come does.
    """
    words = [str(word) for word in copy.words]
    then = ["sync", "-f", str(folder)]
    sums = [*_HASHSUM, str(folder), "--output-file", str(folder.with_suffix(".sums"))] if hashed else []
    script = "; ".join(shlex.join(each) for each in (words, then, sums) if each)
    return Command(["sh", "-ec", script], copy.environment)


def hashsum(where: Path | tuple[S3Server, str], sums: Path) -> Command:
    """``rclone hashsum sha256`` of a folder, or of a bucket's objects, which it has to download."""
    if isinstance(where, Path):
        return Command([*_HASHSUM, str(where), "--output-file", str(sums)], _rclone_environment(None))
    server, bucket = where
    words = [*_HASHSUM, f"s3:{bucket}", "--download", "--output-file", str(sums)]
    return Command(words, _rclone_environment(server))


def s5cmd(source: Path, target: S3Server, bucket: str) -> Command:
    """``s5cmd cp`` of a folder, without what huggingface_hub keeps beside the files."""
    keys = {"AWS_ACCESS_KEY_ID": target.access_key, "AWS_SECRET_ACCESS_KEY": target.secret_key}
    words = ["--endpoint-url", target.endpoint_url, "--log", "error", "cp", "--exclude", "*.cache/*"]
    return Command([BIN / "s5cmd", *words, f"{source}/", f"s3://{bucket}/"], {**keys, "AWS_REGION": target.region})


def snapshot_download(source: Upstream, folder: Path, home: Path) -> Command:
    """``huggingface_hub.snapshot_download`` into a folder, without its progress bars."""
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment = {"HF_ENDPOINT": source.hub, "HF_HOME": str(home), **quiet}
    return Command([sys.executable, "-c", SNAPSHOT, source.repo_id, folder], environment)


def aria2(source: Upstream, folder: Path) -> Command:
    """aria2c with eight connections, then sha256sum; both lists are written here, outside of the time."""
    files = source.repo.files
    wanted, sums = folder.with_suffix(".list"), folder.with_suffix(".sums")
    wanted.write_text("".join(f"{source.listing}{quote(path)}\n out={path}\n" for path in files))
    sums.write_text("".join(f"{made.sha256}  {path}\n" for path, made in files.items()))
    fetch = f"aria2c -x8 -s8 -j8 --quiet --file-allocation=none -d {shlex.quote(str(folder))} -i {wanted}"
    return Command(["sh", "-ec", f"{fetch}; cd {shlex.quote(str(folder))}; sha256sum --check --quiet {sums}"])


def _rclone_environment(target: S3Server | None) -> dict[str, str]:
    environment = {"RCLONE_CONFIG": "/dev/null"}
    if target is not None:
        environment |= _rclone_remote("S3", type="s3", provider="Ceph", endpoint=target.endpoint_url)
        environment |= _rclone_remote("S3", access_key_id=target.access_key, secret_access_key=target.secret_key)
    return environment


def _rclone_remote(name: str, **options: str) -> dict[str, str]:
    return {f"RCLONE_CONFIG_{name}_{option.upper()}": value for option, value in options.items()}
