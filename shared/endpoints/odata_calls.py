"""Actions and functions (OData Protocol 4.01, section 11.5): an action is an operation, a function a read."""

import json
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from shared.actions.context import ReadContext
from shared.actions.declaration import Action, Read
from shared.actions.odata import ODataOperation
from shared.composition import Application
from shared.contracts import bodies, preferences, versions
from shared.contracts.errors import error_json
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import media, monitors, payloads, reading_bodies
from shared.contracts.odata.arguments import read_arguments
from shared.contracts.odata.batch_bodies import from_stored, write_batch
from shared.contracts.odata.targets import Target
from shared.endpoints.odata_caller import Caller, too_long
from shared.errors import ErrorBody, RequestError
from shared.operations.model import Operation, Status
from shared.operations.service import StartRequest

_CANCELED = ErrorBody("OperationCanceled", "The request was canceled before it had ended.")


class Calls:
    """Calls of what a service declares."""

    def __init__(self, application: Application) -> None:
        self._app = application

    async def serve(self, request: Request, target: Target, caller: Caller) -> Response:
        """A call: of a function at once; of an action at once, or 202 where the caller takes that."""
        assert target.operation is not None, "the target is a call"
        declared = target.operation.declared
        if isinstance(declared, Read):
            return await self._function(request, target, target.operation, declared, caller)
        return await self._action(request, target, target.operation, declared, caller)

    async def final(self, operation: Operation, base: str) -> Response:
        """The answer a synchronous request would have had, once the operation has ended.

        Raises RequestError 410 where the result is gone.
        """
        facts = monitors.StartFacts.of(operation)
        headers = {"OData-Version": facts.version}
        if operation.status is not Status.SUCCEEDED:
            outcome = operation.outcome
            failed = operation.status is Status.FAILED and outcome is not None and outcome.error is not None
            status, error = (outcome.status_code, outcome.error) if failed and outcome else (500, _CANCELED)
            body = {"error": error_json(error or _CANCELED)}
            return json_response(status, body, headers)
        content = await self._app.service.result_content(operation)
        if content is None and operation.outcome and operation.outcome.body:
            raise RequestError(410, "ResultGone", "The result of this request has been removed.")
        if facts.batch:
            response = write_batch(from_stored(json.loads(content or b"[]")), facts.batch)
            return replace(response, headers={**response.headers, **headers})
        response = self._result(self._declared(operation.action), content, base, facts.representation)
        return replace(response, headers={**response.headers, **headers})

    def _result(
        self, operation: ODataOperation | None, content: bytes | None, base: str, representation: media.Representation
    ) -> Response:
        value = json.loads(content) if content else None
        service = self._app.registry.odata
        if operation is None or service is None:
            # A newer instance has stored what this one does not know: it is answered as it is.
            body = {"value": value} if value is not None else None
        else:
            body = payloads.operation_result(service, operation, value, base=base, representation=representation)
        if body is None:
            return Response(status=204)
        return replace(json_response(200, body), content_type=media.content_type(representation))

    async def _function(
        self, request: Request, target: Target, operation: ODataOperation, declared: Read, caller: Caller
    ) -> Response:
        representation = media.json_representation(request, request.query)
        input = read_arguments(operation, target.arguments, request.query, target.key)
        context = ReadContext(owner=caller.owner, base_url=caller.base, api_version=versions.DEFAULT)
        value: Any = await (declared(context, input) if input is not None else declared(context))
        content = declared.output.dump_json(declared.output.validate_python(value), by_alias=True)
        return self._result(operation, content, caller.base, representation)

    async def _action(
        self, request: Request, target: Target, operation: ODataOperation, action: Action, caller: Caller
    ) -> Response:
        start = self._start(request, target, operation, action, caller)
        if monitors.wants_async(request) and caller.engine is not None:
            begun = (await self._app.service.begin(start, caller.engine)).operation
            return await self.pending(request, begun, caller)
        if action.timeout.total_seconds() > caller.longest:
            raise too_long(caller.longest)
        if caller.seconds_left <= 0:
            raise too_long(caller.longest)
        done = await self._app.inline.run(start, seconds=caller.seconds_left, is_canceled=caller.is_canceled)
        if not done.status.is_terminal or (done.status is Status.CANCELED and caller.seconds_left <= 0):
            raise too_long(caller.longest)
        response = await self.final(done, caller.base)
        return replace(response, headers={**response.headers, "Vary": "Prefer"})

    async def pending(self, request: Request, operation: Operation, caller: Caller) -> Response:
        """The answer to an asynchronous start, after the time the caller wants to wait for its end."""
        seconds = preferences.wait_seconds(request, limit=self._app.settings.max_wait_seconds)
        if seconds:
            operation = await self._app.service.wait(operation, min(seconds, caller.seconds_left))
        vary = {"Vary": "Prefer"}
        if operation.status.is_terminal:
            response = await self.final(operation, caller.base)
            return replace(response, headers={**response.headers, **preferences.applied(seconds), **vary})
        response = monitors.accepted(operation, caller.base, waited=seconds)
        return replace(response, headers={**response.headers, **vary})

    def _start(
        self, request: Request, target: Target, operation: ODataOperation, action: Action, caller: Caller
    ) -> StartRequest:
        representation = media.json_representation(monitors.without_message(request), request.query)
        ieee754 = media.check_json_body(request)
        body = bodies.read_json_object(request, limit=self._app.settings.max_body_bytes)
        input = reading_bodies.read_parameters(operation, body, target.key, ieee754=ieee754)
        facts = monitors.StartFacts(
            version=media.odata_version(request),
            metadata=representation.metadata,
            ieee754=representation.ieee754,
            enclosed=monitors.encloses_by_default(request),
            undoable=operation.undoable,
        )
        return start_request(request, action, input, facts, caller)

    def _declared(self, name: str) -> ODataOperation | None:
        service = self._app.registry.odata
        operations = service.operations if service else []
        return next((operation for operation in operations if operation.declared.name == name), None)


def start_request(
    request: Request, action: Action, input: BaseModel | None, facts: monitors.StartFacts, caller: Caller
) -> StartRequest:
    """What `request` starts. Its id is the caller's run, where that may do the same again."""
    input_json = bodies.canonical_json(input)
    return StartRequest(
        action=action,
        input=input,
        input_json=input_json,
        owner=caller.owner,
        method=request.method,
        path=request.path.strip("/"),
        api_version="",
        fingerprint=bodies.fingerprint(action.name, request.method, input_json),
        operation_id=caller.run or None,
        profile=monitors.PROFILE,
        facts=facts.to_facts(),
    )
