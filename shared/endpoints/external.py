"""`POST status/{operation_id}:update`: another system moves an operation on."""

from shared.composition import Application
from shared.contracts import bodies, dataplane, external, versions
from shared.contracts.http import Request, Response


async def update(application: Application, request: Request) -> Response:
    """200 with the monitor, without the result. Who calls is not asked: the secret says which operation, and may.

    The secret is checked before the body, so whoever has none learns nothing but 404.
    """
    settings = application.settings
    versions.api_version(request, required=settings.api_version_required)
    secret = request.headers.get(external.SECRET_HEADER, "")
    operation = await application.external.authorize(request.route["operation_id"], secret)
    said = external.parse_update(bodies.read_json_object(request, limit=settings.max_body_bytes))
    return dataplane.monitor_response(await application.external.apply(operation, said), None)
