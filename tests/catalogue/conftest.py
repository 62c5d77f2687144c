"""One browser for all that is looked at in one, and stores to publish into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.catalogue import examples
from tests.catalogue.server import Site, served
from tests.catalogue.shelves import Memory
from tests.requirements import need

if TYPE_CHECKING:
    from tests.catalogue.reader import Reader


@pytest.fixture(params=[True, False], ids=["bucket", "directory"])
def store(request: pytest.FixtureRequest) -> Memory:
    """Empty; a bucket tells MD5s, a directory none."""
    return Memory(tells=request.param)


@pytest.fixture(scope="session")
def tiny() -> Iterator[Site]:
    """A catalogue of 12 repos, whose pages are soon judged, and the pages of an empty mirror beside it."""
    with served({**examples.site(12), **examples.EMPTY_PAGES}) as site:
        yield site


@pytest.fixture(scope="session")
def small() -> Iterator[Site]:
    """A catalogue of 600 repos."""
    with served(examples.site(600)) as site:
        yield site


@pytest.fixture(scope="session")
def big() -> Iterator[Site]:
    """A catalogue of 10,000 repos."""
    with served(examples.site(10_000)) as site:
        yield site


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    need("chromium")
    from tests.catalogue.browser import chromium
    from tests.catalogue.reader import Reader

    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield Reader(running)


@pytest.fixture
def reader(browser: Reader) -> Iterator[Reader]:
    """The browser as new: nothing kept, a desktop's window. Afterwards, no page has complained or asked elsewhere."""
    browser.forget()
    yield browser
    assert browser.complaints() == []
    assert browser.asked_elsewhere() == []
