"""Declaring an ARM resource: a namespace, a type, a properties model, and a handler per verb.

    shelves = ArmResource("Contoso.Library", "shelves", api_versions=["2026-01-01"], properties=ShelfProperties)

    @shelves.create_or_replace()
    async def provision(context: ActionContext, shelf: Shelf) -> Shelf: ...

Nothing is registered here: `shared.actions.registry.discover` collects the values from the modules under `actions/`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Unpack

from pydantic import BaseModel

from shared.actions.arm.handlers import Handler, check_final_result, read_handler, runnable
from shared.actions.arm.lro_headers import LRO_HEADERS, ArmAsyncOperationHeader, ArmLroLocationHeader, LroHeaders
from shared.actions.arm.models import PROVISIONING_STATE, ArmTrackedResource
from shared.actions.context import Context, RemovalContext
from shared.actions.declaration import RESULT_FORM, Action, function_name
from shared.actions.delegation import DelegatedWork
from shared.actions.hooks import hook
from shared.actions.input_models import check_model
from shared.actions.parameters import MODEL, Rule, checked, decorator, is_list, is_text, matches, takes
from shared.actions.policies import POLICY_RULES, Policies, PollingPolicies
from shared.actions.profiles import ResourceDeclaration
from shared.actions.routes import READ, Endpoint
from shared.errors import DeclarationError

GROUP_ROUTE = "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers"
SUBSCRIPTION_ROUTE = "subscriptions/{subscriptionId}/providers"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)+")
_WORD = re.compile(r"[a-z][A-Za-z0-9]{0,49}")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?")


def _is_pattern(value: Any) -> bool:
    if not is_text(value):
        return False
    try:
        re.compile(value)
    except re.error:
        return False
    return True


_ACTION_NAME = Rule("one word", ('"restart"',), lambda value: matches(value, _WORD))
_ALSO_LOCK = Rule(
    "a function of the resource and the request that names more resources",
    ("lambda shelf, request: [request.target_shelf]",),
    lambda value: takes(value, 2),
)


class Verb(StrEnum):
    """What an operation does to its resource. Stored with every lock: never renamed."""

    WRITE = "write"
    """PUT."""
    UPDATE = "update"
    """PATCH."""
    DELETE = "delete"
    ACTION = "action"
    """POST: holds the resource and leaves its provisioningState alone."""


@dataclass(kw_only=True, eq=False)
class ArmVerb:
    """One verb of a resource: an ordinary action, and what ARM adds to it. Calling it calls the handler."""

    verb: Verb
    handler: Handler
    action: Action
    headers: LroHeaders
    """With `final_result` resolved."""
    replaces: bool = False
    """PUT: properties that a request leaves out are reset, not kept."""
    delegated: DelegatedWork | None = None
    """Set where another system does the work (shared/actions/arm/delegation.py)."""
    also_lock: Callable[[Any, Any], Iterable[str]] | None = None
    """`(resource, request)` -> names of resources of this type and group that the operation holds as well."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler.function(*args, **kwargs)

    def precondition(self, check: Callable[..., Any]) -> Callable[..., Any]:
        """Run `check([context, ]resource[, request])` before a start; it refuses by raising RequestError."""
        checks = hook(check, inputs=1 if self.handler.input_model is None else 2)

        async def on_input(context: Context, input: Any) -> None:
            await checks(context, *self.handler.arguments(input))

        self.action.preconditions.append(on_input)
        return check

    def removed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run `function([context: RemovalContext, ][resource[, request]])` once the record of an operation has gone.

        As `Action.removed` does, also where another system has done the work.
        """
        removal = hook(function, inputs=1 if self.handler.input_model is None else 2, context=RemovalContext)

        async def on_input(context: Context, input: Any) -> datetime | None:
            return await removal(context, *self.handler.arguments(input))

        self.action.removal_hooks.append(on_input)
        return function


class ReadEndpoints(NamedTuple):
    """What every resource answers to GET."""

    get: Endpoint
    list: Endpoint
    """Those of a resource group."""
    list_all: Endpoint
    """Those of a subscription."""


class MonitorEndpoints(NamedTuple):
    """The operation monitors that the resources of one namespace share."""

    status: Endpoint
    cancel: Endpoint
    results: Endpoint


class ArmResource(ResourceDeclaration):
    """A tracked resource of an ARM resource provider; its decorators declare what it can do."""

    @checked(
        namespace=Rule("a provider's namespace", ('"Company.Service"',), lambda value: matches(value, _NAMESPACE)),
        type=Rule(
            "one word that is not 'locations'",
            ('"shelves"',),
            lambda value: matches(value, _WORD) and value.lower() != "locations",
        ),
        api_versions=Rule(
            "a list of dates", ('["2026-01-01"]',), lambda value: is_list(value, lambda each: matches(each, _VERSION))
        ),
        properties=MODEL,
        name_pattern=Rule("a regular expression", ('r"[a-z]{3,24}"',), _is_pattern),
        locations=Rule("a list of locations", ('["westeurope"]',), is_list),
    )
    def __init__(
        self,
        namespace: str,
        type: str,
        *,
        api_versions: Sequence[str],
        properties: type[BaseModel],
        name_pattern: str = NAME_PATTERN,
        locations: Sequence[str] | None = None,
    ) -> None:
        """`locations` limits where a resource may be; without it any word is a location. Raises DeclarationError."""
        self.namespace = namespace
        self.type = type
        self.api_versions = tuple(api_versions)
        self.properties = properties
        self.name_pattern = re.compile(name_pattern)
        self.locations = None if locations is None else tuple(locations)
        self.model: Any = ArmTrackedResource[properties]
        self.where = f"{properties.__module__}: {self.full_type}"
        self.verbs: list[ArmVerb] = []
        self._check_properties()

    @property
    def full_type(self) -> str:
        return f"{self.namespace}/{self.type}"

    @decorator(lro_headers=LRO_HEADERS, **POLICY_RULES)
    def create_or_replace(
        self, *, lro_headers: LroHeaders | None = None, **policies: Unpack[Policies]
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PUT that resets what a request leaves out: `(context, resource) -> resource`."""
        return self._declare(Verb.WRITE, "PUT", lro_headers or ArmAsyncOperationHeader(), policies, replaces=True)

    @decorator(lro_headers=LRO_HEADERS, **POLICY_RULES)
    def create_or_update(
        self, *, lro_headers: LroHeaders | None = None, **policies: Unpack[Policies]
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PUT that keeps what a request leaves out: `(context, resource) -> resource`."""
        return self._declare(Verb.WRITE, "PUT", lro_headers or ArmAsyncOperationHeader(), policies)

    @decorator(lro_headers=LRO_HEADERS, **POLICY_RULES)
    def update(
        self, *, lro_headers: LroHeaders | None = None, **policies: Unpack[Policies]
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PATCH, a merge of tags and properties: `(context, resource) -> resource`."""
        return self._declare(Verb.UPDATE, "PATCH", lro_headers or ArmLroLocationHeader(), policies)

    @decorator(lro_headers=LRO_HEADERS, **POLICY_RULES)
    def delete(
        self, *, lro_headers: LroHeaders | None = None, **policies: Unpack[Policies]
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """DELETE: `(context, resource) -> None`; the resource stays readable until it has succeeded."""
        return self._declare(Verb.DELETE, "DELETE", lro_headers or ArmLroLocationHeader(), policies)

    @decorator(name=_ACTION_NAME, lro_headers=LRO_HEADERS, also_lock=_ALSO_LOCK, result=RESULT_FORM, **POLICY_RULES)
    def action(
        self,
        name: str,
        *,
        lro_headers: LroHeaders | None = None,
        also_lock: Callable[[Any, Any], Iterable[str]] | None = None,
        result: Literal["link"] | None = None,
        **policies: Unpack[Policies],
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """POST `.../{resource}/{name}`: `(context, resource[, request]) -> result`, `None` for no content.

        With `result="link"` it is fetched from `Location` alone: operationStatuses leaves it out, however small.
        """
        headers = lro_headers or ArmLroLocationHeader()
        return self._declare(Verb.ACTION, "POST", headers, policies, name=name, also_lock=also_lock, result=result)

    @property
    def read_endpoints(self) -> ReadEndpoints:
        """The functions that read it."""
        prefix = function_name(self.full_type)
        listed = f"{GROUP_ROUTE}/{self.full_type}"
        return ReadEndpoints(
            get=Endpoint(f"{prefix}_get", READ, self._route, self.where),
            list=Endpoint(f"{prefix}_list", READ, listed, self.where),
            list_all=Endpoint(f"{prefix}_listAll", READ, f"{SUBSCRIPTION_ROUTE}/{self.full_type}", self.where),
        )

    @property
    def monitor_endpoints(self) -> MonitorEndpoints:
        """The functions of its namespace's monitors.

        They lie below the subscription, not below the resource: they outlive it (ARM RPC, "Azure-AsyncOperation
        Resource format").
        """
        prefix = function_name(self.namespace)
        base = f"{SUBSCRIPTION_ROUTE}/{self.namespace}/locations/{{location}}"
        status = f"{base}/operationStatuses/{{operationId}}"
        results = f"{base}/operationResults/{{operationId}}"
        return MonitorEndpoints(
            status=Endpoint(f"{prefix}_operationStatuses", READ, status, self.where),
            cancel=Endpoint(f"{prefix}_operationStatuses_cancel", ("POST",), f"{status}/cancel", self.where),
            results=Endpoint(f"{prefix}_operationResults", READ, results, self.where),
        )

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that follow from the declaration."""
        verbs = (verb.action for verb in self.verbs)
        return [
            *(Endpoint(each.function_name, (each.method,), each.route, each.where) for each in verbs),
            *self.read_endpoints,
        ]

    @property
    def _route(self) -> str:
        """One resource."""
        return f"{GROUP_ROUTE}/{self.full_type}/{{name}}"

    def _declare(
        self,
        verb: Verb,
        method: str,
        headers: LroHeaders,
        policies: Policies,
        *,
        name: str = "",
        replaces: bool = False,
        also_lock: Callable[[Any, Any], Iterable[str]] | None = None,
        result: Literal["link"] | None = None,
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """`name` is that of an ACTION."""

        def declare(function: Callable[..., Any]) -> ArmVerb:
            handler = read_handler(function, self.model, takes_request=verb is Verb.ACTION)
            where = handler.where
            if verb in (Verb.WRITE, Verb.UPDATE) and not handler.returns_resource:
                raise DeclarationError(f"{where}: {method} returns the resource; write `-> {self.model.__name__}`")
            if verb is Verb.DELETE and handler.returns is not None:
                raise DeclarationError(f"{where}: DELETE returns nothing; write `-> None`")
            full_name = f"{self.full_type}/{f'{name}/action' if name else verb}"
            for other in self.verbs:
                if other.action.name.lower() == full_name.lower():
                    same = f"{method} of {self.full_type}" + (f" {name!r}" if name else "")
                    raise DeclarationError(f"{other.action.where} and {where} are both {same}; keep one of them")
            resolved = check_final_result(headers, handler)
            if result is not None and not resolved.location:
                raise DeclarationError(
                    f"{where}: result={result!r} leaves the result to `Location`, which {type(headers).__name__} does "
                    "not send; write lro_headers=ArmCombinedLroHeaders()"
                )
            paced: PollingPolicies = {**policies}
            if resolved.retry_after is not None:
                paced["retry_after"] = resolved.retry_after
            action = Action.declared(
                full_name,
                runnable(handler),
                method=method,
                route=f"{self._route}/{name}" if name else self._route,
                result=result,
                **paced,
            )
            declared = ArmVerb(
                verb=verb, handler=handler, action=action, headers=resolved, replaces=replaces, also_lock=also_lock
            )
            self.verbs.append(declared)
            return declared

        return declare

    def _check_properties(self) -> None:
        check_model(self.properties, self.where)
        for name, field in self.properties.model_fields.items():
            if field.is_required():
                raise DeclarationError(f"{self.where}: the property {name!r} is required; give it a default")
            if PROVISIONING_STATE in (name, field.alias):
                raise DeclarationError(f"{self.where}: {PROVISIONING_STATE} is set by the provider; do not declare it")
