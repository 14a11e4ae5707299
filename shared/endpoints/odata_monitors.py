"""The monitor of an asynchronous request: read it, cancel it (OData Protocol 4.01, section 11.6)."""

from dataclasses import replace

from shared.composition import Application
from shared.contracts.errors import error_response
from shared.contracts.http import Request, Response
from shared.contracts.odata import monitors
from shared.endpoints.odata_caller import Caller
from shared.endpoints.odata_calls import Calls
from shared.errors import RequestError
from shared.operations.ids import is_valid_id
from shared.operations.model import Operation, Status

_CANCEL_WITHIN = 3.0
"""Seconds a DELETE waits for the operation to let go, before it answers 202."""


class Monitors:
    """Monitors exist for OData requests only: to others an answer with AsyncResult would look like a success."""

    def __init__(self, application: Application, calls: Calls) -> None:
        self._app = application
        self._calls = calls

    async def get(self, request: Request, operation_id: str, caller: Caller) -> Response:
        """202 while it runs, then 200 with the final answer; 404 once it was deleted, 410 where the result is gone."""
        operation = await self._find(operation_id, caller)
        if not operation.status.is_terminal:
            return monitors.running(operation, caller.base)
        facts = monitors.StartFacts.of(operation)
        final = await self._calls.final(operation, caller.base)
        return monitors.finished(final, enclosed=monitors.encloses(request, facts))

    async def delete(self, operation_id: str, caller: Caller) -> Response:
        """Cancel what runs, if that leaves nothing behind; forget the answer of what has ended."""
        operation = await self._find(operation_id, caller)
        if operation.status.is_terminal:
            await self._app.service.remember(operation, monitors.DISMISSED)
            return Response(status=204)
        if not monitors.StartFacts.of(operation).undoable:
            message = "What this request has begun cannot be undone, so it is not canceled; wait for its end."
            raise RequestError(405, "CancelNotSupported", message, headers={"Allow": "GET"})
        operation = await self._app.service.cancel(caller.owner, operation_id, facts=monitors.CANCEL_ASKED)
        if not operation.status.is_terminal:
            operation = await self._app.service.wait(operation, _CANCEL_WITHIN)
        if operation.status is Status.CANCELED:
            await self._app.after_end(operation)
            return Response(status=204)
        if operation.status.is_terminal:
            raise _too_late()
        return monitors.running(operation, caller.base)

    async def cancellation(self, request: Request, operation_id: str, caller: Caller) -> Response:
        """The monitor of a DELETE that was answered 202: its final answer is that of the DELETE."""
        operation = await self._read(operation_id, caller)
        if monitors.is_being_canceled(operation):
            return monitors.running(operation, caller.base)
        if not monitors.was_asked_to_cancel(operation):
            raise _not_found()
        facts = monitors.StartFacts.of(operation)
        enclosed = monitors.encloses(request, facts)
        if operation.status is Status.CANCELED:
            await self._app.after_end(operation)
            final = Response(status=204, headers={"OData-Version": facts.version})
        else:
            final = error_response(_too_late())
            final = replace(final, headers={**final.headers, "OData-Version": facts.version})
        return monitors.finished(final, enclosed=enclosed)

    async def _find(self, operation_id: str, caller: Caller) -> Operation:
        operation = await self._read(operation_id, caller)
        if monitors.is_gone(operation):
            raise _not_found()
        return operation

    async def _read(self, operation_id: str, caller: Caller) -> Operation:
        if not is_valid_id(operation_id):
            raise _not_found()
        operation = await self._app.service.get(caller.owner, operation_id)
        if operation.profile != monitors.PROFILE:
            raise _not_found()
        return operation


def _too_late() -> RequestError:
    return RequestError(409, "CanceledTooLate", "The request had ended before it could be canceled; read its monitor.")


def _not_found() -> RequestError:
    return RequestError(404, "MonitorNotFound", "There is no such asynchronous request, or its answer was deleted.")
