"""Fixtures for browser tests: headless Chromium with its own driver. Without Chromium, the tests are skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
T = TypeVar("T")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests, with a temporary profile."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def tab(chromium: Any, tmp_path: Path) -> Iterator[Tab]:
    """A fresh tab. The test fails if the page logged an error or a warning."""
    shown = Tab(chromium, tmp_path / "downloads")
    shown.emulate()
    yield shown
    complaints = [entry["message"] for entry in chromium.get_log("browser")]
    chromium.get("about:blank")
    assert complaints == []


class Tab:
    """A page under test, with methods to type, click and read texts."""

    WIDE, NARROW = (1280, 800), (390, 800)

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads
        downloads.mkdir()
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def send(self, command: str, **arguments: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def emulate(self, size: tuple[int, int] = WIDE, scheme: str = "light", motion: str = "reduce") -> None:
        """Emulate a screen of this size and these user preferences for colours and motion."""
        width, height = size
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == self.NARROW,
        )
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.send("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path, hash: str = "") -> None:  # noqa: A002
        """Load a page, and wait until its script has run."""
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + hash)
        self.until(lambda: self.js("return document.documentElement.dataset.ready === ''"))
        self.js("localStorage.clear()")

    def js(self, code: str, *arguments: Any) -> Any:
        """Run JavaScript in the page as the body of a function, and return its result."""
        return self.driver.execute_script(code, *arguments)

    def keys(self, *keys: str) -> None:
        """Type keys into the focused element."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Click the centre of an element with the mouse."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).click().perform()

    def hover(self, selector: str) -> None:
        """Move the mouse to the centre of an element."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).perform()

    def find(self, selector: str) -> Any:
        """Return the first element that matches a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """Return the text of an element, with runs of whitespace replaced by one space."""
        return " ".join(self.find(selector).text.split())

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all visible elements that match, with runs of whitespace replaced by one space."""
        found = self.driver.find_elements("css selector", selector)
        return [" ".join(element.text.split()) for element in found if element.is_displayed()]

    def covered(self, selector: str) -> list[list[float]]:
        """Return places of an element at which another one is above it."""
        return self.js(  # type: ignore[no-any-return]
            """
            const frame = document.querySelector(arguments[0]);
            const box = frame.getBoundingClientRect();
            const found = [];
            for (let x = box.left + 2; x < box.right; x += 12)
                for (let y = box.top + 2; y < box.bottom; y += 12)
                    if (!frame.contains(document.elementFromPoint(x, y))) found.push([x, y]);
            return found;
            """,
            selector,
        )

    def until(self, condition: Callable[[], T]) -> T:
        """Wait up to 30 seconds until `condition` returns a true value, and return that value."""
        for _ in range(600):
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError("waited for 30 s")
