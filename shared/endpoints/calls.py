"""`POST` of a declared call: checked as a start is, answered at once."""

from shared.actions.calls import Call
from shared.actions.context import ReadContext
from shared.composition import Application
from shared.contracts import bodies, headers, versions
from shared.contracts.http import Request, Response
from shared.errors import RequestError
from shared.operations.ids import ID_PATTERN, is_valid_id


async def run(application: Application, request: Request, call: Call) -> Response:
    """200 with what the handler returned, 204 where that is None."""
    settings, declared = application.settings, call.declared
    version = versions.api_version(request, required=settings.api_version_required)
    context = ReadContext(
        owner=headers.owner(request, settings), base_url=headers.base_url(request, settings), api_version=version
    )
    for name, value in request.route.items():
        if not is_valid_id(value):
            raise RequestError(400, "InvalidResourceId", f"{name} must match {ID_PATTERN}.", target=name)
    body = bodies.read_json_object(request, limit=settings.max_body_bytes)
    input = bodies.parse_input(declared.input_model, request.route, body)
    value = await (call(context, input) if input is not None else call(context))
    value = declared.output.validate_python(value)
    if value is None:
        return Response(status=204)
    # What a call answers may be shown once: no cache on the way keeps it (RFC 9111, section 5.2.2.5).
    content = declared.output.dump_json(value, by_alias=True)
    return Response(status=200, headers={"Cache-Control": "no-store"}, body=content, content_type="application/json")
