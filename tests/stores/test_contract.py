"""Every store keeps the contract: a directory, a bucket of a mock, buckets of two real servers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest

from tests.servers.bucket import S3Server
from tests.stores.contract import ODD_KEYS, StoreContract
from tests.stores.places import Bucket, Folder, Place, target_on
from tests.stores.resuming import ResumeContract
from tests.stores.uploads import UploadContract

_numbers = count(1)


class TestDirectory(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Folder(tmp_path / "target")


class TestMoto(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, moto: S3Server) -> Place:
        return Bucket(target_on(moto, "some/prefix"))


class TestRadosgw(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, radosgw: S3Server) -> Place:
        return Bucket(target_on(radosgw, "some/prefix"))


@pytest.fixture(scope="module")
def shared_bucket(seaweedfs: S3Server) -> str:
    return seaweedfs.make_bucket()


class TestSeaweedfs(StoreContract, UploadContract, ResumeContract):
    """Its listings come in another order than those of S3, and a backslash in a key becomes a slash: no key has one."""

    odd_keys: ClassVar[Sequence[str]] = [key for key in ODD_KEYS if "\\" not in key]

    @pytest.fixture
    def place(self, seaweedfs: S3Server, shared_bucket: str) -> Place:
        return Bucket(target_on(seaweedfs, f"some/prefix/{next(_numbers)}", shared_bucket))
