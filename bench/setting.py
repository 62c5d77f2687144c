"""What all workloads of a run share: a work folder, the number of rounds, and a radosgw."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.builds import HERE, Build
from tests.servers.radosgw import Gateway, radosgw


@dataclass
class Setting:
    """A run's surroundings, for as long as the block lasts."""

    work: Path
    """A folder of our own on the disk that is measured: all that is in it is removed, in the end the folder, too."""
    rounds: int
    ours: Build = HERE
    against: Build | None = None
    """An older build of ours, which takes its turn beside it."""
    given: Gateway | None = None
    """A radosgw that runs already and goes on running; one of our own when there is none."""
    _running: ExitStack = field(default_factory=ExitStack)
    _gateway: Gateway | None = None

    def gateway(self) -> Gateway:
        """A radosgw; our own keeps its objects on the work folder's disk."""
        if self.given is not None:
            return self.given
        if self._gateway is None:
            self._gateway = self._running.enter_context(radosgw(self.fresh("objects")))
            _wake(self._gateway)
        return self._gateway

    @property
    def builds(self) -> tuple[Build, ...]:
        """Ours, and the one that it is measured against."""
        return (self.ours,) if self.against is None else (self.ours, self.against)

    def clear(self) -> None:
        """End the radosgw and remove all files; the next workload begins with nothing."""
        self._running.close()
        self._gateway = None
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)

    def fresh(self, name: str) -> Path:
        """Return a folder of the work folder, empty."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def __enter__(self) -> Self:
        self.work.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        shutil.rmtree(self.work, ignore_errors=True)


def _wake(gateway: Gateway) -> None:
    """The first upload and the first of parts make radosgw create pools; no contestant is to wait for that."""
    client, bucket = gateway.client(), gateway.make_bucket("warm")
    client.put_object(Bucket=bucket, Key="once", Body=b"once")
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    client.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"once")
    client.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)


def settle() -> None:
    """Write out what the last contestant left in the page cache, so that the next does not pay for it."""
    os.sync()


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stdout.write(f"bench: {text}\n")
    sys.stdout.flush()
