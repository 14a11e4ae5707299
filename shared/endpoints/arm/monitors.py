"""The ARM monitors of a namespace: operationStatuses, its cancel, and operationResults."""

from collections.abc import Sequence
from contextlib import suppress

from shared.actions.arm.resource import ArmResource
from shared.contracts.arm import answers as arm
from shared.contracts.arm import headers as arm_headers
from shared.contracts.arm import names as arm_names
from shared.contracts.headers import paced
from shared.contracts.http import Request, Response
from shared.endpoints.caching import once_ended
from shared.endpoints.results import with_result
from shared.engine.port import Engine
from shared.errors import StorageError
from shared.model.ids import is_valid_id
from shared.model.operation import Operation
from shared.operations.after_end import AfterEnd
from shared.operations.service import OperationService, not_found
from shared.resources.model import owner_of
from shared.resources.operations import is_at
from shared.settings import Settings


class ArmMonitors:
    """They belong to the subscription: under another one, or at another location, an operation is not found."""

    def __init__(
        self, service: OperationService, after_end: AfterEnd, settings: Settings, declared: Sequence[ArmResource]
    ) -> None:
        """`declared` are the resources of one namespace."""
        self._service = service
        self._after_end = after_end
        self._settings = settings
        self._namespace = declared[0].namespace
        self._versions = sorted({version for resource in declared for version in resource.api_versions})

    async def status(self, request: Request, engine: Engine) -> Response:
        """`GET .../operationStatuses/{operationId}`: 200 whatever the state."""
        operation, monitors = await self._find(request, engine)
        answer = paced(await self._status(operation, monitors), self._service.pacing.next_poll(operation))
        return await once_ended(request, operation, answer)

    async def cancel(self, request: Request) -> Response:
        """`POST .../operationStatuses/{operationId}/cancel`: 200; one that has ended stays as it is."""
        operation, monitors = await self._find(request)
        operation = await self._service.cancel(operation.owner, operation.id)
        with suppress(StorageError):  # readers of the resource do it, too
            await self._after_end(operation)
        return await self._status(operation, monitors)

    async def results(self, request: Request, engine: Engine) -> Response:
        """`GET .../operationResults/{operationId}`: 202 until it has ended, then the synchronous answer."""
        operation, monitors = await self._find(request, engine)
        answer = arm.results_response(operation, await self._service.result_content(operation), monitors)
        return paced(answer, self._service.pacing.next_poll(operation))

    async def _status(self, operation: Operation, monitors: arm.MonitorUrls) -> Response:
        answer = arm.status_response(operation, monitors)
        if not arm.carries_result(operation):
            return answer
        return await with_result(self._service, operation, answer, "properties")

    async def _find(self, request: Request, engine: Engine | None = None) -> tuple[Operation, arm.MonitorUrls]:
        caller = arm_headers.arm_caller(request, self._settings, self._versions)
        subscription, operation_id = arm_names.subscription(request.route), request.route["operationId"]
        location = arm_names.location_name(request.route["location"])
        if not is_valid_id(operation_id):
            raise not_found(operation_id)
        # Our ids are lower-case UUIDs, and ARM paths compare without case.
        operation = await self._service.poll(owner_of(subscription), operation_id.lower(), engine)
        if not is_at(operation, namespace=self._namespace, location=location):
            raise not_found(operation_id)
        return operation, arm.MonitorUrls(
            arm_headers.monitor_base(request, self._settings),
            subscription=subscription,
            namespace=self._namespace,
            location=location,
            api_version=caller.api_version,
        )
