"""What the app itself answers, as types: errors, monitors and their lists. Members that may be absent are never null.

`shared.contracts` writes them member by member; tests/sample/unit/test_openapi_shapes.py holds the two together.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads it from there below Python 3.12

from shared.model.attempts import AttemptOutcome
from shared.model.ids import ID_PATTERN
from shared.model.operation import Status

Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
Uri = Annotated[str, Field(json_schema_extra={"format": "uri"})]
Percent = Annotated[float, Field(ge=0, le=100)]


class ErrorItem(TypedDict):
    """One part of what is wrong."""

    code: str
    message: str
    target: NotRequired[str]


class ErrorInfo(TypedDict):
    """What went wrong: `code` for programs, `message` for people (Azure REST API Guidelines, "Handling errors")."""

    code: str
    message: str
    target: NotRequired[str]
    details: NotRequired[list[ErrorItem]]


class ErrorResponse(TypedDict):
    """Every error's body; its code is also in the header `x-ms-error-code`."""

    error: ErrorInfo


class OperationProgress(TypedDict):
    """How far the handler says it is."""

    done: NotRequired[int]
    total: NotRequired[int]
    message: NotRequired[str]
    data: NotRequired[Any]


class OperationAttempt(TypedDict):
    """One attempt. Without `ended` and `outcome` it still runs; `instance` is a short hash of where it ran."""

    number: Annotated[int, Field(ge=1)]
    began: datetime
    ended: NotRequired[datetime]
    outcome: NotRequired[AttemptOutcome]
    code: NotRequired[str]
    message: NotRequired[str]
    instance: NotRequired[str]


class OperationItem(TypedDict):
    """An operation in a list. `lastActionDateTime` is when its status last changed, or the monitor's while it runs.

    `durationSeconds` is from the beginning of the first attempt to the end, or until now. `percentComplete` is there
    while it runs, for the first hundred of a page that do.
    """

    id: Id
    kind: str
    status: Status
    createdDateTime: datetime
    lastActionDateTime: datetime
    attempt: Annotated[int, Field(ge=0)]
    operationLocation: Uri
    durationSeconds: NotRequired[Annotated[float, Field(ge=0)]]
    percentComplete: NotRequired[Percent]
    errorCode: NotRequired[str]
    labels: NotRequired[list[str]]
    owner: NotRequired[str]


class OperationMonitor(TypedDict):
    """The status monitor: `result` is there once it has succeeded, or `resourceLocation`, where an action hands out
    the URL of its result instead; `error` when it has failed or was canceled.

    `attempts` are the last ten that failed or were lost, and the latest one. `lastError` says why the last one came to
    nothing, while the next one is waited for. `notBefore` is what the start has named; `waitingFor` is `retry` or
    `time`, while the next attempt is not yet due.
    """

    id: Id
    kind: str
    status: Status
    createdDateTime: datetime
    lastActionDateTime: datetime
    attempt: Annotated[int, Field(ge=0)]
    retryOf: NotRequired[Id]
    labels: NotRequired[list[str]]
    notBefore: NotRequired[datetime]
    waitingFor: NotRequired[str]
    waitingSince: NotRequired[datetime]
    percentComplete: NotRequired[Percent]
    progress: NotRequired[OperationProgress]
    attempts: NotRequired[list[OperationAttempt]]
    lastError: NotRequired[ErrorInfo]
    result: NotRequired[Any]
    resourceLocation: NotRequired[Uri]
    error: NotRequired[ErrorInfo]
    expiresAt: NotRequired[datetime]


OperationMonitor.__name__ = OperationMonitor.__qualname__ = "Operation"
# What readers of the description, and clients generated from it, call it.


class OperationCount(TypedDict):
    """How many operations a filter selects. With `more` there may be more than were counted."""

    active: Annotated[int, Field(ge=0)]
    ended: Annotated[int, Field(ge=0)]
    more: bool
    byStatus: dict[Status, int]


class OperationList(TypedDict):
    """Newest first. Without `nextLink` it is the last page; a page may be empty and have one.

    `lookedBackTo` stands beside `nextLink`: operations created before were not looked at yet.
    """

    value: list[OperationItem]
    count: NotRequired[OperationCount]
    nextLink: NotRequired[Uri]
    lookedBackTo: NotRequired[datetime]


class Health(TypedDict):
    """Whether the app can do its work."""

    status: Literal["Healthy", "Unhealthy"]
    problems: NotRequired[list[str]]
    paused: NotRequired[list[str]]


class PausedAction(TypedDict):
    """An action that starts and claims nothing, or `*` for all of them; without `since` a setting says so."""

    action: str
    by: str
    since: NotRequired[datetime]


class PauseList(TypedDict):
    """All that is paused."""

    value: list[PausedAction]
