"""The page at /operations in headless Chromium: a host with 10,000 operations behind something that asks for keys."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Browser, expect

from shared.errors import ErrorBody, ErrorDetail
from shared.model.operation import Operation, Outcome
from tests.support.gateway import Gateway, gateway
from tests.support.host import TEST_APP, LocalHost
from tests.support.lro import begin, until
from tests.support.operations_page import Opener, answering, chromium, picture, rows, settled
from tests.support.operations_page import visit as visit_without_key
from tests.support.seeds import ended, seed

__all__ = ["chromium", "visit_without_key"]

KEY = "a-key-that-only-the-person-knows"
COUNT = 10_000
WHOLE = 300
"""As many of the newest have records, which details show."""

HOSTILE = "<img src=x onerror='window.hit=1'><b id=hit>&amp;\u202e"
HOSTILE_ID = "hostile-1"
DEEP, RARE = 3_507, "Rare"
"""A failed one behind thousands, and its error code, which no other has."""
NEWEST_FAILED = 7
"""The number of the newest one that failed; it was tried twice."""

PHONE = {"width": 390, "height": 844}


def hostile(operation: Operation) -> Operation:
    """A failed one with markup wherever text of somebody else comes from."""
    error = ErrorBody("<i>Code", HOSTILE, HOSTILE, (ErrorDetail("<i>Detail", HOSTILE, HOSTILE),))
    attempts = tuple(replace(each, message=HOSTILE, code="<i>Code", instance="<i>") for each in operation.attempts)
    changes: dict[str, Any] = {"id": HOSTILE_ID, "action": HOSTILE, "labels": (HOSTILE,), "attempts": attempts}
    return replace(operation, **changes, outcome=Outcome(500, error=error))


@pytest.fixture(scope="module")
def seeded() -> list[Operation]:
    """By number, the newest first."""
    now = datetime.now(UTC)
    found = [ended(number, now) for number in range(COUNT)]
    found[WHOLE - 1] = hostile(replace(found[NEWEST_FAILED], created=found[WHOLE - 1].created))
    found[DEEP] = replace(found[DEEP], outcome=Outcome(500, error=ErrorBody(RARE, "")))
    return found


@pytest.fixture(scope="module")
def app(seeded: list[Operation], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("operations")
    seed(folder, seeded, whole=WHOLE)
    with LocalHost(folder, app_root=TEST_APP) as host, gateway(host.url, KEY) as front:
        yield front


@pytest.fixture
def client(app: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, headers={"x-functions-key": KEY}, timeout=30) as client:
        yield client


@pytest.fixture
def visit(visit_without_key: Opener) -> Opener:
    """With the key, unless a test says otherwise."""
    return partial(visit_without_key, key=KEY)


# ---- who may see it


def test_it_asks_for_a_key(visit: Opener, app: Gateway) -> None:
    """Without a key it says what to ask for; a wrong one is told apart; with the right one the list is there."""
    app.seen.clear()
    page = visit(key="")
    expect(page.locator("#state")).to_contain_text("ask for a key of the host")
    expect(page.locator("#key-note")).to_have_text("This app asks for a key.")
    expect(page.locator("#filters")).to_be_hidden()
    picture(page, "no-key")
    field = page.get_by_label("Key or access token")
    for wrong, note in (("wrong", "That key does not open the list."), ("schl\u00fcssel\u2026", "That is no key")):
        field.fill(wrong)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#key-note")).to_contain_text(note)
        expect(field).to_be_focused()
    field.fill(KEY)
    field.press("Enter")
    expect(rows(page)).to_have_count(50)
    expect(page.locator("#key")).to_be_hidden()
    # It is in no URL, in nothing that is shown, and in no storage.
    assert all(KEY not in target for _, target, _ in app.seen)
    assert KEY not in page.content()
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert KEY not in page.evaluate(stored)
    page.reload()
    expect(page.locator("#key-note")).to_have_text("This app asks for a key.")


def test_the_key_of_a_tab(visit: Opener) -> None:
    """Who wants it keeps the key until the tab is closed, or until they have it forgotten."""
    page = visit(key="")
    page.get_by_label("Key or access token").fill(KEY)
    page.get_by_label("Keep it until this tab is closed").check()
    page.get_by_role("button", name="Use it").click()
    expect(rows(page)).to_have_count(50)
    page.reload()
    expect(rows(page)).to_have_count(50)
    page.get_by_role("button", name="Key").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator("#key-note")).to_have_text("This app asks for a key.")
    assert page.evaluate("sessionStorage.length") == 0


def test_refused(visit: Opener) -> None:
    """Each refusal says what to do; afterwards the list comes back by itself or by a button."""
    page = settled(visit())
    alert = page.locator("#state").get_by_role("alert")

    def refused(status: int, code: str, message: str, said: str, *, left: int, by: str, **headers: str) -> None:
        page.route("**/status?*", answering(status, code, message, **headers))
        page.get_by_role("button", name="Refresh").click()
        expect(alert).to_contain_text(said)
        # Who may not see it sees nothing of it; what is late is still there.
        expect(rows(page)).to_have_count(left)
        page.unroute("**/status?*")
        page.get_by_role("button", name=by).click()
        expect(alert).to_have_count(0)
        expect(rows(page)).to_have_count(50)

    refused(401, "Unauthenticated", "", "Sign in first.", left=0, by="Refresh")
    refused(400, "InvalidFilter", "It does not fit at position 3.", "position 3", left=50, by="Clear the filters")
    late = {"retry-after": "7"}
    refused(503, "StorageUnavailable", "", "It is tried again in 7 s.", left=50, by="Try now", **late)
    refused(403, "RoleRequired", "The role x.y is needed.", "The role x.y is needed.", left=0, by="Refresh")
    # This app has no operators.
    page.get_by_label("Owner").select_option("everybody")
    expect(alert).to_contain_text("operations.read.all")
    page.get_by_role("button", name="Show mine").click()
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_label("Owner")).to_have_value("")


def test_unreachable(visit: Opener) -> None:
    page = settled(visit())
    page.route("**/status?*", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("alert")).to_contain_text("The app cannot be reached.")


def test_nothing_there(visit: Opener) -> None:
    """An app without operations says how to start one."""
    page = visit(key="")
    page.route("**/status?*", lambda route: route.fulfill(json={"value": [], "count": {"active": 0, "ended": 0}}))
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#state")).to_contain_text("Start one: try an action")
    expect(page.get_by_role("link", name="the page of the API")).to_have_attribute("href", re.compile(r"/docs$"))
    picture(settled(page), "empty")


def test_unhealthy(visit: Opener) -> None:
    """Trouble that health tells is above everything, also before there is a key."""
    page = visit(key="")
    answer = {"status": "Unhealthy", "problems": ["StorageUnavailable"]}
    page.route("**/health", lambda route: route.fulfill(status=503, json=answer))
    page.reload()
    expect(page.locator(".banner")).to_contain_text("The app is not healthy: StorageUnavailable.")


# ---- the list


def test_filters(visit: Opener, seeded: list[Operation]) -> None:
    """By status, kind, label, error code, id and time, one after the other and together; the address keeps them."""
    page = settled(visit())
    expect(page.get_by_role("button", name=re.compile(r"Failed \d+\+"))).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#counted")).to_contain_text("the newest 1,000 are counted")
    page.get_by_role("button", name=re.compile("Failed")).click()
    expect(rows(page).locator(".pill.Failed")).to_have_count(50)
    page.get_by_label("Error code").fill("Timeout")
    page.get_by_label("Error code").press("Enter")
    expect(rows(page).locator(".code").filter(has_not_text="Timeout")).to_have_count(0)
    page.get_by_label("Kind").fill("shelf:*")
    page.get_by_label("Label").fill("team-b")
    page.get_by_role("button", name="Apply").click()
    expect(rows(page).locator(".kind").filter(has_not_text="shelf:migrate")).to_have_count(0)
    expect(rows(page).locator(".labels").filter(has_not_text="team-b")).to_have_count(0)
    fits = [o for o in seeded[:1000] if o.action.startswith("shelf:") and "team-b" in o.labels]
    number = len([o for o in fits if o.outcome and o.outcome.error and o.outcome.error.code == "Timeout"])
    assert number > 0
    page.get_by_label("Created").select_option("24")
    expect(page.locator("#filter-count")).to_have_text("(4 in use)")
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("shelf:*")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(rows(page)).to_have_count(50)
    page.get_by_label("Id").fill(seeded[60].id)
    page.get_by_label("Id").press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator(".id")).to_have_text(seeded[60].id)


def test_a_label_of_a_row_filters(visit: Opener) -> None:
    page = settled(visit())
    page.get_by_role("button", name="batch:5").first.click()
    expect(rows(page).locator(".labels").filter(has_not_text="batch:5")).to_have_count(0)
    expect(page.get_by_label("Label")).to_have_value("batch:5")


def test_between_two_times(visit: Opener, seeded: list[Operation]) -> None:
    """Times are entered, and shown, in the person's own time zone."""
    page = settled(visit())
    page.get_by_label("Created").select_option("range")
    first, last = seeded[29].created, seeded[20].created + timedelta(seconds=1)
    local = [at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%dT%H:%M:%S") for at in (first, last)]
    page.get_by_label("From", exact=True).fill(local[0])
    page.get_by_label("To", exact=True).fill(local[1])
    page.get_by_role("button", name="Apply").click()
    expect(rows(page)).to_have_count(10)
    expect(rows(page).locator(".id").first).to_have_text(seeded[20].id)


def test_ten_thousand(visit: Opener, seeded: list[Operation]) -> None:
    """Pages go back and forth with fifty rows each, say how far back they looked, and pass over what does not fit."""
    page = settled(visit())
    expect(page.locator("#looked time")).to_have_attribute(
        "datetime", re.compile(f"^{seeded[49].created:%Y-%m-%dT%H:%M}")
    )
    picture(page, "ten-thousand")
    older, newer = page.get_by_role("button", name="Older"), page.get_by_role("button", name="Newer")
    for number in (50, 100):
        older.click()
        expect(rows(page).locator(".id").first).to_have_text(seeded[number].id)
        expect(rows(page)).to_have_count(50)
    newer.click()
    expect(rows(page).locator(".id").first).to_have_text(seeded[50].id)
    newer.click()
    expect(rows(page).locator(".id").first).to_have_text(seeded[0].id)
    expect(newer).to_be_hidden()
    # Thousands are looked at for the only one.
    page.get_by_label("Error code").fill(RARE)
    page.get_by_label("Error code").press("Enter")
    expect(rows(page).locator(".id")).to_have_text([seeded[DEEP].id])
    expect(page.locator("#looked time")).to_have_attribute("datetime", re.compile(f"^{seeded[DEEP].created:%Y-%m}"))
    page.get_by_role("button", name="Refresh").click()
    expect(rows(page).locator(".id")).to_have_text([seeded[DEEP].id])
    expect(page.get_by_role("button", name="Look further back")).to_be_visible()


def test_the_oldest_first(visit: Opener) -> None:
    """That is offered where only active ones are chosen."""
    page = settled(visit())
    expect(page.get_by_label("Order")).to_be_disabled()
    page.get_by_role("button", name=re.compile("Running")).click()
    page.get_by_label("Order").select_option("oldest")
    expect(page.get_by_role("alert")).to_have_count(0)
    settled(page)
    page.get_by_role("button", name=re.compile("Succeeded")).click()
    expect(page.get_by_label("Order")).to_be_disabled()
    expect(rows(page).first).to_be_visible()


def test_polite_polls(visit: Opener, client: httpx.Client) -> None:
    """While something runs it is asked for every five seconds; nothing is while nobody looks, or while it is off."""
    operation = begin(client, "/trial/t1:wait", {"seconds": 300})
    page = settled(visit(stop_clock=True))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/status?" in request.url else None)
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"

    def idle(milliseconds: int) -> None:
        page.clock.fast_forward(milliseconds)
        page.evaluate("fetch('health').then(() => 1)")
        assert asked == []

    def answered(part: str) -> AbstractContextManager[Any]:
        return page.expect_response(lambda response: part in response.url)

    # The clock ticks, too.
    idle(1_000)
    with answered("/status?"):
        page.clock.fast_forward(5_000)
    page.evaluate(hide, True)
    asked.clear()
    idle(120_000)
    # After that time it also counts anew, as the last thing.
    with answered("count=true"):
        page.evaluate(hide, False)
    live = page.get_by_role("button", name="Live")
    live.click()
    asked.clear()
    idle(120_000)
    with answered("/status?"):
        live.click()
    client.post(f"/status/{operation['id']}:cancel")


# ---- details, and what can be done


def test_a_failed_one(visit: Opener, seeded: list[Operation]) -> None:
    """Error, causes, attempts and times; the address opens it again; focus goes there and back."""
    page = settled(visit("#status=Failed"))
    opener = rows(page).first.get_by_role("button").first
    opener.click()
    details = page.get_by_role("complementary")
    expect(details.get_by_role("heading", level=2)).to_be_focused()
    expect(details.locator(".error")).to_contain_text("container.xml names no package document")
    expect(details.locator(".error")).to_contain_text("MissingElement There is no rootfile element.")
    expect(details.locator(".attempts li")).to_have_count(2)
    expect(details.locator(".attempts li").first).to_contain_text("Attempt 1: Failed")
    expect(details.locator(".attempts li").first).to_contain_text("ConnectionReset")
    expect(details.locator("dl")).to_contain_text(seeded[NEWEST_FAILED].id)
    expect(opener).to_have_attribute("aria-expanded", "true")
    picture(page, "failed")
    page.reload()
    expect(details.locator(".error")).to_contain_text("InvalidEpub")
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    expect(rows(page).first.locator(".opener")).to_be_focused()


def test_a_result(visit: Opener, seeded: list[Operation]) -> None:
    """It is shown, and saved by a button that sends the key."""
    page = settled(visit(f"#id={seeded[0].id}"))
    rows(page).first.locator(".opener").click()
    expect(page.locator("#details pre")).to_contain_text('"title": "Book 0"')
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download the result").click()
    assert saved.value.suggested_filename == f"{seeded[0].id}.json"
    assert json.loads(saved.value.path().read_bytes())["title"] == "Book 0"


def test_a_file(visit: Opener, client: httpx.Client) -> None:
    """A file is a link to the store, which needs no key: with name, size and type, and a new address at each click."""
    body = {"size": 1_500_000, "fileName": "bücher.bin", "contentType": "application/x-books"}
    started = begin(client, "/result/p1:file", body)
    until(client, started["id"], lambda monitor: monitor["status"] == "Succeeded")
    page = settled(visit(f"#id={started['id']}&open={started['id']}"))
    details = page.locator("#details")
    expect(details).to_contain_text("1.5 MB, application/x-books")
    link = details.get_by_role("link", name="Download bücher.bin")
    first = link.get_attribute("href")
    page.wait_for_timeout(1100)  # the address has whole seconds
    with page.expect_download() as saved:
        link.click()
    assert saved.value.suggested_filename == "bücher.bin"
    assert saved.value.path().stat().st_size == 1_500_000
    assert saved.value.url != first
    assert KEY not in saved.value.url
    expect(page.get_by_role("button", name="Download the result")).to_have_count(0)


def test_one_that_is_gone(visit: Opener, seeded: list[Operation]) -> None:
    page = settled(visit(f"#id={seeded[WHOLE + 50].id}&open=gone-long-ago"))
    expect(page.locator("#details")).to_contain_text("It is not there any more")
    expect(page.locator("#details .acts button")).to_have_count(0)


def test_progress_and_cancel(visit: Opener, client: httpx.Client) -> None:
    """A new one appears by itself with its progress; canceled from its details, it says so everywhere."""
    page = settled(visit(stop_clock=True))
    started = begin(client, "/trial/p1:progress", {"seconds": 300}, **{"Operation-Labels": "nightly"})
    until(client, started["id"], lambda monitor: monitor.get("percentComplete") == 75)
    page.clock.fast_forward(31_000)
    row = rows(page).filter(has_text=started["id"])
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "75")
    expect(row).to_contain_text("nightly")
    expect(page.get_by_role("button", name=re.compile("Running [1-9]"))).to_be_visible()
    picture(page, "running")
    row.locator(".opener").click()
    expect(page.locator("#details")).to_contain_text("3 of 4: step 3")
    page.locator("#details").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="No, go back")).to_be_focused()
    page.keyboard.press("Escape")
    assert client.get(f"/status/{started['id']}").json()["status"] == "Running"
    page.locator("#details").get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Yes, cancel").click()
    expect(page.locator("#said")).to_have_text("1 canceled.")
    until(client, started["id"], lambda monitor: monitor["status"] == "Canceled")
    page.clock.fast_forward(21_000)
    expect(page.locator("#details .summary")).to_contain_text("Canceled")
    expect(row.locator(".pill")).to_have_text("Canceled")


def test_several_at_once(visit: Opener, client: httpx.Client) -> None:
    """What is selected is canceled, then deleted; what cannot be done is said for each, and stays said."""
    ids = [
        begin(client, f"/trial/m{n}:wait", {"seconds": 300}, **{"Operation-Labels": "several"})["id"] for n in range(3)
    ]
    page = settled(visit("#label=several"))
    expect(rows(page)).to_have_count(3)
    page.get_by_label("Select all that are shown").check()
    selected = page.get_by_role("group", name="Selected operations")
    expect(selected).to_contain_text("3 selected")
    expect(selected.get_by_role("button", name="Delete")).to_be_disabled()
    selected.get_by_role("button", name="Cancel 3").click()
    expect(page.get_by_role("dialog").locator("li")).to_have_count(3)
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.locator("#said")).to_have_text("3 canceled.")
    for each in ids:
        until(client, each, lambda monitor: monitor["status"] == "Canceled")
    page.get_by_role("button", name="Refresh").click()
    expect(rows(page).locator(".pill.Canceled")).to_have_count(3)
    page.get_by_label("Select all that are shown").check()
    client.delete(f"/status/{ids[0]}")
    selected.get_by_role("button", name="Delete 3").click()
    page.get_by_role("button", name="Yes, delete").click()
    expect(page.locator("#outcome")).to_contain_text(f"{ids[0]} OperationNotFound")
    expect(page.locator("#said")).to_have_text("2 deleted.")
    expect(rows(page)).to_have_count(0)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator("#outcome")).to_be_empty()
    assert [client.get(f"/status/{each}").status_code for each in ids] == [404] * 3


def test_run_again(visit: Opener, client: httpx.Client, seeded: list[Operation]) -> None:
    """The new operation is named; of a kind that cannot be run again the button goes, and of the others it stays."""
    failed = begin(client, "/trial/r1:fail")["id"]
    until(client, failed, lambda monitor: monitor["status"] == "Failed")
    page = settled(visit("#status=Failed"))
    again = page.locator("#details").get_by_role("button", name="Run again")

    def run_again() -> None:
        again.click()
        page.get_by_role("button", name="Yes, run again").click()

    rows(page).filter(has_text=failed).locator(".opener").click()
    run_again()
    expect(page.locator("#said")).to_contain_text("1 started again. New: ")
    new = page.locator("#said").inner_text().removesuffix(".").rpartition(" ")[2]
    assert client.get(f"/status/{new}").json()["retryOf"] == failed
    # Of this one the app has no action any more.
    other = seeded[NEWEST_FAILED]
    rows(page).filter(has_text=other.id).locator(".opener").click()
    run_again()
    expect(page.locator("#outcome")).to_contain_text(f"{other.id} RetryNotSupported")
    expect(page.locator("#details").get_by_role("button", name="Delete")).to_be_visible()
    expect(again).to_have_count(0)
    rows(page).filter(has_text=failed).locator(".opener").click()
    expect(again).to_be_visible()


def test_an_app_without_retry(visit: Opener, seeded: list[Operation]) -> None:
    """An older app, or a gateway that does not let it through, answers 405: then no button offers it."""
    page = settled(visit("#status=Failed"))
    page.route("**/status/*:retry?*", answering(405, "MethodNotAllowed", "POST is not possible here."))
    rows(page).filter(has_text=seeded[NEWEST_FAILED].id).locator(".opener").click()
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Yes, run again").click()
    expect(page.locator("#outcome")).to_contain_text("MethodNotAllowed")
    expect(page.get_by_role("button", name="Run again")).to_have_count(0)


# ---- for everybody


def test_keyboard(visit: Opener) -> None:
    """Everything is reached without a mouse, and what has the focus is to be seen."""
    page = settled(visit())
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the list")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="List of operations")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Select all that are shown")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#selected-count")).to_have_text("1 selected")
    page.keyboard.press("Tab")
    expect(rows(page).first.locator(".opener")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(1).locator(".opener")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").get_by_role("heading", level=2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(rows(page).nth(1).locator(".opener")).to_be_focused()


def test_names_for_screen_readers(visit: Opener) -> None:
    """Landmarks, a table with headers, and controls that say what they are; loads are told, polls are not."""
    page = settled(visit())
    for role in ("banner", "main", "table"):
        expect(page.get_by_role(role)).to_be_visible()
    expect(page.get_by_role("columnheader")).to_have_count(6)
    expect(page.locator("#heard")).to_contain_text("50 operations are shown. Looked back to")
    nameless = """[...document.querySelectorAll('button, input, select')].filter(each => each.checkVisibility()
        && !(each.ariaLabel || each.labels?.[0]?.textContent || each.textContent).trim()).length"""
    assert page.evaluate(nameless) == 0


def test_hostile_texts(visit: Opener) -> None:
    """Whatever kinds, labels and errors hold is shown as the text that it is."""
    page = settled(visit(f"#id={HOSTILE_ID}&open={HOSTILE_ID}&kind=%3Cb%20id%3Dhit%3E"))
    page.get_by_label("Kind").fill("")
    page.get_by_label("Kind").press("Enter")
    expect(rows(page)).to_have_count(1)
    details = page.locator("#details")
    expect(details.locator(".error")).to_contain_text("<i>Code")
    expect(details.get_by_role("heading", level=2)).to_have_text(HOSTILE)
    expect(rows(page).locator(".kind")).to_have_text(HOSTILE)
    expect(rows(page).locator(".label")).to_have_text(HOSTILE)
    rows(page).get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete 1").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert page.locator("#hit, #details img, #rows img, dialog img, i, b").count() == 0
    assert page.evaluate("window.hit") is None


def test_a_link_that_is_a_script(visit: Opener, seeded: list[Operation]) -> None:
    """Only addresses of the web become links."""
    page = settled(visit(f"#id={seeded[0].id}"))
    answer = {"id": "x", "kind": "k:k", "status": "Succeeded", "resourceLocation": "javascript:window.hit=1"}
    times = {"createdDateTime": seeded[0].created.isoformat(), "lastActionDateTime": seeded[0].created.isoformat()}
    page.route(f"**/status/{seeded[0].id}?*", lambda route: route.fulfill(json={**answer, **times}))
    rows(page).first.locator(".opener").click()
    expect(page.locator("#details")).to_contain_text("javascript:window.hit=1")
    expect(page.locator("#details a")).to_have_count(0)


def test_only_its_own_scripts(chromium: Browser, app: Gateway) -> None:
    """The policy stops a script in the page, and requests to elsewhere, even to this app by another name."""
    page = chromium.new_page()
    page.goto(f"{app.url}/operations")
    write = "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.head.append(s);"
    assert page.evaluate(f"(() => {{ {write} return window.ran === 1; }})()") is False
    elsewhere = app.url.replace("127.0.0.1", "localhost")
    assert page.evaluate(f"fetch('{elsewhere}/health').then(() => 'sent', () => 'stopped')") == "stopped"
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "light"), (390, "dark")])
def test_on_a_phone(visit: Opener, width: int, scheme: str) -> None:
    """Nothing is wider than the screen, with filters and details open, and every button is large enough."""
    page = settled(visit(viewport={**PHONE, "width": width}, color_scheme=scheme, has_touch=True, is_mobile=True))
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(245, 246, 248)",
            "dark": "rgb(15, 18, 22)",
        }[scheme]
    )
    if width == 390:
        picture(page, f"phone-{scheme}")
    page.locator("summary").click()
    page.get_by_label("Created").select_option("range")
    assert page.evaluate(fits)
    page.locator("summary").click()
    rows(page).first.get_by_role("checkbox").check()
    rows(page).nth(NEWEST_FAILED).locator(".opener").click()
    expect(page.locator("#details .attempts")).to_be_visible()
    assert page.evaluate(fits)
    low = "b => b.checkVisibility() && !b.matches('.opener, .code, .label') && b.offsetHeight < 44"
    assert page.evaluate(f"[...document.querySelectorAll('button')].filter({low}).map(b => b.textContent)") == []
    if width == 390:
        picture(page, f"phone-{scheme}-details")


def test_in_the_dark(visit: Opener) -> None:
    page = settled(visit("#status=Failed", color_scheme="dark"))
    rows(page).first.locator(".opener").click()
    expect(page.locator("#details .attempts")).to_be_visible()
    picture(page, "dark")
    assert page.evaluate("getComputedStyle(document.querySelector('#details')).backgroundColor") == "rgb(23, 27, 33)"
