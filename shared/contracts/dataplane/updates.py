"""What another system sends to update an operation, and what it needs to do so.

    POST {base}/status/{operation_id}:update?api-version=...
    x-operation-secret: lroext_...
    {"status": "Running", "percentComplete": 40, "progress": {"done": 2, "total": 5, "message": "Printing"}}

The words are those of the status monitor (Azure REST API Guidelines, "The Status Monitor Resource"). Why this header:
docs/decisions/0006-secret-of-an-external-operation.md.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from shared.actions.models import Model
from shared.actions.progress import MAX_COUNT, measured
from shared.errors import ErrorBody, ErrorDetail, RequestError
from shared.misfits import validated
from shared.model.operation import Progress
from shared.model.updates import Canceled, Failed, Running, Succeeded, Update


class UpdateProgress(Model):
    done: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    total: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    message: str | None = Field(default=None, max_length=500)
    data: Any = None


class UpdateErrorDetail(Model):
    code: str = Field(min_length=1, max_length=100)
    message: str = Field(min_length=1, max_length=200)
    target: str | None = Field(default=None, max_length=100)


class UpdateError(Model):
    code: str = Field(min_length=1, max_length=100)
    message: str = Field(min_length=1, max_length=1000)
    target: str | None = Field(default=None, max_length=100)
    details: list[UpdateErrorDetail] = Field(default_factory=list[UpdateErrorDetail], max_length=4)


class UpdateBody(Model):
    """What an update says: `progress` while it runs, `result` or `error` at its end."""

    status: Literal["Running", "Succeeded", "Failed", "Canceled"]
    percent_complete: float | None = Field(default=None, ge=0, le=100)
    progress: UpdateProgress | None = None
    result: Any = None
    error: UpdateError | None = None

    @model_validator(mode="after")
    def _fits_its_status(self) -> "UpdateBody":
        """A member that its status has no place for would be lost without a word."""
        if self.status != "Running" and (self.percent_complete is not None or self.progress is not None):
            raise ValueError("percentComplete and progress are for status Running only")
        if self.status != "Succeeded" and self.result is not None:
            raise ValueError("result is for status Succeeded only")
        if self.status != "Failed" and self.error is not None:
            raise ValueError("error is for status Failed only")
        if self.status == "Failed" and self.error is None:
            raise ValueError("status Failed needs an error")
        return self


def parse_update(body: dict[str, Any]) -> Update:
    """The update in a request's JSON object; raises RequestError 400 InvalidInput."""
    given = validated(UpdateBody, body)
    match given.status:
        case "Running":
            return Running(_progress(given))
        case "Succeeded":
            return Succeeded(given.result)
        case "Failed":
            assert given.error is not None, "checked by the model"
            details = tuple(ErrorDetail(d.code, d.message, d.target) for d in given.error.details)
            return Failed(ErrorBody(given.error.code, given.error.message, given.error.target, details))
        case "Canceled":
            return Canceled()


def _progress(given: UpdateBody) -> Progress | None:
    if given.percent_complete is None and given.progress is None:
        return None
    progress = given.progress or UpdateProgress()
    try:
        return measured(percent=given.percent_complete, **dict(progress))
    except ValueError as error:
        raise RequestError(400, "InvalidInput", f"progress does not fit: {error}", target="progress") from None
