"""What clients were told: which operations were accepted, how they ended, and whatever should never have happened."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

Monitor = Literal["status", "answer"]
"""`status`: always 200, with the state in its body. `answer`: 202 until the end, then what a synchronous call has."""

SUCCEEDED = frozenset({"Succeeded"})
CANCELED = frozenset({"Canceled"})
TERMINAL = frozenset({"Succeeded", "Failed", "Canceled"})
_KEPT_PROBLEMS = 50


@dataclass
class Accepted:
    """An operation whose start was answered by 2xx."""

    kind: str
    id: str
    path: str
    """Of its monitor."""
    expected: frozenset[str] = SUCCEEDED
    monitor: Monitor = "status"
    is_listed: bool = True
    """Whether `GET status` lists it: not those of ARM resources, which have an owner of their own."""
    writes: bool = True
    """Whether a handler of the app runs it, and writes to the witness."""
    end: tuple[str, Any] | None = None
    """The first terminal answer that a client saw: the status, and all of it."""
    is_deleted: bool = False
    may_be_lost: bool = False
    """Whether it may end as AttemptLost: it never runs twice, or has the usual number of attempts to lose."""


def ended(monitor: Monitor, answer: httpx.Response) -> tuple[str, Any] | None:
    """The status and the whole of a terminal answer; None while the operation goes on."""
    if monitor == "status":
        body = answer.json()
        return (body["status"], body) if answer.status_code == 200 and body["status"] in TERMINAL else None
    if answer.status_code == 202:
        return None
    code = int(answer.headers.get("asyncresult", answer.status_code))
    return "Succeeded" if code < 300 else "Failed", (code, answer.text)


@dataclass
class Ledger:
    """Filled by many threads."""

    accepted: list[Accepted] = field(default_factory=list[Accepted])
    starts: Counter[str] = field(default_factory=Counter[str])
    """Starts that were accepted, by kind; those that were answered at once, too."""
    unanswered: Counter[str] = field(default_factory=Counter[str])
    """Starts of which nobody knows whether they were accepted, by kind: the connection broke, or 503."""
    repeated: Counter[str] = field(default_factory=Counter[str])
    """Starts that were sent again under the id of their operation, by kind."""
    answers: Counter[int] = field(default_factory=Counter[int])
    problems: list[str] = field(default_factory=list[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, entry: Accepted) -> Accepted:
        with self._lock:
            self.starts[entry.kind] += 1
            self.accepted.append(entry)
        return entry

    def count(self, counter: Counter[str], kind: str) -> None:
        with self._lock:
            counter[kind] += 1

    def problem(self, text: str) -> None:
        with self._lock:
            if text[:2000] not in self.problems and len(self.problems) < _KEPT_PROBLEMS:
                self.problems.append(text[:2000])

    def saw(self, answer: httpx.Response) -> None:
        """An answer of the app: whatever the store does, it is one of ours, and 503 says when to come again."""
        with self._lock:
            self.answers[answer.status_code] += 1
        request = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code >= 500 and answer.status_code != 503:
            self.problem(f"an error that is not ours: {request}")
        elif answer.status_code == 503 and "retry-after" not in answer.headers:
            self.problem(f"503 without Retry-After: {request}")
        elif answer.status_code == 409 and answer.headers.get("x-ms-error-code") == "OperationIdInUse":
            self.problem(f"a repeated start is told that it is another one: {request}")

    def read_end(self, entry: Accepted, answer: httpx.Response) -> bool:
        """Whether the operation has ended; the first end that is seen is the one that must stay."""
        if answer.status_code == 404:
            if not entry.is_deleted:
                self.problem(f"accepted and lost: {entry.kind} {entry.id}: {answer.text[:300]}")
            return True
        end = ended(entry.monitor, answer)
        if end is None:
            if entry.end is not None:
                self.problem(f"ended and goes on: {entry.kind} {entry.id}: {answer.text[:300]}")
            return False
        if entry.end is None:
            entry.end = end
            is_lost = end[0] == "Failed" and "AttemptLost" in answer.text
            if end[0] not in entry.expected and not (entry.may_be_lost and is_lost):
                self.problem(f"{entry.kind} {entry.id} ended as {end[0]}: {answer.text[:600]}")
        elif entry.end != end:
            self.problem(f"ended twice: {entry.kind} {entry.id}: first {entry.end}, then {end}")
        return True
