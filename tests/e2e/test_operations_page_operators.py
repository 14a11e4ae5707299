"""The page at /operations where the app knows its callers: who has not signed in, callers, and operators."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.host import TEST_APP, Hosts, LocalHost
from tests.support.lro import begin, caller, identity, until
from tests.support.operations_page import Opener, chromium, picture, rows, settled, visit
from tests.support.served import AUTHENTICATED
from tests.support.signed_in import principal

__all__ = ["chromium", "visit"]

OPERATOR = {**identity("olga"), "x-ms-client-principal": principal("operations.read.all", "operations.cancel.all")}


@pytest.fixture(scope="module")
def app(hosts: Hosts) -> LocalHost:
    return hosts.shared("people", app_root=TEST_APP, environment=AUTHENTICATED)


@pytest.fixture
def started(app: LocalHost) -> Iterator[dict[str, Any]]:
    """An operation of alice."""
    with caller(app.url, "alice") as alice:
        started = begin(alice, "/trial/o1:wait", {"seconds": 300})
        yield started
        alice.post(f"/status/{started['id']}:cancel")


def test_who_has_not_signed_in(visit: Opener, app: LocalHost) -> None:
    page = visit()
    expect(page.get_by_role("alert")).to_contain_text("Sign in first.")
    link = page.get_by_role("link", name="Sign in")
    expect(link).to_have_attribute("href", f"{app.url}/.auth/login/aad?post_login_redirect_uri=%2Foperations")
    expect(page.locator("#key")).to_be_hidden()
    # Who has a token enters it where others enter a key.
    page.get_by_role("button", name="Key").click()
    page.get_by_label("Key or access token").fill("eyJh.eyJz.c2ln")
    with page.expect_request(lambda request: "/status?" in request.url) as asked:
        page.get_by_role("button", name="Use it").click()
    assert asked.value.header_value("authorization") == "Bearer eyJh.eyJz.c2ln"
    assert asked.value.header_value("x-functions-key") is None


def test_a_caller_without_a_role(visit: Opener, started: dict[str, Any]) -> None:
    """Sees nothing of others, and is told which role to ask for."""
    page = settled(visit(extra_http_headers=identity("bob")))
    expect(page.locator("#state")).to_contain_text("There are no operations yet.")
    page.get_by_label("Owner").select_option("everybody")
    expect(page.get_by_role("alert")).to_contain_text("operations.read.all")
    picture(page, "no-role")
    page.get_by_role("button", name="Show mine").click()
    expect(page.locator("#state")).to_contain_text("There are no operations yet.")


def test_an_operator(visit: Opener, app: LocalHost, started: dict[str, Any]) -> None:
    """Sees those of everybody with their owners, opens one, also from its address, and cancels it."""
    page = settled(visit("#owner=*", extra_http_headers=OPERATOR))
    row = rows(page).filter(has_text=started["id"])
    expect(row.locator(".owner")).to_have_text(re.compile("^of [0-9a-f]{16}$"))
    row.locator(".opener").click()
    details = page.locator("#details")
    expect(details).to_contain_text(started["id"])
    page.reload()
    expect(details).to_contain_text(started["id"])
    details.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.locator("#said")).to_have_text("1 canceled.")
    with caller(app.url, "alice") as alice:
        until(alice, started["id"], lambda monitor: monitor["status"] == "Canceled")


def test_paused(visit: Opener, app: LocalHost) -> None:
    """While an action is paused everybody sees that above the list."""
    with caller(app.url) as operator:
        operator.headers.update(OPERATOR)
        assert operator.post("/pauses:pause", json={"action": "trial:wait"}).status_code == 200
        try:
            page = settled(visit(extra_http_headers=identity("bob")))
            expect(page.locator(".banner")).to_contain_text("Paused: trial:wait.")
            picture(page, "paused")
        finally:
            operator.post("/pauses:resume", json={"action": "trial:wait"})
