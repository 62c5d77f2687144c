"""A whole round on three S3 servers: what is mirrored is proved, goes on, is pruned and served on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.s3.round import Round, Step
from tests.servers.bucket import S3Server


@pytest.fixture(params=["moto", "radosgw", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


def test_every_step_of_a_mirror_works_on_the_bucket(server: S3Server, tmp_path: Path) -> None:
    steps = Round(server, server.make_bucket(), tmp_path).run()
    assert [step for step in steps if step.fault] == []
    assert Step("serve") in steps
