"""The ARM monitors of a namespace: operationStatuses, its cancel, and operationResults."""

from collections.abc import Sequence
from contextlib import suppress

from shared.actions.arm import ArmResource
from shared.composition import Application
from shared.contracts import arm, arm_headers, arm_names, headers
from shared.contracts.http import Request, Response
from shared.errors import StorageError
from shared.operations.ids import is_valid_id
from shared.operations.model import Operation
from shared.operations.service import not_found
from shared.resources.model import owner_of
from shared.resources.operations import is_at, roll_forward


class ArmMonitors:
    """They belong to the subscription: under another one, or at another location, an operation is not found."""

    def __init__(self, application: Application, resources: Sequence[ArmResource]) -> None:
        """`resources` are those of one namespace."""
        self._app = application
        self._namespace = resources[0].namespace
        self._versions = sorted({version for resource in resources for version in resource.api_versions})

    async def status(self, request: Request) -> Response:
        """`GET .../operationStatuses/{operationId}`: 200 whatever the state."""
        operation, monitors = await self._find(request)
        return arm.status_response(operation, await self._app.service.result_content(operation), monitors)

    async def cancel(self, request: Request) -> Response:
        """`POST .../operationStatuses/{operationId}/cancel`: 200; one that has ended stays as it is."""
        operation, monitors = await self._find(request)
        operation = await self._app.service.cancel(operation.owner, operation.id)
        with suppress(StorageError):  # readers of the resource do it, too
            await roll_forward(self._app.resources, operation)
        return arm.status_response(operation, await self._app.service.result_content(operation), monitors)

    async def results(self, request: Request) -> Response:
        """`GET .../operationResults/{operationId}`: 202 until it has ended, then the synchronous answer."""
        operation, monitors = await self._find(request)
        return arm.results_response(operation, await self._app.service.result_content(operation), monitors)

    async def _find(self, request: Request) -> tuple[Operation, arm.Monitors]:
        version = arm_names.api_version(request, self._versions)
        headers.owner(request, self._app.settings)
        subscription, operation_id = arm_names.subscription(request.route), request.route["operationId"]
        location = arm_names.location_name(request.route["location"])
        if not is_valid_id(operation_id):
            raise not_found(operation_id)
        # Our ids are lower-case UUIDs, and ARM paths compare without case.
        operation = await self._app.service.get(owner_of(subscription), operation_id.lower())
        if not is_at(operation, namespace=self._namespace, location=location):
            raise not_found(operation_id)
        base = arm_headers.monitor_base(request, self._app.settings)
        return operation, arm.Monitors(
            base, subscription=subscription, namespace=self._namespace, location=location, api_version=version
        )
