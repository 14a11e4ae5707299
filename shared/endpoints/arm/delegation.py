"""Operations on ARM resources whose work another system does: starting them, and delegating them again."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from shared.actions.arm.resource import ArmVerb
from shared.actions.context import RequestContext, Services
from shared.actions.delegation import Delegation
from shared.contracts import versions
from shared.contracts.delegation import update_url
from shared.errors import ErrorBody, FenceLost, StorageError
from shared.frozen import replace
from shared.model.operation import DELEGATION, Operation
from shared.model.updates import CreatedOperation, Failed, Origin
from shared.operations.external import ExternalOperations
from shared.operations.log_lines import about
from shared.operations.service import StartRequest

_FAILED = ErrorBody("DelegationFailed", "The work could not be delegated; the app's log has more.")

_log = logging.getLogger(__name__)


class Delegations:
    """Starts whose work another system does.

    The record is written first, and says until the work has been delegated that it has not been. Whoever finds it so
    when the request has had its time delegates it again: a process may die in between, and storage may fail.
    """

    def __init__(self, external: ExternalOperations, verbs: Mapping[str, ArmVerb], services: Services) -> None:
        """`verbs` are those with delegated work, by the names of their actions."""
        self._external = external
        self._verbs = verbs
        self._services = services

    async def begin(self, verb: ArmVerb, start: StartRequest) -> Operation:
        """Insert the operation, then delegate it; where that is refused, it has ended, and its monitors say so."""
        assert verb.delegated is not None, "the work of this verb is delegated"
        context = start.context
        # What an operation remembers of its start has the same names there.
        origin = Origin(**{each.name: getattr(start, each.name) for each in fields(Origin)})
        given = {"owner": context.owner, "base_url": context.base_url, "api_version": context.api_version}
        created = await self._external.create(
            kind=start.action.name,
            owner=start.owner,
            operation_id=start.operation_id,
            retry_after=start.retry_after or start.action.retry_after,
            keep=start.action.keep,
            deadline=verb.delegated.deadline,
            resource=start.resource,
            origin=replace(origin, profile_state={**origin.profile_state, DELEGATION: given}),
        )
        return await self._delegate(verb, created, context, start.input)

    async def again(self, operation: Operation) -> Operation:
        """Delegate an operation that may not have been; the system outside may come to hear of it twice.

        Raises FenceLost where somebody else does so.
        """
        verb = self._verbs.get(operation.action)
        if verb is None:  # an instance that knows this action does it, or the deadline ends it
            return operation
        created = await self._external.renew(operation)
        context = RequestContext(services=self._services, **created.operation.profile_state[DELEGATION])
        assert verb.action.input_model is not None, "an ARM verb's input holds the resource"
        input = verb.action.input_model.model_validate_json(await self._external.input(created.operation))
        about(_log, operation, "delegated_again").warning("An operation is delegated again")
        return await self._delegate(verb, created, context, input)

    async def _delegate(
        self, verb: ArmVerb, created: CreatedOperation, context: RequestContext, input: Any
    ) -> Operation:
        assert verb.delegated is not None, "the work of this verb is delegated"
        operation = created.operation
        work = Delegation(
            operation_id=operation.id,
            # The route by which it is updated is the app's own, whatever versions the resource has.
            update_url=update_url(context.base_url, operation.id, versions.DEFAULT),
            secret=created.secret,
            owner=operation.owner,
            run_id=operation.run_id,
            created=operation.created,
        )
        try:
            await verb.delegated.delegate(context, work, getattr(input, "resource", None))
            return await self._external.delegated(operation)
        except FenceLost:
            # The outside party was so fast that the operation has ended and gone.
            return operation
        except StorageError as error:
            about(_log, operation, "delegation_deferred").warning(
                "An operation is delegated later, as storage failed: %s", error
            )
            return operation
        except Exception:
            about(_log, operation, "delegation_failed").exception("Could not delegate an operation")
        return await self._external.not_delegated(created, Failed(_FAILED))
