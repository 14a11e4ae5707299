"""Actions and functions (OData Protocol 4.01, section 11.5): an action is an operation, a function a read."""

import json
from typing import Any

from pydantic import BaseModel

from shared.actions.declaration import Action, Read
from shared.actions.odata.service import ODataOperation, ODataService
from shared.contracts import bodies, preferences
from shared.contracts.errors import error_json
from shared.contracts.headers import paced
from shared.contracts.http import Request, Response, json_response
from shared.contracts.labels import labels
from shared.contracts.odata import media, monitors, payloads, reading_bodies
from shared.contracts.odata.arguments import read_arguments
from shared.contracts.odata.batch.bodies import Format, from_stored, write_batch
from shared.contracts.odata.targets import Target
from shared.contracts.scheduling import not_before, refuse_not_before
from shared.endpoints.odata.execution import Execution, too_long
from shared.errors import ErrorBody, RequestError
from shared.frozen import replace
from shared.model.operation import Operation, Status
from shared.operations.inline import InlineRuns
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, StartRequest
from shared.settings import Settings

_CANCELED = ErrorBody("OperationCanceled", "The request was canceled before it had ended.")


class Calls:
    """Calls of what a service declares."""

    def __init__(
        self, declared: ODataService, operations: OperationService, inline: InlineRuns, settings: Settings
    ) -> None:
        self._service = declared
        self._operations = operations
        self._inline = inline
        self._settings = settings

    async def serve(self, request: Request, target: Target, execution: Execution) -> Response:
        """A call: of a function at once; of an action at once, or 202 where the caller takes that."""
        assert target.operation is not None, "the target is a call"
        declared = target.operation.declared
        if isinstance(declared, Read):
            return await self._function(request, target, target.operation, declared, execution)
        return await self._action(request, target, target.operation, declared, execution)

    async def final(self, operation: Operation, base: str) -> Response:
        """The answer a synchronous request would have had, once the operation has ended.

        Raises RequestError 410 where the result is gone.
        """
        profile_state = monitors.StartState.of(operation)
        headers = {"OData-Version": profile_state.version}
        if operation.status is not Status.SUCCEEDED:
            outcome = operation.outcome
            failed = operation.status is Status.FAILED and outcome is not None and outcome.error is not None
            status, error = (outcome.status_code, outcome.error) if failed and outcome else (500, _CANCELED)
            body = {"error": error_json(error or _CANCELED)}
            return json_response(status, body, headers)
        content = await self._operations.result_content(operation)
        if content is None and operation.outcome and operation.outcome.body:
            raise RequestError(410, "ResultGone", "The result of this request has been removed.")
        if profile_state.batch:
            response = await off_loop(len(content or b""), _stored_batch, content or b"[]", profile_state.batch)
            return replace(response, headers={**response.headers, **headers})
        declared = next((o for o in self._service.operations if o.declared.name == operation.action), None)
        size, representation = len(content or b""), profile_state.representation
        response = await off_loop(size, self._result, declared, content, base, representation)
        return replace(response, headers={**response.headers, **headers})

    def _result(
        self, operation: ODataOperation | None, content: bytes | None, base: str, representation: media.Representation
    ) -> Response:
        value = json.loads(content) if content else None
        if operation is None:
            # A newer instance has stored what this one does not know: it is answered as it is.
            body = {"value": value} if value is not None else None
        else:
            body = payloads.operation_result(self._service, operation, value, base=base, representation=representation)
        if body is None:
            return Response(status=204)
        return replace(json_response(200, body), content_type=media.content_type(representation))

    async def _function(
        self, request: Request, target: Target, operation: ODataOperation, declared: Read, execution: Execution
    ) -> Response:
        representation = media.json_representation(request, request.query)
        input = read_arguments(operation, target.arguments, request.query, target.key)
        context = execution.context
        value: Any = await (declared(context, input) if input is not None else declared(context))
        content = declared.output.dump_json(declared.output.validate_python(value), by_alias=True)
        return await off_loop(len(content), self._result, operation, content, execution.base, representation)

    async def _action(
        self, request: Request, target: Target, operation: ODataOperation, action: Action, execution: Execution
    ) -> Response:
        size = len(request.body)
        start = await off_loop(size, self._start, request, target, operation, action, execution)
        if monitors.wants_async(request) and execution.engine is not None:
            begun = (await self._operations.begin(start, execution.engine)).operation
            return await self.pending(request, begun, execution)
        refuse_not_before(request.headers, "is for a request that prefers to respond asynchronously")
        if action.timeout.total_seconds() > execution.longest or execution.seconds_left <= 0:
            raise too_long(execution.longest)
        done = await self._inline.run(start, seconds=execution.seconds_left, is_canceled=execution.is_canceled)
        if not done.status.is_terminal or (done.status is Status.CANCELED and execution.seconds_left <= 0):
            raise too_long(execution.longest)
        response = await self.final(done, execution.base)
        return replace(response, headers={**response.headers, "Vary": "Prefer"})

    async def pending(self, request: Request, operation: Operation, execution: Execution) -> Response:
        """The answer to an asynchronous start, after the time the caller wants to wait for its end."""
        seconds = preferences.wait_seconds(request, limit=self._settings.max_wait_seconds)
        if seconds:
            seconds_left = min(seconds, execution.seconds_left)
            operation = await self._operations.wait(operation, seconds_left, execution.engine)
        vary = {"Vary": "Prefer"}
        if operation.status.is_terminal:
            response = await self.final(operation, execution.base)
            return replace(response, headers={**response.headers, **preferences.applied(seconds), **vary})
        response = monitors.accepted(operation, execution.base, waited=seconds)
        response = paced(response, self._operations.pacing.first_poll(operation))
        return replace(response, headers={**response.headers, **vary})

    def _start(
        self, request: Request, target: Target, operation: ODataOperation, action: Action, execution: Execution
    ) -> StartRequest:
        representation = media.json_representation(monitors.without_message(request), request.query)
        ieee754 = media.check_json_body(request)
        body = bodies.read_json_object(request, limit=self._settings.max_body_bytes)
        input = reading_bodies.read_parameters(operation, body, target.key, ieee754=ieee754)
        profile_state = monitors.StartState(
            version=media.odata_version(request),
            metadata=representation.metadata,
            ieee754=representation.ieee754,
            enclosed=monitors.encloses_by_default(request),
            undoable=operation.undoable,
        )
        return start_request(request, action, input, profile_state, execution)


def _stored_batch(content: bytes, form: Format) -> Response:
    return write_batch(from_stored(json.loads(content)), form)


def start_request(
    request: Request, action: Action, input: BaseModel | None, profile_state: monitors.StartState, execution: Execution
) -> StartRequest:
    """What `request` starts. Its id is that of the execution's run, where that may do the same again."""
    input_json, due = bodies.canonical_json(input), not_before(request.headers)
    return StartRequest(
        action=action,
        context=execution.context,
        input=input,
        input_json=input_json,
        owner=execution.owner,
        method=request.method,
        path=request.path.strip("/"),
        api_version="",
        fingerprint=bodies.fingerprint(action.name, request.method, input_json, due),
        operation_id=execution.run_id or None,
        profile=monitors.PROFILE,
        profile_state=profile_state.to_profile_state(),
        labels=labels(request.headers),
        not_before=due,
    )
