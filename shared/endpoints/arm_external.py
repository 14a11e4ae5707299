"""Starting an operation on an ARM resource whose work another system does."""

import logging

from shared.actions.hand_over import Elsewhere, HandOver
from shared.composition import Application
from shared.contracts import external, headers, versions
from shared.contracts.http import Request
from shared.errors import ErrorBody, RequestError
from shared.operations.external import Failed
from shared.operations.model import Operation
from shared.operations.service import StartRequest

_FAILED = ErrorBody("HandOverFailed", "The work could not be handed over; the app's log has more.")

_log = logging.getLogger(__name__)


async def hand_over(application: Application, request: Request, elsewhere: Elsewhere, start: StartRequest) -> Operation:
    """Insert the operation, then hand it over; where that fails, it has ended, and its monitors say so.

    A process that dies between the two leaves an operation nobody knows of: it ends at its deadline.
    """
    created = await application.external.create(
        kind=start.action.name,
        owner=start.owner,
        operation_id=start.operation_id,
        retry_after=start.retry_after or start.action.retry_after,
        keep=start.action.keep,
        deadline=elsewhere.deadline,
        resource=start.resource,
        profile=start.profile,
        facts=start.facts,
        input_json=start.input_json,
        fingerprint=start.fingerprint,
        method=start.method,
        path=start.path,
        api_version=start.api_version,
        start_status=start.start_status,
    )
    operation = created.operation
    base = headers.base_url(request, application.settings)
    work = HandOver(
        operation_id=operation.id,
        # The route by which it is updated is the app's own, whatever versions the resource has.
        update_url=external.update_url(base, operation.id, versions.DEFAULT),
        secret=created.secret,
        owner=operation.owner,
        run=operation.run,
        created=operation.created,
    )
    try:
        await elsewhere.hand_over(work, getattr(start.input, "resource", None))
    except Exception:
        _log.exception(
            "Could not hand an operation over",
            extra={"action": "hand_over_failed", "operation_id": operation.id, "action_name": operation.action},
        )
        try:
            return await application.external.update(operation.owner, operation.id, Failed(_FAILED))
        except RequestError:
            # The outside party, or a cancel, was faster: it had been handed over after all.
            return await application.service.get(operation.owner, operation.id)
    return operation
