"""What clients do, a function for each kind: start an operation, perhaps disturb it, and see how it ends.

Each is called again and again in a thread of its own, so that something of every kind is in flight at any moment.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx

from tests.chaos.ledger import CANCELED, Accepted
from tests.chaos.session import Session, path_of

Journey = Callable[[Session], None]

NAMES = ("one", "two", "three")
"""Of resources that several clients write to."""
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Contoso.Chaos"
VERSION = "api-version=2026-01-01"
LARGE = 40_000
"""Characters: input and result are blobs."""


def task(s: Session, verb: str, *, chosen: bool = True, **body: Any) -> Accepted | None:
    text = "x" * s.random.choice((10, 10, LARGE))
    id = s.new_id()
    body = {"text": text, **body}
    return s.start("POST", f"/tasks/{id}:{verb}", body, operation_id=id if chosen else "")


def follow(s: Session, entry: Accepted | None) -> None:
    if entry is not None:
        s.follow(entry)


def quick(s: Session) -> None:
    follow(s, task(s, "run"))


def without_an_id(s: Session) -> None:
    follow(s, task(s, "run", chosen=False, seconds=0.3))


def long(s: Session) -> None:
    follow(s, task(s, "run", seconds=s.random.uniform(2, 4)))


def thread(s: Session) -> None:
    """Or in a process: every other one."""
    follow(s, task(s, s.random.choice(["compute", "compute-apart"]), seconds=s.random.uniform(0, 2)))


def retried(s: Session) -> None:
    follow(s, task(s, "retry", seconds=0.5))


def at_most_once(s: Session) -> None:
    """It may be lost, and says so then; the witness shows that it never runs twice."""
    id = s.new_id()
    follow(s, s.start("POST", f"/tasks/{id}:once", {"seconds": 1}, operation_id=id, may_be_lost=True))


def canceled(s: Session) -> None:
    id = s.new_id()
    entry = s.start("POST", f"/tasks/{id}:run", {"seconds": 60}, expected=CANCELED, operation_id=id)
    if entry is None:
        return
    time.sleep(s.random.uniform(0, 1.5))
    s.expect(s.send("POST", f"/status/{entry.id}:cancel"), 200)
    s.follow(entry)


def deleted(s: Session) -> None:
    entry = task(s, "run")
    follow(s, entry)
    if entry is not None:
        entry.is_deleted = True
        s.expect(s.send("DELETE", entry.path), 204, 404)
        s.expect(s.send("GET", entry.path), 404)


def put_item(s: Session) -> None:
    body = {"text": s.new_id()}
    follow(s, s.start("PUT", f"/items/{s.random.choice(NAMES)}", body, operation_id=s.new_id()))


def delete_item(s: Session) -> None:
    follow(s, s.start("DELETE", f"/items/{s.random.choice(NAMES)}", None, operation_id=s.new_id()))


def job(s: Session) -> None:
    id = s.new_id()
    path = f"/jobs/{id}"
    follow(s, s.start("PUT", path, {"seconds": 0.5}, operation_id=id, monitor=path))


def external(s: Session) -> None:
    """Asked for, updated by its secret, and ended by it."""
    id = s.new_id()
    answer = s.once("POST", f"/externals/{id}:ask")
    if answer is None:
        # Nobody has its secret: where it was recorded, it fails at its deadline.
        s.ledger.count(s.ledger.unanswered, s.kind)
        return
    s.expect(answer, 200)
    entry = s.accept(id, f"/status/{id}", writes=False)
    secret = answer.json()["secret"]
    for update in ({"status": "Running", "percentComplete": 40}, {"status": "Succeeded", "result": {"id": id}}):
        s.expect(s.send("POST", f"/status/{id}:update?{VERSION}", update, x_operation_secret=secret), 200, 409)
        time.sleep(s.random.uniform(0, 0.5))
    s.follow(entry)


def arm(s: Session, method: str, path: str, body: Any = None, **more: Any) -> None:
    """A write of an ARM resource: it has no id of the caller's, so nobody sends it again."""
    answer = s.once(method, f"{GROUP}/{path}?{VERSION}", body)
    if answer is None:
        s.ledger.count(s.ledger.unanswered, s.kind)
        return
    if answer.status_code in (204, 404) or answer.status_code == 409:
        return  # there is nothing to change, or another operation holds it
    s.expect(answer, 200, 201, 202)
    link = answer.headers.get("azure-asyncoperation")
    where = path_of(link or answer.headers["location"])
    id = where.partition("?")[0].rpartition("/")[2]
    s.follow(s.accept(id, where, monitor="status" if link else "answer", is_listed=False, **more))


def machine(note: str = "") -> Mapping[str, Any]:
    return {"location": "westeurope", "properties": {"note": note}}


def arm_put(s: Session) -> None:
    arm(s, "PUT", f"machines/{s.random.choice(NAMES)}", machine(s.new_id()))


def arm_patch(s: Session) -> None:
    arm(s, "PATCH", f"machines/{s.random.choice(NAMES)}", {"properties": {"note": s.new_id()}})


def arm_delete(s: Session) -> None:
    arm(s, "DELETE", f"machines/{s.random.choice(NAMES)}")
    time.sleep(1)


def arm_action(s: Session) -> None:
    arm(s, "POST", f"machines/{s.random.choice(NAMES)}/test", {})


def arm_delegated(s: Session) -> None:
    """Another system, `take_orders`, says how it ends."""
    arm(s, "PUT", f"lathes/{s.random.choice(NAMES)}", machine(s.new_id()), writes=False)


def odata_at_once(s: Session) -> None:
    answer = s.once("POST", "/odata/Turn", {"seconds": 0.3})
    if answer is None:
        s.ledger.count(s.ledger.unanswered, s.kind)
        return
    s.expect(answer, 200)
    s.ledger.count(s.ledger.starts, s.kind)


def odata(s: Session, path: str, body: Any) -> None:
    """An asynchronous request, which has no id of the caller's."""
    answer = s.once("POST", path, body, prefer="respond-async")
    if answer is None:
        s.ledger.count(s.ledger.unanswered, s.kind)
        return
    s.expect(answer, 202)
    where = path_of(answer.headers["location"])
    id = httpx.URL(where).path.rpartition("/")[2]
    is_batch = path == BATCH
    s.follow(s.accept(id, where, monitor="answer", writes=not is_batch, may_be_lost=is_batch))


def odata_action(s: Session) -> None:
    odata(s, "/odata/Turn", {"seconds": s.random.uniform(0, 2)})


BATCH = "/odata/$batch"


def odata_batch(s: Session) -> None:
    turns = [{"id": str(n), "method": "POST", "url": "Turn", "body": {"seconds": 0.4}} for n in range(3)]
    odata(s, BATCH, {"requests": turns})


def take_orders(s: Session) -> None:
    """The system that sets lathes up: takes every order that is open, and reports to its operation."""
    orders = s.send("GET", "/orders")
    s.expect(orders, 200)
    for order in orders.json()["value"]:
        for update in ({"status": "Running", "percentComplete": 50}, {"status": "Succeeded"}):
            answer = s.send("POST", path_of(order["url"]), update, x_operation_secret=order["secret"])
            s.expect(answer, 200, 404, 409)
        s.expect(s.send("POST", f"/orders/{order['id']}:done", {}), 200)
    time.sleep(0.3)


KINDS: dict[str, Journey] = {
    "POST, quick": quick,
    "POST, without an id": without_an_id,
    "POST, long": long,
    "POST, in a thread": thread,
    "POST, retried": retried,
    "POST, at most once": at_most_once,
    "POST, canceled": canceled,
    "POST, deleted": deleted,
    "PUT of a resource": put_item,
    "DELETE of a resource": delete_item,
    "PUT of an operation": job,
    "external": external,
    "ARM PUT": arm_put,
    "ARM PATCH": arm_patch,
    "ARM DELETE": arm_delete,
    "ARM POST": arm_action,
    "ARM PUT, delegated": arm_delegated,
    "OData, at once": odata_at_once,
    "OData, asynchronous": odata_action,
    "OData, batch": odata_batch,
}


def all_free(s: Session) -> None:
    """Every resource takes a write, and then its removal. Raises Stuck where one stays locked, or is not removed."""
    arm_paths = [f"{GROUP}/{kind}/{name}?{VERSION}" for kind in ("machines", "lathes") for name in NAMES]
    bodies = {f"/items/{name}": {"text": ""} for name in NAMES} | {path: machine() for path in arm_paths}
    with ThreadPoolExecutor(len(bodies)) as threads:
        list(threads.map(partial(_free, s), bodies.keys(), bodies.values()))


def _free(s: Session, path: str, body: Mapping[str, Any]) -> None:
    for method, sent in (("PUT", body), ("DELETE", None)):
        answers: list[httpx.Response] = []

        def taken(method: str = method, sent: Any = sent, answers: list[httpx.Response] = answers) -> bool:
            answers[:] = [s.send(method, path, sent)]
            return answers[0].status_code != 409

        s.until(f"stays locked: {path}", taken)
        s.expect(answers[0], 200, 201, 202, 204)
    s.until(f"is not removed: {path}", lambda: s.send("GET", path).status_code == 404)
