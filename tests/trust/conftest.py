from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.bucket import S3Server
from tests.standin import Hub
from tests.trust.site import Site


@pytest.fixture(params=["directory", "bucket"])
def site(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> Iterator[Site]:
    """Both kinds of target."""
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("moto")
        target = server.place()
    else:
        target = {"url": str(tmp_path / "mirror")}
    made = Site(hub, tmp_path, target)
    yield made
    made.close()
