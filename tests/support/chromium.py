"""A browser to try pages in: Debian's Chromium, driven by its own driver. Tests are skipped where it is missing."""

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
    """A driver of one browser for all tests, with a profile of its own."""
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
    """The browser with nothing of earlier tests in it; whatever a page complained of fails the test."""
    shown = Tab(chromium, tmp_path / "downloads")
    shown.be()
    yield shown
    complaints = [entry["message"] for entry in chromium.get_log("browser")]
    chromium.get("about:blank")
    assert complaints == []


class Tab:
    """What tests do with a page: they type, click, and read what is there."""

    WIDE, NARROW = (1280, 800), (390, 800)

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads
        downloads.mkdir()
        self.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def tell(self, command: str, **arguments: Any) -> Any:
        """Send a command of the browser's protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def be(self, size: tuple[int, int] = WIDE, scheme: str = "light", motion: str = "reduce") -> None:
        """Be a screen of that size, whose user prefers these colours and that much motion."""
        width, height = size
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == self.NARROW,
        )
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.tell("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path, hash: str = "") -> None:  # noqa: A002
        """Open a page anew, and wait until its script is through."""
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + hash)
        self.until(lambda: self.js("return document.documentElement.dataset.ready === ''"))
        self.js("localStorage.clear()")

    def js(self, code: str, *arguments: Any) -> Any:
        """Run a function's body in the page."""
        return self.driver.execute_script(code, *arguments)

    def keys(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Click on the middle of an element, with the mouse."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).click().perform()

    def hover(self, selector: str) -> None:
        """Move the mouse there."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).perform()

    def find(self, selector: str) -> Any:
        """Return an element."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """Return what is written in an element, spaces as one."""
        return " ".join(self.find(selector).text.split())

    def texts(self, selector: str) -> list[str]:
        """Return what is written in each of these elements that can be seen, spaces as one."""
        found = self.driver.find_elements("css selector", selector)
        return [" ".join(element.text.split()) for element in found if element.is_displayed()]

    def until(self, holds: Callable[[], T]) -> T:
        """Wait until something holds, and return it."""
        for _ in range(600):
            value = holds()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError("waited for 30 s")
