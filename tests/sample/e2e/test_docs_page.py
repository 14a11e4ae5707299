"""The page at /docs in headless Chromium: a person enters a key, starts an action and reads its monitor there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.sample.described import endpoints, sample
from tests.support.browser import browser
from tests.support.gateway import Gateway, gateway
from tests.support.host import ROOT, LocalHost

expect.set_options(timeout=60_000)
"""On a busy machine the first reading of the description takes more than the library's 5 s."""

KEY = "a-key-that-only-the-person-knows"
PICTURES = ROOT / ".build" / "screenshots"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def app(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The sample behind something that asks for keys, as the platform does."""
    with LocalHost(tmp_path_factory.mktemp("docs")) as host, gateway(host.url, KEY) as front:
        yield front


@pytest.fixture
def page(chromium: Browser, app: Gateway) -> Iterator[Page]:
    """The page, just opened. Whatever the browser complains of, or fetches elsewhere, fails the test."""
    app.seen.clear()
    context = chromium.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # A refused fetch is said on the console, too; those that the tests provoke are 401.
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and "401" not in m.text else None)
    page.on("request", lambda r: None if r.url.startswith((app.url, "data:", "blob:")) else complaints.append(r.url))
    page.goto(f"{app.url}/docs")
    yield page
    context.close()
    assert complaints == []


def enter_key(page: Page, key: str = KEY) -> None:
    page.locator("#key-field").fill(key)
    page.get_by_role("button", name="Use this key").click()


def picture(page: Page, name: str) -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
    return PICTURES / f"{name}.png"


def test_it_asks_for_a_key(page: Page) -> None:
    """Without a key, or with a wrong one, nothing is shown but what is wanted."""
    expect(page.locator("#key-note")).to_have_text("Enter a host-level key of this app.")
    expect(page.locator(".opblock")).to_have_count(0)
    enter_key(page, "wrong")
    expect(page.locator("#key-note")).to_have_text("That key does not open the description.")
    expect(page.locator(".opblock")).to_have_count(0)


def test_what_is_no_key(page: Page) -> None:
    """A text that no header can have is told apart from an app that cannot be reached."""
    enter_key(page, "schl\u00fcssel\u2026")
    expect(page.locator("#key-note")).to_contain_text("That is no key")
    enter_key(page)
    expect(page.locator("#operations-Data_plane-book_upload_start")).to_be_visible()


def test_a_person_tries_an_action(page: Page, app: Gateway) -> None:
    """With the key every operation is there; an action is started and its monitor read, without leaving the page."""
    enter_key(page)
    expect(page.locator("#operations-Data_plane-book_upload_start")).to_be_visible()
    assert page.locator(".opblock").count() == len(endpoints(sample()))
    expect(page.locator(".opblock-tag")).to_have_count(5)
    assert picture(page, "docs").stat().st_size > 20_000
    start = page.locator("#operations-Data_plane-book_upload_start")
    start.locator(".opblock-summary-control").click()
    # The example of a real run is what the body starts from.
    expect(start.locator("textarea.body-param__text")).to_contain_text("fileName")
    start.locator("tr[data-param-name=id] input").fill("moby-dick")
    start.locator("button.execute").click()
    answer = start.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").nth(1)).to_contain_text("202")
    expect(answer).to_contain_text("operation-location")
    operation_id = answer.locator(".response-col_description").nth(1).inner_text().split('"id": "')[1].split('"')[0]
    answer.scroll_into_view_if_needed()
    picture(page, "docs-started")
    status = page.locator("#operations-Operations-status")
    status.locator(".opblock-summary-control").click()
    status.locator("tr[data-param-name=operation_id] input").fill(operation_id)
    status.locator("button.execute").click()
    expect(status.locator(".live-responses-table")).to_contain_text('"status": "Succeeded"')
    assert ("GET", f"/status/{operation_id}?api-version=2026-01-01", KEY) in app.seen


def test_a_person_tries_the_odata_service(page: Page) -> None:
    """A book is made as the example has it, and read by its key, which the example has filled in, quotes and all."""
    enter_key(page)
    new = page.locator("[id='operations-OData-odata_Books-create']")
    new.locator(".opblock-summary-control").click()
    new.locator("button.execute").click()
    expect(new.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("201")
    one = page.locator("#operations-OData-odata_Books_entity")
    one.locator(".opblock-summary-control").click()
    expect(one.locator("tr[data-param-name=key] input")).to_have_value("emma")
    one.locator("button.execute").click()
    expect(one.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
    expect(one.locator(".live-responses-table")).to_contain_text('"title": "Emma"')
    one.scroll_into_view_if_needed()
    picture(page, "docs-odata")


def test_the_key_stays_in_the_script(page: Page, app: Gateway) -> None:
    """Sent with requests to the app, the key is in no URL, no storage, no cookie, and nowhere in what is shown."""
    enter_key(page)
    listing = page.locator("#operations-Operations-status_list")
    listing.locator(".opblock-summary-control").click()
    listing.locator("button.execute").click()
    # The command that repeats the request is shown, without the key.
    expect(listing.locator(".curl-command")).to_contain_text("curl")
    assert KEY in {key for method, target, key in app.seen if target.startswith("/status")}
    assert KEY not in page.content()
    assert page.locator("#key-field").input_value() == ""
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert KEY not in page.evaluate(stored)
    assert all(KEY not in target for _, target, _ in app.seen)
    page.reload()
    expect(page.locator("#key-note")).to_have_text("Enter a host-level key of this app.")


def test_the_dialog_has_no_key(page: Page) -> None:
    """Swagger UI's own dialog, which shows what is entered in its commands, offers only the other secrets."""
    enter_key(page)
    page.locator("button.authorize").click()
    expect(page.locator(".auth-container")).to_have_count(1)
    expect(page.locator(".auth-container")).to_contain_text("operationSecret")


def test_only_the_apps_own_scripts_run(chromium: Browser, app: Gateway) -> None:
    """The policy stops what does not come from the app: a script in the page, and a request to elsewhere."""
    page = chromium.new_page()
    try:
        page.goto(f"{app.url}/docs")
        write = "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.head.append(s);"
        assert page.evaluate(f"(() => {{ {write} return window.ran === 1; }})()") is False
        elsewhere = app.url.replace("127.0.0.1", "localhost")
        leak = f"fetch('{elsewhere}/health').then(() => 'sent', () => 'stopped')"
        assert page.evaluate(leak) == "stopped"
        assert page.evaluate(f"fetch('{app.url}/health').then(() => 'sent', () => 'stopped')") == "sent"
    finally:
        page.close()
