"""What the app itself answers, as types: errors, monitors and their lists. Members that may be absent are never null.

`shared.contracts` writes them member by member; tests/unit/test_openapi_shapes.py holds the two together.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads it from there below Python 3.12

from shared.contracts.odata.batch import REQUEST_ID, BatchLimits
from shared.contracts.odata.messages import MAX_URL
from shared.operations.ids import ID_PATTERN
from shared.operations.model import Status

Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
BatchName = Annotated[str, Field(pattern=f"^{REQUEST_ID.pattern}$")]
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


class OperationItem(TypedDict):
    """An operation in a list. `lastActionDateTime` is when its status last changed."""

    id: Id
    kind: str
    status: Status
    createdDateTime: datetime
    lastActionDateTime: datetime


class Operation(TypedDict):
    """The status monitor: `result` is there once it has succeeded, `error` when it has failed or was canceled."""

    id: Id
    kind: str
    status: Status
    createdDateTime: datetime
    lastActionDateTime: datetime
    attempt: Annotated[int, Field(ge=0)]
    percentComplete: NotRequired[Percent]
    progress: NotRequired[OperationProgress]
    result: NotRequired[Any]
    error: NotRequired[ErrorInfo]
    expiresAt: NotRequired[datetime]


class OperationList(TypedDict):
    """Newest first. Without `nextLink` it is the last page; a page may be empty and have one."""

    value: list[OperationItem]
    nextLink: NotRequired[Annotated[str, Field(json_schema_extra={"format": "uri"})]]


class ArmOperationStatus(TypedDict):
    """ARM's operation resource; `properties` holds the result once it has succeeded."""

    id: str
    name: Id
    resourceId: str
    status: Status
    startTime: datetime
    endTime: NotRequired[datetime]
    percentComplete: NotRequired[Percent]
    properties: NotRequired[Any]
    error: NotRequired[ErrorInfo]


class BatchRequest(TypedDict):
    """One request of a batch. Members of one `atomicityGroup` are done together or not at all."""

    id: BatchName
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)]
    headers: NotRequired[dict[str, str] | None]
    body: NotRequired[Any]
    atomicityGroup: NotRequired[BatchName | None]
    dependsOn: NotRequired[list[BatchName] | None]


class BatchRequests(TypedDict):
    """Requests that are served one after the other; a URL may begin with `$` and the id of an earlier one."""

    requests: Annotated[list[BatchRequest], Field(max_length=BatchLimits().requests)]


class BatchAnswer(TypedDict):
    """The answer to one request of a batch; a 202 has the monitor in `headers.location`."""

    id: NotRequired[str]
    atomicityGroup: NotRequired[str]
    status: int
    headers: NotRequired[dict[str, str]]
    body: NotRequired[Any]


class BatchAnswers(TypedDict):
    """In the order of the requests; after a failure the rest may not have been done."""

    responses: list[BatchAnswer]


class ServiceItem(TypedDict):
    """An entity set, or a function that takes nothing."""

    name: str
    kind: Literal["EntitySet", "FunctionImport"]
    url: str


# The names of control information are no identifiers.
ServiceDocument = TypedDict(
    "ServiceDocument",
    {
        "@odata.context": NotRequired[Annotated[str, Field(json_schema_extra={"format": "uri"})]],
        "value": list[ServiceItem],
    },
)


class Health(TypedDict):
    """The app answers."""

    status: Literal["Healthy"]
