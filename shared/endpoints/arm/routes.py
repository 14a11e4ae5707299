"""The ARM routes of a resource: from request to answer, over the resources and the operation service."""

from collections.abc import AsyncIterator

from pydantic import BaseModel

from shared.actions.arm.resource import ArmResource, ArmVerb, Verb
from shared.actions.context import RequestContext, Services
from shared.contracts import bodies, headers
from shared.contracts.arm import answers as arm
from shared.contracts.arm import headers as arm_headers
from shared.contracts.arm import lists as arm_lists
from shared.contracts.arm import names as arm_names
from shared.contracts.arm import plans as arm_plans
from shared.contracts.arm.plans import LockedRow, Plan, WriteRequest, input_of, not_found, system_data
from shared.contracts.conditions import is_not_modified
from shared.contracts.http import Request, Response
from shared.contracts.labels import labels
from shared.contracts.scheduling import not_before, refuse_not_before
from shared.endpoints.arm.delegation import Delegations
from shared.engine.port import Engine
from shared.errors import RequestError, StorageConflict
from shared.frozen import replace
from shared.model.ids import Locator, new_id
from shared.model.operation import CONDITION, Operation, RequestIdentity
from shared.operations.locks import ResourceLocked
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, StartRequest
from shared.resources.model import Resource, partition_of
from shared.resources.operations import PROFILE, location_of, profile_state
from shared.resources.service import Found, Resources
from shared.resources.settle import shown_while_held

_TRIES = 4


class Arm:
    """Every route of a resource, from Request to Response; errors are raised, the boundary answers them."""

    def __init__(
        self, service: OperationService, resources: Resources, delegations: Delegations, services: Services
    ) -> None:
        self._service = service
        self._resources = resources
        self._delegations = delegations
        self._services = services
        self._settings = services.settings

    async def start(self, request: Request, resource: ArmResource, verb: ArmVerb, engine: Engine) -> Response:
        """A write. In this order: version, caller, names, body, busy, conditions, the action's own precondition.

        (1) take the row conditionally, (2) insert the operation, (3) start the engine: whoever reads in between, or
        after a process has died there, is told by `shared.resources.settle`.
        """
        write = await off_loop(len(request.body), self._write, request, resource, verb)
        try:
            plan = await self._take(write)
        except ResourceLocked as error:
            if error.holder is None:
                raise
            # Operations on resources belong to the subscription, and so to everybody who may ask here.
            monitors = self._monitors(request, write, location_of(error.holder))
            raise error.naming(monitors.status(error.holder.id)) from None
        if plan is None:
            return Response(status=204)
        if isinstance(plan, Found):
            assert plan.holder is not None, "it was compared with this request"
            monitors = self._monitors(request, write, location_of(plan.holder))
            return arm.started_response(verb, plan.holder, plan.resource, monitors)
        operation = await self._begin(request, write, plan, engine)
        response = arm.started_response(verb, operation, plan.accepted, self._monitors(request, write, plan.location))
        return headers.paced(response, self._service.pacing.first_poll(operation))

    def _write(self, request: Request, resource: ArmResource, verb: ArmVerb) -> WriteRequest:
        """The request, checked as far as that goes without looking at what is there."""
        caller = arm_headers.arm_caller(request, self._settings, resource.api_versions)
        key = arm_names.resource_key(resource, request.route)
        body = bodies.read_json_object(request, limit=self._settings.max_body_bytes)
        said = bodies.sorted_json([body, caller.owner])
        due = not_before(request.headers)
        if verb.delegated is not None:
            refuse_not_before(request.headers, "is not for this: another system does the work, and begins at once")
        return WriteRequest(
            resource=resource,
            verb=verb,
            key=key,
            locator=Locator.of(key.owner, new_id()),
            body=body,
            size=len(request.body),
            headers=request.headers,
            caller=caller,
            identity=RequestIdentity(
                owner=key.owner,
                method=request.method,
                path=self._path(request).strip("/").lower(),
                api_version=caller.api_version,
                fingerprint=bodies.fingerprint(verb.action.name, request.method, said, due),
                condition=headers.condition(request.headers).get(CONDITION, ""),
            ),
            labels=labels(request.headers),
            not_before=due,
            now=self._services.clock.now(),
        )

    def _monitors(self, request: Request, write: WriteRequest, location: str) -> arm.MonitorUrls:
        return arm.MonitorUrls(
            arm_headers.monitor_base(request, self._settings),
            subscription=write.key.subscription,
            namespace=write.resource.namespace,
            location=location,
            api_version=write.caller.api_version,
        )

    async def get(self, request: Request, resource: ArmResource) -> Response:
        """The resource: 200, 304 for an ETag that is known, 404.

        A HEAD asks whether it is there: 204 or 404, as generated clients check existence (azure-mgmt-resource,
        `check_existence_by_id`, takes no other status).
        """
        # Who may not ask is told so before anything of what is there.
        arm_headers.arm_caller(request, self._settings, resource.api_versions)
        key = arm_names.resource_key(resource, request.route)
        found = await self._resources.find(key)
        if found.resource is None:
            raise not_found(key)
        tag = {"ETag": arm.etag(found.resource)}
        if is_not_modified(request.headers, tag["ETag"]):
            return Response(status=304, headers=tag)
        return Response(status=204, headers=tag) if request.is_head else arm.resource_response(found.resource)

    async def list(self, request: Request, resource: ArmResource) -> Response:
        """The resources of a resource group, or of the subscription: a page with `nextLink`."""
        caller = arm_headers.arm_caller(request, self._settings, resource.api_versions)
        subscription = arm_names.subscription(request.route)
        group = arm_names.resource_group(request.route) if "resourceGroupName" in request.route else None
        query = arm_lists.parse_list(request)
        resources, position = await self._resources.list(
            partition_of(subscription, resource.namespace, resource.type),
            resource_group=group,
            after=query.after,
            limit=query.top,
        )
        link = None
        if position is not None:
            base = arm_headers.monitor_base(request, self._settings)
            link = arm_lists.next_link(
                base, self._path(request), position=position, top=query.top, api_version=caller.api_version
            )
        return arm_lists.list_response(resources, next_link=link)

    async def _take(self, write: WriteRequest) -> Plan | Found | None:
        """Decide what to start and hold what it needs; all over again where somebody else was faster.

        What this request has started before is Found, with its holder.
        """
        # Preconditions come before the row is taken: they may take long, and a lock without a record does not last.
        unchecked = bool(write.verb.action.preconditions)
        for _ in range(_TRIES):
            write = replace(write, now=self._services.clock.now())
            plan = await self._plan(write)
            if not isinstance(plan, Plan):
                return plan
            self._service.check_not_paused(write.verb.action)
            if unchecked:
                unchecked = False
                await write.verb.action.check_preconditions(self._context(write), plan.input)
                continue
            try:
                await self._resources.take(arm_plans.locked_rows(write, plan))
            except StorageConflict:
                continue
            return plan
        raise ResourceLocked(write.key.id)

    async def _plan(self, write: WriteRequest) -> Plan | Found | None:
        """What to start, decided by what is there now; None where there is nothing to do (DELETE of nothing: 204)."""
        found, kind = await self._resources.find(write.key), write.verb.verb
        stored = found.resource
        if stored is None and kind in (Verb.UPDATE, Verb.ACTION):
            raise not_found(write.key)
        if found.row is not None and found.holder is not None and write.repeats(found.holder):
            # As it was when that request was answered.
            return replace(found, resource=shown_while_held(found.row, None))
        if found.busy:
            raise ResourceLocked(write.key.id, found.holder)
        arm_headers.check_conditions(write.headers, arm.etag(stored) if stored else None)
        if kind in (Verb.DELETE, Verb.ACTION):
            model = write.verb.handler.input_model
            body = await off_loop(write.size, bodies.parse_input, model, {}, dict(write.body))
            if stored is None:
                return None
            also = tuple([held async for held in self._also_locked(write, stored, body)])
            input = await off_loop(write.size, input_of, write, stored, request=body)
            return Plan(key=stored.key, row=found.row, stored=stored, desired=None, input=input, also=also)
        key = stored.key if stored else write.key
        desired = await off_loop(write.size, arm_plans.desired_body, write, key, stored)
        desired = replace(desired, system_data=system_data(stored, caller=write.caller.owner, now=write.now))
        input = input_of(write, Resource(key=key, body=desired, state=""))
        return Plan(key=key, row=found.row, stored=stored, desired=desired, input=input)

    async def _also_locked(
        self, write: WriteRequest, stored: Resource, body: BaseModel | None
    ) -> AsyncIterator[LockedRow]:
        """The other resources that the action names, all there and free. Raises RequestError 400 or 409."""
        if write.verb.also_lock is None:
            return
        seen = {stored.key.row_key}
        for name in write.verb.also_lock(arm_plans.model_of(write.resource, stored), body):
            route = {"subscriptionId": stored.key.subscription, "resourceGroupName": stored.key.resource_group}
            key = arm_names.resource_key(write.resource, {**route, "name": name})
            found = await self._resources.find(key)
            if found.resource is None or found.row is None:
                message = f"There is no {write.resource.full_type} called {name!r} in this resource group."
                raise RequestError(400, "InvalidResourceReference", message, target=key.id)
            if found.busy and key.row_key not in seen:
                raise ResourceLocked(key.id, found.holder)
            if key.row_key not in seen:
                seen.add(key.row_key)
                yield found.resource.key, found.row

    async def _begin(self, request: Request, write: WriteRequest, plan: Plan, engine: Engine) -> Operation:
        start = StartRequest(
            action=write.verb.action,
            context=self._context(write),
            input=plan.input,
            input_json=await off_loop(write.size, bodies.canonical_json, plan.input),
            owner=write.key.owner,
            method=request.method,
            path=self._path(request).strip("/"),
            api_version=write.caller.api_version,
            fingerprint=write.identity.fingerprint,
            operation_id=write.locator.id,
            profile=PROFILE,
            resource=plan.key.id,
            start_status=arm.start_status(write.verb.verb, new=plan.stored is None),
            is_checked=True,
            profile_state=profile_state(location=plan.location, also_locked=plan.keys[1:])
            | headers.condition(request.headers),
            retry_after=write.verb.headers.shortest_wait,
            labels=write.labels,
            not_before=write.not_before,
        )
        try:
            if write.verb.delegated is not None:
                return await self._delegations.begin(write.verb, start)
            return await self._service.start(start, engine)
        except RequestError:
            # Refused before anything was created: so nothing holds.
            await self._resources.release(plan.keys, write.locator)
            raise

    def _path(self, request: Request) -> str:
        return replace(request, root_path=self._settings.root_path).path

    def _context(self, write: WriteRequest) -> RequestContext:
        return write.caller.context(self._services)
