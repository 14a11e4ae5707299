"""What the description says of monitors and errors is what the contracts write: no member more, and none less."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import ValidationError

from shared.contracts.arm import answers as arm
from shared.contracts.dataplane import answers as dataplane
from shared.contracts.dataplane.listing import parse_list
from shared.contracts.errors import error_response
from shared.contracts.http import Request
from shared.contracts.openapi.arm_schemas import ArmOperationStatus
from shared.contracts.openapi.schemas import Schemas
from shared.contracts.openapi.shapes import (
    ErrorResponse,
    OperationAttempt,
    OperationItem,
    OperationList,
    OperationMonitor,
    OperationProgress,
)
from shared.errors import ErrorBody, ErrorDetail, RequestError
from shared.model.attempts import AttemptOutcome, AttemptRecord
from shared.model.operation import LINK, RESULT, Operation, Outcome, Progress, Status
from shared.operations.list_rows import ListRow
from shared.operations.lists import ListCount, ListPage
from tests.sample.described import described, sample, validator
from tests.support.parts import T0, make_operation

SHAPES: dict[str, Any] = {
    "error": ErrorResponse,
    "operation": OperationMonitor,
    "list": OperationList,
    "arm": ArmOperationStatus,
    "progress": OperationProgress,
    "attempt": OperationAttempt,
    "item": OperationItem,
}


def strict(name: str) -> Any:
    """The shape with every object closed, so that a member it does not know fails."""
    schemas = Schemas([(key, "validation", shape) for key, shape in SHAPES.items()])
    return validator({"components": {"schemas": schemas.components}}, schemas.of(name))


def operations() -> Iterator[Operation]:
    """Operations in every state, bare and with all that can be known of them."""
    bare = make_operation()
    details = (ErrorDetail("One", "first", "x"), ErrorDetail("Two", "second"))
    for status in Status:
        now = replace(bare, status=status)
        yield now
        yield replace(
            now,
            progress=Progress(12.5, 1, 8, "one of eight", {"page": 1}),
            attempt=3,
            labels=("a", "b"),
            retry_of="op-0",
            scheduled=T0,
            waiting_for="time",
            waiting_since=T0,
        )
        lost = AttemptRecord(
            number=1, began=T0, ended=T0, outcome=AttemptOutcome.LOST, code="AttemptLost", message="m", instance="aa"
        )
        yield replace(
            now, attempts=(lost, AttemptRecord(number=2, began=T0)), last_error=ErrorBody("Code", "m", "t", details)
        )
        if status.is_terminal:
            ended = replace(now, ended=T0, expires=T0 + timedelta(days=1))
            if status is Status.SUCCEEDED:
                yield replace(ended, outcome=Outcome(200, body=bare.input))
                yield replace(ended, outcome=Outcome(200, body=bare.input), profile_state={RESULT: LINK})
            else:
                yield replace(ended, outcome=Outcome(409, error=ErrorBody("Code", "message", "target", details)))


def monitor(operation: Operation) -> dict[str, Any]:
    """As `GET` shows it, with a result where it has one."""
    answer = dataplane.monitor_response(operation, result_url="http://h/status/x/result")
    result = {"result": {"a": 1}} if dataplane.carries_result(operation) else {}
    return json.loads(answer.body) | result


@pytest.mark.parametrize("operation", list(operations()), ids=lambda o: o.status.value)
def test_monitors(operation: Operation) -> None:
    """Whatever state an operation is in, both monitors fit their shapes."""
    shown = monitor(operation)
    strict("operation").validate(shown)
    monitors = arm.MonitorUrls("http://h", subscription="s", namespace="A.B", location="x", api_version="v")
    body = json.loads(arm.status_response(replace(operation, resource="/r"), monitors).body)
    if arm.carries_result(operation):
        body["properties"] = {"a": 1}
    strict("arm").validate(body)


def test_every_member_is_written() -> None:
    """The shapes have no member that no monitor ever has."""
    written = {name for operation in operations() for name in monitor(operation)}
    assert written == set(OperationMonitor.__annotations__)
    progress = {n for o in operations() for n in dataplane.monitor_json(o).get("progress", {})}
    assert progress == set(OperationProgress.__annotations__)
    attempts = {n for o in operations() for each in dataplane.monitor_json(o).get("attempts", []) for n in each}
    assert attempts == set(OperationAttempt.__annotations__)


def test_last_error_is_shown_while_an_attempt_is_waited_for() -> None:
    """`lastError` is there before the first attempt or between two, and neither under a lease nor at the end."""
    waiting = make_operation(status=Status.RUNNING, last_error=ErrorBody("Busy", "Later."))
    assert dataplane.monitor_json(waiting)["lastError"] == {"code": "Busy", "message": "Later."}
    assert "error" not in dataplane.monitor_json(waiting)
    for other in (replace(waiting, lease_until=T0), replace(waiting, status=Status.FAILED)):
        assert "lastError" not in dataplane.monitor_json(other)


def test_lists() -> None:
    """A page of the list fits, with and without a link."""
    row = ListRow(
        owner_hash="0" * 16, id="op-1", kind="a:b", status=Status.RUNNING, created=T0, changed=T0, position="p"
    )
    full = replace(row, error_code="Broken", attempt=2, started=T0, labels=("a",), percent=40.0)
    request = Request(method="GET", url="http://h/status", query={"owner": "*"})
    asked = parse_list(request, owner="*", for_all=True)
    count = ListCount(active=1, ended=1000, more=True, by_status=dict.fromkeys(Status, 1))
    given: Any = {"base": "http://h", "api_version": "2026-01-01", "now": T0 + timedelta(seconds=3)}
    for page in (ListPage((row, full), None), ListPage((), "0!x", T0)):
        for counted in (None, count):
            body = json.loads(dataplane.list_response(page, asked, **given, count=counted).body)
            strict("list").validate(body)
            assert {"nextLink", "lookedBackTo"} <= body.keys() or page.position is None


@pytest.mark.parametrize("details", [(), (ErrorDetail("One", "first", "x"), ErrorDetail("Two", "second"))])
@pytest.mark.parametrize("target", [None, "x"])
def test_errors(target: str | None, details: tuple[ErrorDetail, ...]) -> None:
    """An error fits, with and without a target and details."""
    error = RequestError(400, "Code", "message", target=target, details=details)
    strict("error").validate(json.loads(error_response(error).body))


def test_the_shapes_can_fail() -> None:
    """A member too many, one too few, and a word that is no status are found."""
    shown = dataplane.monitor_json(next(operations()))
    for wrong in (shown | {"state": 1}, shown | {"status": "Done"}, {k: v for k, v in shown.items() if k != "id"}):
        with pytest.raises(ValidationError):
            strict("operation").validate(wrong)


def test_the_states_of_a_resource() -> None:
    """The description of a resource has every state that `shared.resources.settle` shows."""
    shelf = described(sample())["components"]["schemas"]["Shelf"]
    states = shelf["properties"]["properties"]["properties"]["provisioningState"]["enum"]
    assert set(states) >= {str(status) for status in Status if status.is_terminal}
    assert {"Accepted", "Creating", "Updating", "Deleting"} <= set(states)
