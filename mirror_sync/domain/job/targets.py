"""Where jobs publish: what a target of jobs.yaml is, for the store that writes it, nginx that reads it, and others who
must mean the same by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from mirror_sync.domain.content.keys import USUAL, Caching
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.keep import Keep

Addressing = Literal["path", "virtual", "auto"]
SignedBodies = Literal["all", "objects", "never"]
"""Of which bodies the SHA-256 stands in the signature: `objects` are those that go whole, `all` adds parts."""


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A folder that a job publishes into; `root` is absolute. `grace`, `keep`, `tiers`: see S3Target."""

    root: Path
    grace: timedelta = timedelta(hours=48)
    replicas: tuple[Replica, ...] = field(default=(), repr=False)  # whoever copies to them is one machine
    keep: Keep | None = field(default=None, repr=False)
    tiers: Tiers | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class S3Target:
    """A bucket that a job publishes into. `prefix` is empty, or ends with a slash and starts without one.

    None stands for what was not said: AWS's own endpoint, boto3's choice of region or credentials (nginx, which has no
    boto3, takes us-east-1, and reads unsigned). `addressing`: where the bucket's name stands in a request.
    `sign`: which bodies are bound to their signatures (decision 7). `multipart`: whether large files go in parts,
    rather than in one PUT as they come. `confirm`: whether what was put is looked for before it is relied on (decision
    20). Unreferenced blobs that are younger than `grace` are spared by a prune. `caching`: what each object
    says, from when it is put, of how long it may be kept. `keep` bounds what it holds, by who reads: each machine has
    its own logs, so that it is no part of what a target is to others. `tiers`: where goes what nobody reads.
    """

    bucket: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    prefix: str = ""
    addressing: Addressing = "auto"
    sign: SignedBodies = "objects"
    multipart: bool = True
    confirm: bool = True
    grace: timedelta = timedelta(hours=48)
    caching: Caching = USUAL
    replicas: tuple[Replica, ...] = field(default=(), repr=False)
    keep: Keep | None = field(default=None, repr=False)
    tiers: Tiers | None = field(default=None, repr=False)

    @property
    def server(self) -> str:
        """The address that messages name."""
        return self.endpoint_url or (f"https://s3.{self.region}.amazonaws.com" if self.region else "AWS")


@dataclass(frozen=True, slots=True)
class Replica:
    """A further place to which all that a target publishes is copied; `at` has no replicas of its own.

    `alert_behind`: from when on it is far behind, where somebody said. `hours`: when it may be written, None for
    always. `wait`: how long a command that has changed the target waits for it. `front`: where readers find a front
    over it, without a slash at its end; None for nowhere.
    """

    name: str
    at: DirectoryTarget | S3Target
    alert_behind: timedelta | None = None
    hours: Hours | None = None
    wait: timedelta = timedelta(minutes=10)
    front: str | None = None


USUAL_WARM_BACK = 200  # repos


@dataclass(frozen=True, slots=True)
class Tiers:
    """Where the files of repos go that nobody has read for `after_unread`: to another place `at`, or into the
    `storage_class` of the bucket itself; one of both is said. `at` has no tiers of its own.

    `logs` and `quiet` are those of a Keep. `warm_back`: whether what is read again comes back by itself, and
    `warm_back_most` how many repos at the most: in one pass, and a day for those who wait for them.
    """

    after_unread: timedelta
    logs: tuple[str, ...]
    at: DirectoryTarget | S3Target | None = None
    storage_class: str = ""
    quiet: timedelta = timedelta(hours=12)
    warm_back: bool = True
    warm_back_most: int = USUAL_WARM_BACK

    @property
    def restores(self) -> bool:
        """Whether what is there cannot be read before it is asked for, hours before."""
        return self.storage_class in FROZEN


FROZEN = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes whose objects are not given before they are restored. Source:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html.
"""

Target = DirectoryTarget | S3Target
