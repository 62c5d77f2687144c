from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.machines import Machines, Scheduler
from tests.servers.bucket import S3Server
from tests.standin import Hub


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """One for all tests: workers and coordinators come and go."""
    with Scheduler(tmp_path_factory.mktemp("scheduler")) as running:
        yield running


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """A folder that all machines share, unless a test is given a server's name."""
    if (name := getattr(request, "param", "directory")) == "directory":
        return {"url": f"file://{tmp_path}/mirror"}
    server: S3Server = request.getfixturevalue(name)
    url = f"s3://{server.make_bucket()}"
    keys = {"access_key": "${S3_ACCESS_KEY}", "secret_key": "${S3_SECRET_KEY}"}
    return {"url": url, "endpoint_url": server.endpoint_url, **keys}


@pytest.fixture
def secrets(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of every machine."""
    if "radosgw" not in request.fixturenames and "radosgw" not in request.node.name:
        return {}
    server: S3Server = request.getfixturevalue("radosgw")
    return {"S3_ACCESS_KEY": server.access_key, "S3_SECRET_KEY": server.secret_key}


@pytest.fixture
def make(
    hub: Hub, tmp_path: Path, target: dict[str, Any], secrets: dict[str, str]
) -> Iterator[Callable[..., Machines]]:
    """Machines that mirror all of `acme` from the stand-in, at the scheduler of this address."""
    made: list[Machines] = []

    def machines(address: str, environment: Mapping[str, str] | None = None) -> Machines:
        said = {
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url], "token": "${HF_TOKEN:-}"}},
            "targets": {"mirror": target},
            "licenses": {"allow": ["mit"], "approved": [{"repo": "acme/x", "by": "Ada", "why": "terms read"}]},
            "jobs": [{"name": "job", "repos": ["acme/*"]}],
        }
        made.append(Machines(tmp_path, address, {**secrets, **(environment or {})}, said))
        return made[-1]

    yield machines
    for one in made:
        one.close()


@pytest.fixture
def machines(make: Callable[..., Machines], scheduler: Scheduler) -> Machines:
    return make(scheduler.address)
