"""The monitor of an asynchronous request: read it, cancel it (OData Protocol 4.01, section 11.6)."""

from shared.actions.routes import READ
from shared.contracts.errors import error_response
from shared.contracts.headers import paced
from shared.contracts.http import Request, Response
from shared.contracts.odata import monitors
from shared.endpoints.odata.calls import Calls
from shared.endpoints.odata.execution import Execution
from shared.errors import RequestError
from shared.frozen import replace
from shared.model.ids import is_valid_id
from shared.model.operation import Operation, Status
from shared.operations.after_end import AfterEnd
from shared.operations.service import OperationService

_CANCEL_WITHIN = 3.0
"""Seconds a DELETE waits for the operation to let go, before it answers 202."""


class ODataMonitors:
    """Monitors exist for OData requests only: to others an answer with AsyncResult would look like a success."""

    def __init__(self, operations: OperationService, after_end: AfterEnd, calls: Calls) -> None:
        self._operations = operations
        self._after_end = after_end
        self._calls = calls

    async def get(self, request: Request, operation_id: str, execution: Execution) -> Response:
        """202 while it runs, then 200 with the final answer; 404 once it was deleted, 410 where the result is gone."""
        operation = await self._find(operation_id, execution, polls=True)
        if not operation.status.is_terminal:
            running = monitors.running(operation, execution.base)
            return paced(running, self._operations.pacing.next_poll(operation))
        final = await self._calls.final(operation, execution.base)
        return monitors.finished(final, enclosed=monitors.encloses(request, monitors.StartState.of(operation)))

    async def delete(self, operation_id: str, execution: Execution) -> Response:
        """Cancel what runs, if that leaves nothing behind; forget the answer of what has ended."""
        operation = await self._find(operation_id, execution)
        if operation.status.is_terminal:
            await self._operations.remember(operation, monitors.DISMISSED)
            return Response(status=204)
        if not monitors.StartState.of(operation).undoable:
            message = "What this request has begun cannot be undone, so it is not canceled; wait for its end."
            raise RequestError(405, "CancelNotSupported", message, headers={"Allow": ", ".join(READ)})
        operation = await self._operations.cancel(
            execution.owner, operation_id, profile_state=monitors.CANCEL_REQUESTED
        )
        if not operation.status.is_terminal:
            operation = await self._operations.wait(operation, _CANCEL_WITHIN, execution.engine)
        if operation.status is Status.CANCELED:
            await self._after_end(operation)
            return Response(status=204)
        if operation.status.is_terminal:
            raise _too_late()
        return monitors.running(operation, execution.base)

    async def cancellation(self, request: Request, operation_id: str, execution: Execution) -> Response:
        """The monitor of a DELETE that was answered 202: its final answer is that of the DELETE."""
        operation = await self._read(operation_id, execution)
        if monitors.is_being_canceled(operation):
            return monitors.running(operation, execution.base)
        if not monitors.cancel_requested(operation):
            raise _not_found()
        state = monitors.StartState.of(operation)
        final = error_response(_too_late())
        if operation.status is Status.CANCELED:
            await self._after_end(operation)
            final = Response(status=204)
        final = replace(final, headers={**final.headers, "OData-Version": state.version})
        return monitors.finished(final, enclosed=monitors.encloses(request, state))

    async def _find(self, operation_id: str, execution: Execution, *, polls: bool = False) -> Operation:
        operation = await self._read(operation_id, execution, polls=polls)
        if monitors.is_gone(operation):
            raise _not_found()
        return operation

    async def _read(self, operation_id: str, execution: Execution, *, polls: bool = False) -> Operation:
        if not is_valid_id(operation_id):
            raise _not_found()
        ask = self._operations.poll if polls else self._operations.get
        operation = await ask(execution.owner, operation_id, execution.engine)
        if operation.profile != monitors.PROFILE:
            raise _not_found()
        return operation


def _too_late() -> RequestError:
    return RequestError(409, "CanceledTooLate", "The request had ended before it could be canceled; read its monitor.")


def _not_found() -> RequestError:
    return RequestError(404, "MonitorNotFound", "There is no such asynchronous request, or its answer was deleted.")
