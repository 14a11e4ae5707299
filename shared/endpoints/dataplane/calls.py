"""`POST` of a declared call: checked as a start is, answered at once."""

from typing import Any

from shared.actions.calls import Call
from shared.actions.context import Services
from shared.actions.declaration import Read
from shared.contracts import bodies
from shared.contracts.caller import dataplane_caller
from shared.contracts.http import Request, Response
from shared.errors import RequestError
from shared.model.ids import ID_PATTERN, is_valid_id
from shared.operations.off_loop import off_loop


class Calls:
    """Every declared call."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, request: Request, call: Call) -> Response:
        """200 with what the handler returned, 204 where that is None."""
        settings, declared = self._services.settings, call.declared
        context = dataplane_caller(request, settings).context(self._services)
        for name, value in request.route.items():
            if not is_valid_id(value):
                raise RequestError(400, "InvalidResourceId", f"{name} must match {ID_PATTERN}.", target=name)
        input = await off_loop(
            len(request.body), bodies.read_input, request, declared.input_model, limit=settings.max_body_bytes
        )
        value = await (call(context, input) if input is not None else call(context))
        content = await off_loop(len(request.body), self._written, declared, value)
        if content is None:
            return Response(status=204)
        return Response(status=200, body=content, content_type="application/json")

    @staticmethod
    def _written(declared: Read, value: Any) -> bytes | None:
        value = declared.output.validate_python(value)
        return None if value is None else declared.output.dump_json(value, by_alias=True)
