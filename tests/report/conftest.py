"""A real browser, headless, for the pages: one for all tests."""

import json
import os
import shutil

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip
PHONE, DESK = 390, 1280


class Browser:
    """Chromium, and what the tests ask of it."""

    def __init__(self, driver):
        self.driver = driver
        self.run = driver.execute_script

    def open(self, path):
        """A page, and nothing of what was said about the one before."""
        self.width(DESK)
        self.driver.get("about:blank")
        self.console(), self.requests()
        self.driver.get(path.resolve().as_uri())
        return self

    def width(self, pixels):
        size = {"width": pixels, "height": 844, "deviceScaleFactor": 1, "mobile": pixels == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": pixels == PHONE})

    def prefer(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def contrast_in_schemes(self):
        """How much brighter the page's ground is than its ink, from -255 to 255."""
        colours = "const seen = getComputedStyle(document.body); return [seen.backgroundColor, seen.color]"
        found = {}
        for scheme in ("light", "dark", ""):
            self.prefer(scheme)
            back, ink = map(brightness, self.run(colours))
            found[scheme] = back - ink
        return found

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses of all that was asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent]

    def column(self, number, table=0):
        """The texts of a column, from the top."""
        code = "return [...document.querySelectorAll('table.sortable')[arguments[0]].tBodies[0].rows]"
        return self.run(f"{code}.map(row => row.cells[arguments[1]].textContent)", table, number)

    def heads(self, table=0):
        return self.driver.find_elements("css selector", "table.sortable")[table].find_elements(
            "css selector", "th"
        )


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """In CI it must be there; elsewhere the tests skip."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        missing = "needs chromium and chromedriver (Debian: chromium, chromium-driver)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield Browser(driver)
    driver.quit()


def brightness(colour):
    """Of "rgb(r, g, b)", from 0 to 255."""
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3
