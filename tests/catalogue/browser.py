"""A real Chromium: Debian's, with Debian's driver, nothing downloaded, its profile in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.parts import program

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests run as root as well
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--lang=en",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


@contextmanager
def chromium(profile: Path, *more: str) -> Iterator[Chrome]:
    """A browser that keeps what its pages say to the console, and every request they make; `more`: flags of a test."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={profile}", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, Service(program("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()
