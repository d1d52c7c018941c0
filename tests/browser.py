"""A real browser, headless, for the tests of the status page.

    with browser.chromium() as chrome:
        chrome.get(daemon.url + "/")
        chrome.wait(lambda: chrome.text("#verdict") == "All 3 services are healthy")
"""

import contextlib
import pathlib
import shutil

import servers
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

SCREENSHOTS = pathlib.Path(__file__).resolve().parents[1] / "build" / "results" / "screenshots"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
         # A name that is not this host's own, for what a page of another site can do.
         "--host-resolver-rules=MAP status.example 127.0.0.1"]


class Chromium(webdriver.Chrome):
    def all(self, selector):
        return self.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """As it stands in the document, also where it is hidden; also without scripts."""
        return " ".join(self.one(selector).get_property("textContent").split())

    def shown(self, selector):
        return [element for element in self.all(selector) if element.is_displayed()]

    def wait(self, condition, seconds=15, what=None):
        return servers.wait_until(lambda: _calmly(condition), seconds, what, 0.05)

    def emulate(self, width=1440, height=900, phone=False, dark=False, scripts=True):
        """How the next pages are looked at; without arguments, as on a desktop."""
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                             {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
        self.execute_cdp_cmd("Emulation.setEmulatedMedia",
                             {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})

    def screenshot(self, name, whole=False):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        if whole:
            size = self.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            shot = self.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {**size, "scale": 1}})
            path.write_bytes(__import__("base64").b64decode(shot["data"]))
        else:
            assert self.save_screenshot(str(path))
        return path

    def complaints(self):
        """What the console says since it was last asked, but for plain information."""
        return [entry for entry in self.get_log("browser") if entry["level"] not in ("INFO", "DEBUG")]


def _calmly(condition):
    try:
        return condition()
    except Exception as error:  # an element that is being replaced just now, or is not there yet
        raise AssertionError(str(error)) from None


@contextlib.contextmanager
def chromium():
    profile = servers.new_directory("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = servers.need("chromium", "chromium")
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(executable_path=servers.need("chromedriver", "chromium-driver"))
    try:
        chrome = Chromium(service=service, options=options)
        try:
            chrome.set_page_load_timeout(30)
            yield chrome
        finally:
            chrome.quit()
    finally:
        shutil.rmtree(profile, ignore_errors=True)
