"""What the tests of the polling rules say of answers and operations."""

from typing import Any

from lro_client import FinalState, Profile
from lro_client.messages import Answer, Request
from lro_client.model import Reading, Source, Track
from lro_client.polling import begin
from tests.client.scripted import HOME, MONITOR, Reply

THING = f"{HOME}/things/1"
OL, AAO, LOC = "Operation-Location", "Azure-AsyncOperation", "Location"


def first(method: str, reply: Reply, profile: Profile = Profile.AUTO, final: FinalState | None = None) -> Reading:
    return begin(profile, answer(reply, method, THING), final)


def answer(reply: Reply, method: str = "GET", url: str = MONITOR) -> Answer:
    return reply.to(Request(method, url))


def track(source: Source, method: str = "POST", **more: Any) -> Track:
    fields: dict[str, Any] = {"profile": Profile.AUTO, "method": method, "start_url": THING, "monitor_url": MONITOR}
    return Track(**(fields | {"source": source, "poll_url": MONITOR} | more))


def state(word: Any, **more: Any) -> Reply:
    return Reply(200, {"id": "1", "status": word, **more})


def resource(word: str | None, status: int = 200) -> Reply:
    properties = {} if word is None else {"provisioningState": word}
    return Reply(status, {"id": "/things/1", "properties": properties})
