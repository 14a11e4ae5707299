"""`POST status/{operation_id}:update`: another system moves an operation on."""

from shared.contracts import bodies, versions
from shared.contracts.dataplane import answers as dataplane
from shared.contracts.dataplane import updates
from shared.contracts.delegation import SECRET_HEADER
from shared.contracts.http import Request, Response
from shared.model.updates import Update
from shared.operations.external import ExternalOperations
from shared.operations.off_loop import off_loop
from shared.settings import Settings


class Updates:
    """Updates of operations that are delegated."""

    def __init__(self, external: ExternalOperations, settings: Settings) -> None:
        self._external = external
        self._settings = settings

    async def update(self, request: Request) -> Response:
        """200 with the monitor, without the result. There is no caller here: the secret names the operation.

        The secret is checked before the body, so whoever has none learns nothing but 404.
        """
        versions.api_version(request, required=self._settings.api_version_required)
        secret = request.headers.get(SECRET_HEADER, "")
        operation = await self._external.authorize(request.route["operation_id"], secret)
        update = await off_loop(len(request.body), self._read, request)
        changed = await self._external.apply(operation, update)
        return dataplane.monitor_response(changed, result_url="")

    def _read(self, request: Request) -> Update:
        return updates.parse_update(bodies.read_json_object(request, limit=self._settings.max_body_bytes))
