"""Admission: as many requests at a time as a process takes, and every other one is told to come back."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from shared.contracts import preferences
from shared.contracts.http import Request, Response, json_response
from shared.endpoints import boundary
from shared.endpoints.admission import Admission
from shared.endpoints.arm import boundary as arm_boundary
from shared.endpoints.odata import boundary as odata_boundary
from shared.errors import RequestError

REQUEST = Request(method="POST", url="http://h/x", headers={}, body=b"{")


class Blocked:
    """An endpoint that answers when it is let go."""

    def __init__(self) -> None:
        self.entered = 0
        self.released = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        self.entered += 1
        await self.released.wait()
        return json_response(200, {})


async def test_one_too_many_is_told_to_come_back() -> None:
    """While the limit is reached, the endpoint of another request is not entered; when one has ended, it is."""
    admission, blocked = Admission(2), Blocked()
    running = [asyncio.create_task(admission.serve(REQUEST, blocked.answer)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as refused:
        await admission.serve(REQUEST, blocked.answer)
    assert (refused.value.status, refused.value.code, refused.value.headers) == (
        429, "TooManyRequests", {"Retry-After": "1"},
    )  # fmt: skip
    assert blocked.entered == 2
    blocked.released.set()
    assert [answer.status for answer in await asyncio.gather(*running)] == [200, 200]
    assert (await admission.serve(REQUEST, blocked.answer)).status == 200


@pytest.mark.parametrize(("limit", "waiting"), [(1, 0), (2, 1), (3, 1), (4, 2), (200, 100)])
async def test_those_who_wait_get_half_of_the_places(limit: int, waiting: int) -> None:
    """The others are served without their wait, and as soon as a place is free again it is honored."""
    admission, released = Admission(limit), asyncio.Event()
    request = replace(REQUEST, headers={"prefer": 'respond-async, wait=20, a="b, wait=1", WAIT="9"; c=d'})
    at_once = 0

    async def start(request: Request) -> Response:
        nonlocal at_once
        assert preferences.preferences(request).items() >= {"respond-async": "", "a": "b, wait=1"}.items()
        if preferences.wait_seconds(request, limit=20):
            await released.wait()
        else:
            at_once += 1
        return json_response(202, {})

    running = [asyncio.create_task(admission.serve(request, start)) for _ in range(3 * limit)]
    await asyncio.sleep(0)
    assert (at_once, sum(not each.done() for each in running)) == (3 * limit - waiting, waiting)
    released.set()
    await asyncio.gather(*running)
    await admission.serve(request, start)
    assert at_once == 3 * limit - waiting + (0 if waiting else 1)


@pytest.mark.parametrize("error", [RequestError(400, "InvalidJson", "no JSON"), ValueError(), asyncio.CancelledError()])
async def test_every_end_frees_a_place(error: BaseException) -> None:
    """Also an error, and a caller that has gone away."""
    admission = Admission(1)

    async def fails(request: Request) -> Response:
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            await admission.serve(REQUEST, fails)


@pytest.mark.parametrize("profile", [boundary, arm_boundary, odata_boundary], ids=lambda each: each.__name__)
async def test_each_profile_says_so_in_its_manner(profile: Any) -> None:
    """The body and the headers of any error of the profile, before anybody has read what was sent."""
    admission, blocked = Admission(1), Blocked()
    running = asyncio.create_task(admission.serve(REQUEST, blocked.answer))
    await asyncio.sleep(0)

    async def admitted(request: Request) -> Response:
        return await admission.serve(request, blocked.answer)

    refused = await profile.answer(REQUEST, admitted)
    assert (refused.status, refused.headers["x-ms-error-code"]) == (429, "TooManyRequests")
    assert json.loads(refused.body)["error"]["code"] == "TooManyRequests"
    assert (refused.headers["Retry-After"], bool(refused.headers["x-ms-request-id"])) == ("1", True)
    blocked.released.set()
    await running
