"""Every store keeps the contract: a directory, a bucket of a mock, a bucket of a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.bucket import S3Server
from tests.stores.contract import StoreContract
from tests.stores.places import Bucket, Folder, Place, options_of
from tests.stores.resuming import ResumeContract
from tests.stores.uploads import UploadContract


class TestDirectory(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Folder(tmp_path / "target")


class TestMoto(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, moto: S3Server) -> Place:
        return Bucket(moto.make_bucket(), options_of(moto))


class TestRadosgw(StoreContract, UploadContract, ResumeContract):
    @pytest.fixture
    def place(self, radosgw: S3Server) -> Place:
        return Bucket(radosgw.make_bucket(), options_of(radosgw))
