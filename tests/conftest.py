"""What every folder of tests shares: real servers, started at most once, and the rule that CI skips nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog  # noqa: F401  once it is imported, the log goes through it, where tests can listen

from tests.parts import strict
from tests.requirements import need, need_tool

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one decides nothing
hypothesis.settings.load_profile("any machine")

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server
    from tests.servers.radosgw import Gateway
    from tests.standin import Hub


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", action="append", default=[], help="leave out the tests that use this server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what `--without` says, whether a test takes the server itself or chooses it by a parameter."""
    without = set(config.getoption("--without"))
    left = [item for item in items if without & _used(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _used(item: pytest.Item) -> set[object]:
    if not isinstance(item, pytest.Function):
        return set()
    chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {*item.fixturenames, *(value for value in chosen if isinstance(value, str))}


@pytest.fixture(scope="session", autouse=True)
def descriptions_are_read_once() -> Iterator[None]:
    """botocore reads what it knows of S3 anew for every client, a tenth of a second each, and there are thousands."""
    from botocore.loaders import JSONFileLoader

    read = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        yield


@pytest.fixture(scope="session")
def few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for SSL_CERT_FILE, of one authority that certified nothing: the system's take 20 ms to read, each time."""
    from tests.servers.certificates import Authority

    return Authority(tmp_path_factory.mktemp("authorities")).file


@pytest.fixture(scope="session")
def radosgw() -> Iterator[Gateway]:
    """A real S3 server. Take a bucket of your own from it: `radosgw.make_bucket()`."""
    need("radosgw")
    from tests.servers.radosgw import radosgw as run

    with run() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Server]:
    """Another real S3 server. A bucket takes it a while: share one, below a prefix of your own."""
    from tests.servers.seaweedfs import seaweedfs as run

    with run(need_tool("weed")) as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """A quick S3 server, which refuses nothing. Take a bucket of your own from it."""
    from tests.servers.moto import moto as run

    with run() as server:
        yield server


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty Hub stand-in, of whose own faults there must be none at the end."""
    from tests.standin import Hub

    with Hub() as standing:
        yield standing
    assert not standing.crashes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, a skipped test is a failure that gives the reason."""
    report = yield
    if strict() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {report.longreprtext}"
    return report
