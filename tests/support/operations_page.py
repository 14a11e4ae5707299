"""The page at /operations in headless Chromium, for tests: opened, waited for, and looked at.

A module that imports `chromium` and `visit` has a fixture `app` of its own: what the page is asked of.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.browser import browser
from tests.support.gateway import Gateway
from tests.support.host import ROOT, LocalHost

PATIENCE = 60_000
"""Milliseconds, on a busy machine; the library's 5 s are not enough there."""
expect.set_options(timeout=PATIENCE)

PICTURES = ROOT / ".build" / "pictures"
WIDE = {"width": 1240, "height": 800}


@pytest.fixture(scope="module")
def chromium(app: Gateway | LocalHost) -> Iterator[Browser]:
    """After the app: seeding runs an event loop, and so does this."""
    with browser() as running:
        yield running


Opener = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, app: Gateway | LocalHost) -> Iterator[Opener]:
    """Opens the page. Whatever a script complains of, or is fetched elsewhere, fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def opened(view: str = "", *, key: str = "", stop_clock: bool = False, **options: Any) -> Page:
        settings: dict[str, Any] = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Berlin", **options}
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # Refused requests are said on the console, too; the tests provoke them.
        page.on("console", lambda m: None if "Failed to load" in m.text else complaints.append(m.text))
        # A file is downloaded from the store by a link, which is a navigation.
        own = ("blob:", app.url)
        page.on(
            "request",
            lambda r: None if r.url.startswith(own) or r.is_navigation_request() else complaints.append(r.url),
        )
        if stop_clock:
            page.clock.install()
        if key:
            page.add_init_script(f"sessionStorage.setItem('operations-key', {json.dumps(key)})")
        page.goto(f"{app.url}/operations{view}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def rows(page: Page) -> Locator:
    return page.locator("#rows tr")


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def settled(page: Page) -> Page:
    """When the list is there, and what has been counted."""
    expect(page.locator("#list")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#counted")).not_to_be_empty()
    return page


def answering(status: int, code: str = "", message: str = "", **headers: str) -> Callable[[Route], None]:
    body = json.dumps({"error": {"code": code, "message": message}})
    return lambda route: route.fulfill(
        status=status, body=body, headers={"content-type": "application/json", **headers}
    )
