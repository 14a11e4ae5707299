"""The ARM routes of a resource: from request to answer, over the resources and the operation service."""

from collections.abc import AsyncIterator
from dataclasses import replace

from pydantic import BaseModel

from shared.actions.arm import ArmResource, ArmVerb, Verb
from shared.composition import Application, now
from shared.contracts import arm, arm_bodies, arm_headers, arm_lists, arm_names, arm_plans, bodies, headers
from shared.contracts.arm_plans import Call, Held, Plan, busy, input_of, not_found, system_data
from shared.contracts.http import Request, Response
from shared.endpoints.arm_external import hand_over
from shared.engine.port import Engine
from shared.errors import RequestError, StorageConflict
from shared.operations.ids import Locator, new_id
from shared.operations.model import Operation
from shared.operations.service import StartRequest
from shared.resources.model import Resource, partition_of
from shared.resources.operations import PROFILE, facts

_TRIES = 4


class Arm:
    """Every route of a resource as a coroutine from Request to Response; errors are raised, the border answers them."""

    def __init__(self, application: Application) -> None:
        self._app = application

    async def start(self, request: Request, resource: ArmResource, verb: ArmVerb, engine: Engine) -> Response:
        """A write. In this order: version, caller, names, body, busy, conditions, the action's own precondition.

        (1) take the row conditionally, (2) insert the operation, (3) start the engine: whoever reads in between, or
        after a process has died there, is told by `shared.resources.settle`.
        """
        version = arm_names.api_version(request, resource.api_versions)
        caller = headers.owner(request, self._app.settings)
        key = arm_names.resource_key(resource, request.route)
        base = arm_headers.monitor_base(request, self._app.settings)
        call = Call(
            resource=resource,
            verb=verb,
            key=key,
            locator=Locator.of(key.owner, new_id()),
            body=bodies.read_json_object(request, limit=self._app.settings.max_body_bytes),
            headers=request.headers,
            caller=caller,
            now=now(),
        )
        plan = await self._take(call)
        if plan is None:
            return Response(status=204)
        operation = await self._begin(request, call, plan, version, engine)
        monitors = arm.Monitors(
            base,
            subscription=key.subscription,
            namespace=resource.namespace,
            location=plan.location,
            api_version=version,
        )
        return arm.started_response(verb, operation, plan.accepted, monitors)

    async def get(self, request: Request, resource: ArmResource) -> Response:
        """The resource: 200, 304 for an ETag that is known, 404."""
        arm_names.api_version(request, resource.api_versions)
        headers.owner(request, self._app.settings)
        key = arm_names.resource_key(resource, request.route)
        found = await self._app.resources.find(key)
        if found.resource is None:
            raise not_found(key)
        if arm_headers.is_not_modified(request.headers, tag := arm.etag(found.resource)):
            return Response(status=304, headers={"ETag": tag})
        return arm.resource_response(found.resource)

    async def list(self, request: Request, resource: ArmResource) -> Response:
        """The resources of a resource group, or of the subscription: a page with `nextLink`."""
        version = arm_names.api_version(request, resource.api_versions)
        headers.owner(request, self._app.settings)
        subscription = arm_names.subscription(request.route)
        group = arm_names.resource_group(request.route) if "resourceGroupName" in request.route else None
        wanted = arm_lists.parse_list(request)
        resources, position = await self._app.resources.list(
            partition_of(subscription, resource.namespace, resource.type),
            resource_group=group,
            after=wanted.after,
            limit=wanted.top,
        )
        link = None
        if position is not None:
            base = arm_headers.monitor_base(request, self._app.settings)
            link = arm_lists.next_link(base, request.path, position=position, top=wanted.top, api_version=version)
        return arm_lists.list_response(resources, next_link=link)

    async def _take(self, call: Call) -> Plan | None:
        """Decide what to start and hold what it needs; all over again where somebody else was faster."""
        # Preconditions come before the row is taken: they may take long, and a hold without a record does not last.
        to_ask = bool(call.verb.action.preconditions)
        for _ in range(_TRIES):
            call = replace(call, now=now())
            plan = await self._plan(call)
            if plan is None:
                return None
            if to_ask:
                to_ask = False
                await call.verb.action.check_preconditions(plan.input)
                continue
            try:
                await self._app.resources.take(arm_plans.held_rows(call, plan))
            except StorageConflict:
                continue
            return plan
        raise busy(call.key)

    async def _plan(self, call: Call) -> Plan | None:
        """What to start, decided by what is there now; None where there is nothing to do (DELETE of nothing: 204)."""
        found, kind = await self._app.resources.find(call.key), call.verb.verb
        stored = found.resource
        if stored is None and kind in (Verb.UPDATE, Verb.ACTION):
            raise not_found(call.key)
        if found.busy:
            raise busy(call.key)
        arm_headers.check_conditions(call.headers, arm.etag(stored) if stored else None)
        if kind in (Verb.DELETE, Verb.ACTION):
            asked = bodies.parse_input(call.verb.handler.request, {}, dict(call.body))
            if stored is None:
                return None
            also = tuple([held async for held in self._also_held(call, stored, asked)])
            input = input_of(call, stored, asked=asked)
            return Plan(key=stored.key, row=found.row, stored=stored, desired=None, input=input, also=also)
        key = stored.key if stored else call.key
        if kind is Verb.UPDATE and stored is not None:
            desired = arm_bodies.patch_body(call.resource, key, call.body, stored)
        else:
            desired = arm_bodies.put_body(call.resource, key, call.body, stored, replaces=call.verb.replaces)
        desired = replace(desired, system_data=system_data(stored, caller=call.caller, now=call.now))
        input = input_of(call, Resource(key=key, body=desired, state=""))
        return Plan(key=key, row=found.row, stored=stored, desired=desired, input=input)

    async def _also_held(self, call: Call, stored: Resource, asked: BaseModel | None) -> AsyncIterator[Held]:
        """The other resources that the action names, all there and free. Raises RequestError 400 or 409."""
        if call.verb.also_hold is None:
            return
        seen = {stored.key.row_key}
        for name in call.verb.also_hold(arm_plans.model_of(call.resource, stored), asked):
            route = {"subscriptionId": stored.key.subscription, "resourceGroupName": stored.key.resource_group}
            key = arm_names.resource_key(call.resource, {**route, "name": name})
            found = await self._app.resources.find(key)
            if found.resource is None or found.row is None:
                message = f"There is no {call.resource.full_type} called {name!r} in this resource group."
                raise RequestError(400, "InvalidResourceReference", message, target=key.id)
            if found.busy and key.row_key not in seen:
                raise busy(key)
            if key.row_key not in seen:
                seen.add(key.row_key)
                yield found.resource.key, found.row

    async def _begin(self, request: Request, call: Call, plan: Plan, version: str, engine: Engine) -> Operation:
        action, input_json = call.verb.action, bodies.canonical_json(plan.input)
        start = StartRequest(
            action=action,
            input=plan.input,
            input_json=input_json,
            owner=call.key.owner,
            method=request.method,
            path=request.path.strip("/"),
            api_version=version,
            fingerprint=bodies.fingerprint(action.name, request.method, input_json),
            operation_id=call.locator.id,
            profile=PROFILE,
            resource=plan.key.id,
            start_status=arm.start_status(call.verb.verb, new=plan.stored is None),
            is_checked=True,
            facts=facts(location=plan.location, also_held=plan.keys[1:]),
            retry_after=call.verb.headers.retry_after,
        )
        try:
            if call.verb.elsewhere is not None:
                return await hand_over(self._app, request, call.verb.elsewhere, start)
            return await self._app.service.start(start, engine)
        except RequestError:
            # Refused before anything was created: so nothing holds.
            await self._app.resources.release(plan.keys, call.locator)
            raise
