"""The contract of a store on the server that S3_SERVER describes: asked for by name, by `make s3` alone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import ClassVar

import pytest

from tests.servers.bucket import S3Server
from tests.stores.contract import ODD_KEYS, StoreContract
from tests.stores.places import Bucket, Place, target_on
from tests.stores.resuming import ResumeContract
from tests.stores.uploads import UploadContract

SERVER = S3Server(**json.loads(os.environ["S3_SERVER"]))
BUCKET, PARTS = os.environ["S3_BUCKET"], os.environ.get("S3_PARTS") != "no"
_numbers = count(1)


class TestStore(StoreContract):
    odd_keys: ClassVar[Sequence[str]] = [key for key in ODD_KEYS if "\\" not in key]

    @pytest.fixture
    def place(self) -> Place:
        return Bucket(replace(target_on(SERVER, f"some/prefix/{next(_numbers)}", BUCKET), multipart=PARTS))


if PARTS:

    class TestUploads(UploadContract, ResumeContract):
        @pytest.fixture
        def place(self) -> Place:
            return Bucket(target_on(SERVER, f"other/prefix/{next(_numbers)}", BUCKET))
