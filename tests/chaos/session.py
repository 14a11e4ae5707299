"""What a client of one kind of operation has at hand: requests that are sent again, starts, waiting for ends."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from tests.chaos.ledger import SUCCEEDED, Accepted, Ledger
from tests.support.host import LocalHost

WITHIN = 60.0
"""Seconds from the last kill, or from a request, to the end of what was accepted."""
_PAUSE = 0.25


class Stuck(Exception):
    """Something was not answered, or did not end, in time."""


@dataclass
class Disturbed:
    """The app under test. While it is down its clients wait, for another program may have its port by then."""

    host: LocalHost
    within: float = WITHIN
    killed: dict[int, float] = field(default_factory=dict[int, float])
    """When which process was killed, in seconds since the epoch."""
    last: float = field(default_factory=time.monotonic)
    """When it was last up again after a kill."""
    _is_up: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.host.start()
        self.last = time.monotonic()
        self._is_up.set()

    def kill(self) -> None:
        self._is_up.clear()
        pid = self.host.pid
        self.host.kill()
        # By now, and not before: it may have written a line a moment ago.
        self.killed[pid] = time.time()

    def stop(self) -> None:
        self._is_up.clear()
        self.host.stop()

    @property
    def url(self) -> str:
        assert self._is_up.wait(120), "the host did not come back"
        return self.host.url

    def deadline(self, begun: float) -> float:
        return max(begun, self.last) + self.within


class Session:
    """One client, with a random generator of its own: what it does follows from the seed."""

    def __init__(self, app: Disturbed, ledger: Ledger, kind: str, seed: str) -> None:
        self.app = app
        self.ledger = ledger
        self.kind = kind
        self.random = random.Random(f"{seed} {kind}")
        self._http = httpx.Client(timeout=30)

    def close(self) -> None:
        self._http.close()

    def new_id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128)))

    def once(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response | None:
        """One request; None where there was no answer, or 503. In names of headers underscores stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            answer = self._http.request(method, self.app.url + path, json=body, headers=named)
        except httpx.TransportError:
            return None
        self.ledger.saw(answer)
        return None if answer.status_code == 503 else answer

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request that may be sent again, until it has an answer. Raises Stuck."""
        begun = time.monotonic()
        while (answer := self.once(method, path, body, **headers)) is None:
            if time.monotonic() > self.app.deadline(begun):
                raise Stuck(f"no answer: {method} {path}")
            time.sleep(_PAUSE)
        return answer

    def start(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        expected: frozenset[str] = SUCCEEDED,
        operation_id: str = "",
        monitor: str = "",
        may_be_lost: bool = False,
    ) -> Accepted | None:
        """Start an operation of the data plane; None where that is not known, or refused because it is held.

        With an id it is sent again until it is answered, and now and then once more. `monitor`: where it is, if not at
        `status/`.
        """
        if operation_id:
            headers = {} if monitor else {"operation_id": operation_id}
            answer = self.send(method, path, body, **headers)
            if self.random.random() < 0.3 and answer.status_code < 300:
                self.ledger.count(self.ledger.repeated, self.kind)
                again = self.send(method, path, body, **headers)
                if again.headers.get("operation-id") != answer.headers["operation-id"]:
                    self.ledger.problem(f"a repeated start is another operation: {self.kind}: {again.text[:300]}")
        else:
            first = self.once(method, path, body)
            if first is None:
                self.ledger.count(self.ledger.unanswered, self.kind)
                return None
            answer = first
        if answer.status_code == 409 and answer.headers["x-ms-error-code"] == "OperationInProgress":
            return None
        self.expect(answer, 200, 201, 202)
        id = answer.headers["operation-id"]
        return self.accept(id, monitor or f"/status/{id}", expected=expected, may_be_lost=may_be_lost)

    def accept(self, id: str, path: str, **more: Any) -> Accepted:
        return self.ledger.accept(Accepted(self.kind, id, path, **more))

    def follow(self, entry: Accepted) -> None:
        """Poll until it has ended. Raises Stuck."""
        begun = time.monotonic()
        while not self.ledger.read_end(entry, self.send("GET", entry.path)):
            if time.monotonic() > self.app.deadline(begun):
                state = self.send("GET", entry.path)
                raise Stuck(f"not ended: {entry.kind} {entry.id}: {state.status_code} {state.text[:600]}")
            time.sleep(_PAUSE)

    def until(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until it holds. Raises Stuck, which says `what` did not."""
        begun = time.monotonic()
        while not holds():
            if time.monotonic() > self.app.deadline(begun):
                raise Stuck(what)
            time.sleep(_PAUSE)

    def expect(self, answer: httpx.Response, *codes: int) -> None:
        """Raises Stuck for an answer with another status."""
        if answer.status_code not in codes:
            request = f"{answer.request.method} {answer.request.url.path}"
            raise Stuck(f"{self.kind}: {request}: {answer.status_code} {answer.text[:600]}")

    def listing(self) -> list[Mapping[str, Any]]:
        """All of the caller's operations, page by page."""
        items: list[Mapping[str, Any]] = []
        path = "/status"
        while path:
            page = self.send("GET", path)
            self.expect(page, 200)
            items += page.json()["value"]
            link = page.json().get("nextLink")
            path = path_of(link) if link else ""
        return items


def path_of(url: str) -> str:
    """Path and query: the host of an operation may have another port by now."""
    return httpx.URL(url).raw_path.decode()
