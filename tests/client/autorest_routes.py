"""Every start under `/lro` of autorest's test server: driven by this client, and by azure-mgmt-core beside it."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HeadersPolicy, RequestIdPolicy, RetryPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.polling import LROPoller
from azure.core.rest import HttpRequest
from azure.mgmt.core.polling.arm_polling import ARMPolling

from lro_client import FinalState, LroError, Pace, Retries
from tests.client.clocks import FRACTION, QuickClock
from tests.client.mocks import MODULES, autorest
from tests.client.twins import Twins

SWAGGER = MODULES / "@microsoft.azure" / "autorest.testserver" / "swagger" / "lro.json"
REQUEST_ID = "9C4D50EE-2D56-4CD3-8152-34347DC9F2B0"
QUICK: dict[str, Any] = {
    "pace": Pace(first=0.01, longest=0.01),
    "retries": Retries(attempts=4, first=0.01, longest=0.02),
    "clock": QuickClock(),
}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    final_state: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.path.removeprefix('/lro/')}"

    @property
    def body(self) -> Any:
        return {"location": "West US"} if self.method in ("PUT", "PATCH", "POST") else None

    @property
    def headers(self) -> dict[str, str]:
        return {"x-ms-client-request-id": REQUEST_ID} if "customheader" in self.path else {}


def routes() -> Iterator[Route]:
    """As the test server's own description lists them."""
    paths = json.loads(SWAGGER.read_text(encoding="utf-8-sig"))["paths"]
    for path, methods in paths.items():
        for method, described in methods.items():
            options = described.get("x-ms-long-running-operation-options", {})
            yield Route(method.upper(), path, options.get("final-state-via"))


class Cookies(SansIOHTTPPolicy[Any, Any]):
    """The scenarios count requests by a cookie, which this client does not keep. It keeps a list of requests too."""

    def __init__(self) -> None:
        self._jar: dict[str, str] = {}
        self.seen: list[str] = []

    def on_request(self, request: PipelineRequest[Any]) -> None:
        self.seen.append(request.http_request.method)
        if self._jar:
            request.http_request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._jar.items())

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        for name, morsel in SimpleCookie(response.http_response.headers.get("Set-Cookie", "")).items():
            if morsel.value:
                self._jar[name] = morsel.value
            else:
                self._jar.pop(name, None)


class QuickTransport(RequestsTransport):
    """azure-core sleeps by its transport: what the server asks for, a fiftieth of the time."""

    def sleep(self, duration: float) -> None:
        super().sleep(duration * FRACTION)


def ours(url: str, route: Route, twins: Twins) -> tuple[str, int]:
    """What our client came to, in a few words, and how many requests it took."""
    cookies = Cookies()
    client = twins.client("ArmClient", endpoint=url, api_version="", policies=[cookies], **QUICK)
    final_state = FinalState(route.final_state) if route.final_state else None
    try:
        operation = client.start(
            route.method, route.path, json=route.body, headers=route.headers, final_state=final_state
        )
        shown = value_shown(operation.wait(timeout=20))
    except LroError as error:
        code = f" {error.code}" if error.code else ""
        shown = f"{type(error).__name__} {error.status_code}{code}"
    return shown, len(cookies.seen)


def theirs(url: str, route: Route) -> tuple[str, int]:
    """What azure-mgmt-core's poller came to."""
    cookies = Cookies()
    policies: list[Any] = [RequestIdPolicy(), HeadersPolicy(), RetryPolicy(retry_backoff_factor=0.01), cookies]
    options = {"final-state-via": route.final_state} if route.final_state else None
    with PipelineClient[Any, Any](url, policies=policies, transport=QuickTransport()) as client:
        request = HttpRequest(route.method, url + route.path, json=route.body, headers=route.headers)
        try:
            initial: Any = client._pipeline.run(request)
            initial.http_response.read()
            if initial.http_response.status_code >= 400:
                return f"refused {initial.http_response.status_code}", len(cookies.seen)
            polling: Any = ARMPolling(timeout=0.05, lro_options=options)
            poller: LROPoller[Any] = LROPoller(client, initial, _read, polling)
            shown = value_shown(poller.result(timeout=20))
        except (AzureError, ValueError) as error:
            response = getattr(error, "response", None)
            shown = f"{type(error).__name__} {getattr(response, 'status_code', None)}"
    return shown, len(cookies.seen)


def _read(response: Any) -> Any:
    content = response.http_response.content
    return json.loads(content) if content else None


def value_shown(value: Any) -> str:
    """A result, short: where several routes answer with the same product, it is told by its state and name."""
    return "no value" if value is None else json.dumps(value, separators=(",", ":"))[:70]


REASONS = {
    "a": "A PATCH answered 200 is done; its headers are ignored, as in Azure.Core. azure-mgmt-core asks their URL.",
    "b": "Both fail. Failed, canceled and unreadable are errors of their own here; azure-core tells bad JSON only.",
    "c": "A monitor's `status` is no result; azure-core hands the monitor's body out.",
    "d": "A POST without an id of its own is not sent twice after a 500: it may have been done. azure-core does.",
    "e": "202 without a monitor cannot be followed; azure-core takes it for success.",
    "f": "A relative URL is resolved; there is nothing at this one. azure-core cannot send it.",
    "g": "As f, but when what is being deleted answers 404 at `Location`, it is gone.",
    "h": "The last answer to a DELETE is not read; azure-core hands it out.",
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "client-routes.md"


def reason(route: Route, mine: str, other: str) -> str:
    """Which of the reasons explains that the two differ; empty where they do not."""
    if mine == other:
        return ""
    if "ignoreheaders" in route.path:
        return "a"
    if "invalidheader" in route.path:
        return "f" if mine != "no value" else "g"
    if "nolocation" in route.path:
        return "e"
    if mine.startswith("ServiceUnreachable 500"):
        return "d"
    if mine == "no value" and other == '{"status":"Succeeded"}':
        return "c"
    if mine == "no value" and route.method == "DELETE":
        return "h"
    is_error = ("Error", "refused")
    return "b" if any(word in other for word in is_error) and not mine.startswith(("{", "[")) else "?"


def row(route: Route, mine: tuple[str, int], other: tuple[str, int]) -> str:
    """A row of the document."""
    cells = [f"`{route}`", f"`{mine[0]}`", str(mine[1]), f"`{other[0]}`", str(other[1])]
    return f"| {' | '.join([*cells, reason(route, mine[0], other[0])])} |"


def document(rows: list[str]) -> str:
    """`docs/client-routes.md`. `python -m tests.client.autorest_routes` writes it anew."""
    head = [
        "# Every route of autorest's test server",
        "",
        "`@microsoft.azure/autorest.testserver` describes the starts of long-running operations that generated clients",
        "must cope with. What `lro_client` came to on each, and azure-mgmt-core's `ARMPolling` beside it, with the",
        "number of requests. `tests/client/test_autorest_routes.py` measures every row anew, for both kinds of client.",
        "",
        "| route | lro_client | requests | azure-mgmt-core | requests | why they differ |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", *(f"- **{letter}** {text}" for letter, text in REASONS.items()), ""])


def main() -> None:
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as folder, autorest(Path(folder)) as url:
        for route in routes():
            twins = Twins("sync")
            rows.append(row(route, ours(url, route, twins), theirs(url, route)))
            twins.close()
    DOCUMENT.write_text(document(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
