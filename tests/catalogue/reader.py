"""What a person does with a browser, and what they could complain about."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from axe_selenium_python import Axe
from filelock import FileLock
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests import waiting
from tests.clients.environments import CACHE
from tests.parts import program
from tests.requirements import need

AXE = "4.14.1"  # the newest of axe-core; the one that axe-selenium-python has is of 2018
DESKTOP, PHONE = (1280, 900), (320, 640)
_PATIENCE = waiting.PATIENCE  # seconds


def axe_script() -> str:
    """Where the script is, which npm brings once; else the test is skipped, or fails in CI."""
    need("npm")
    folder = CACHE / f"axe-{AXE}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        CACHE.mkdir(exist_ok=True)
        with FileLock(CACHE / "axe.lock"):
            install = [program("npm"), "install", "--silent", "--no-audit", "--prefix", str(folder), f"axe-core@{AXE}"]
            subprocess.run(install, check=True, capture_output=True, timeout=300)
    return str(script)


class Reader:
    def __init__(self, browser: Chrome) -> None:
        self.browser = browser
        self._site = ""

    def forget(self) -> None:
        """As if the browser were new."""
        self.command("Emulation.setScriptExecutionDisabled", value=False)
        self.command("Emulation.setEmulatedMedia", media="", features=[])
        if self._site:
            self.command("Storage.clearDataForOrigin", origin=self._site, storageTypes="all")
        self.resize(DESKTOP)
        self.browser.get("about:blank")
        self.complaints()
        self._requests()

    def command(self, name: str, **values: Any) -> Any:
        return self.browser.execute_cdp_cmd(name, values)

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def prefer(self, **features: str) -> None:
        """As the reader's system prefers it: `prefers_color_scheme="dark"`."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", media="", features=named)

    def without_scripts(self) -> None:
        self.command("Emulation.setScriptExecutionDisabled", value=True)

    def open(self, address: str) -> None:
        self._site = "/".join(address.split("/")[:3])
        self.browser.get("about:blank")
        self.browser.get(address)
        # on a busy machine `get` has been seen to return while the page before it still stood
        path = json.dumps(urlsplit(address).path)
        self.wait(lambda: self.run(f"return location.pathname === {path} && document.readyState === 'complete'"))

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def find(self, css: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def attribute(self, css: str, name: str) -> str:
        """Of the first such element; empty when it has none."""
        return self.find(css).get_attribute(name) or ""

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def seen(self, css: str = "body") -> str:
        """The words that are shown there. By a script: asking for them element by element takes seconds."""
        return str(self.run(f"return document.querySelector({json.dumps(css)}).innerText.trim()"))

    def names(self) -> list[str]:
        """Of the repos in the table."""
        found = self.run("return [...document.querySelectorAll('#repos tbody th a')].map((one) => one.textContent)")
        return list(found)

    def select(self, css: str, value: str) -> None:
        Select(self.find(css)).select_by_value(value)

    def publish_run(self, *keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(*keys)

    def tab_to(self, css: str, most: int = 60) -> None:
        """By the keyboard alone. AssertionError when one does not get there."""
        for _ in range(most):
            if self.run(f"return document.activeElement.matches({json.dumps(css)})"):
                return
            self.publish_run(Keys.TAB)
        raise AssertionError(f"{css} is not reached by {most} tabs")

    def wait(self, until: Callable[[], object]) -> None:
        """Until it holds; a page that is only being loaded lacks what is looked for."""
        lacking = [JavascriptException, StaleElementReferenceException]
        WebDriverWait(self.browser, _PATIENCE, poll_frequency=0.02, ignored_exceptions=lacking).until(lambda _: until())

    def violations(self) -> list[str]:
        """What axe finds wrong with the page, one line each."""
        axe = Axe(self.browser, axe_script())
        axe.inject()
        return [
            f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')}"
            for one in axe.run()["violations"]
            for node in one["nodes"]
        ]

    def complaints(self) -> list[str]:
        """What the browser said on its console since the last look: errors, breaches of the policy."""
        return [str(entry["message"]) for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]

    def asked_elsewhere(self) -> list[str]:
        """Requests to any other host since the last look."""
        return [address for address in self._requests() if not address.startswith((f"{self._site}/", "about:"))]

    def _requests(self) -> list[str]:
        entries = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        told = [json.loads(entry["message"])["message"] for entry in entries]
        return [one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent"]
