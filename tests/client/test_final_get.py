"""Where the result is looked up once the monitor says Succeeded, against azure-core's own rule."""

import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.polling.base_polling import OperationResourcePolling
from azure.mgmt.core.polling.arm_polling import AzureAsyncOperationPolling

from lro_client import FinalState, Profile
from lro_client.messages import Headers, Request
from lro_client.model import Source, Track
from lro_client.monitors import final_url
from lro_client.polling import begin
from tests.client.scripted import HOME, Reply

START = f"{HOME}/things/1"
LOCATION = f"{HOME}/results/1"
NAMED = f"{HOME}/made/1"
STATES = [None, *FinalState]
CASES = list(itertools.product(["PUT", "PATCH", "POST", "DELETE"], STATES, [False, True], [False, True]))


def ours(header: str, method: str, state: FinalState | None, has_location: bool, is_named: bool) -> str | None:
    headers = {header: f"{HOME}/operations/1"} | ({"Location": LOCATION} if has_location else {})
    profile = Profile.ARM if header == "azure-asyncoperation" else Profile.DATA_PLANE
    started = Reply(202, headers=headers).to(Request(method, START))
    track = begin(profile, started, state).track
    return final_url(track, {"status": "Succeeded"} | ({"resourceLocation": NAMED} if is_named else {}))


def theirs(header: str, method: str, state: FinalState | None, has_location: bool, is_named: bool) -> str | None:
    """azure-core asked the same."""
    options = {} if state is None else {"final-state-via": state.value}
    kind: Any = AzureAsyncOperationPolling if header == "azure-asyncoperation" else OperationResourcePolling
    polling = kind(lro_options=options)
    headers = Headers({header: f"{HOME}/operations/1"} | ({"location": LOCATION} if has_location else {}))
    request = SimpleNamespace(method=method, url=START)
    body = json.dumps({"status": "Succeeded"} | ({"resourceLocation": NAMED} if is_named else {}))
    response = SimpleNamespace(
        status_code=202, headers=headers, request=request, content=body.encode(), text=lambda: body
    )
    polling.set_initial_status(SimpleNamespace(http_response=response))
    return polling.get_final_get_url(SimpleNamespace(http_response=response))


@pytest.mark.parametrize("header", ["operation-location", "azure-asyncoperation"])
@pytest.mark.parametrize(("method", "state", "has_location", "is_named"), CASES)
def test_as_azure_core(header: str, method: str, state: FinalState | None, has_location: bool, is_named: bool) -> None:
    """The same URL as azure-core's, but for two things: `original-uri` is taken at its word (as Azure.Core and core-lro
    do; azure-core does not know it), and a DELETE's `resourceLocation` is not followed (as in Azure.Core)."""
    mine = ours(header, method, state, has_location, is_named)
    if state is FinalState.ORIGINAL_URI and method != "DELETE":
        assert mine == START
    elif method == "DELETE" and is_named and not (state is FinalState.LOCATION and has_location):
        assert mine is None
    else:
        assert mine == theirs(header, method, state, has_location, is_named)


def test_relative_urls_are_resolved() -> None:
    """`Location` and `resourceLocation` may be relative to where they were said."""
    track = Track(Profile.AUTO, "POST", START, Source.OPERATION_LOCATION, f"{HOME}/a/operations/1", location_url="/r/1")
    assert final_url(track, {}) == f"{HOME}/r/1"
    assert final_url(track, {"resourceLocation": "../made"}) == f"{HOME}/a/made"
