"""Declaring an ARM resource: a namespace, a type, a properties model, and a handler per verb.

    shelves = ArmResource("Contoso.Library", "shelves", api_versions=["2026-01-01"], properties=ShelfProperties)

    @shelves.create_or_replace()
    async def provision(context: ActionContext, shelf: Shelf) -> Shelf: ...

Nothing is registered here: `shared.actions.registry.discover` collects the values from the modules under `actions/`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from shared.actions.arm_handlers import Handler, adapt, check_final_result, input_model_of, read_handler
from shared.actions.arm_headers import ArmAsyncOperationHeader, ArmLroLocationHeader, LroHeaders
from shared.actions.arm_models import PROVISIONING_STATE, ArmTrackedResource
from shared.actions.declaration import Action, function_name
from shared.actions.hand_over import Elsewhere
from shared.actions.input_models import check_model
from shared.actions.policies import NO_RETRY, Duration, Retry, duration
from shared.actions.routes import Endpoint
from shared.errors import DeclarationError

GROUP_ROUTE = "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers"
SUBSCRIPTION_ROUTE = "subscriptions/{subscriptionId}/providers"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)+")
_WORD = re.compile(r"[a-z][A-Za-z0-9]{0,49}")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?")


class Verb(StrEnum):
    """What an operation does to its resource. Stored with every hold: never renamed."""

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
    elsewhere: Elsewhere | None = None
    """Set where another system does the work (shared/actions/arm_external.py)."""
    also_hold: Callable[[Any, Any], Iterable[str]] | None = None
    """`(resource, request)` -> names of resources of this type and group that the operation holds as well."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler.function(*args, **kwargs)

    def precondition(self, check: Callable[..., Any]) -> Callable[..., Any]:
        """Run `check(resource[, request])` before the operation is created; it refuses by raising RequestError."""

        def checked(input: Any) -> Any:
            return check(*self.handler.arguments(input))

        self.action.precondition(checked)
        return check


class ArmResource:
    """A tracked resource of an ARM resource provider; its decorators declare what it can do."""

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
        self._check()

    @property
    def full_type(self) -> str:
        return f"{self.namespace}/{self.type}"

    def create_or_replace(
        self, *, lro_headers: LroHeaders | None = None, **policies: Any
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PUT that resets what a request leaves out: `(context, resource) -> resource`."""
        return self._declare(
            Verb.WRITE, "PUT", "write", lro_headers or ArmAsyncOperationHeader(), policies, replaces=True
        )

    def create_or_update(
        self, *, lro_headers: LroHeaders | None = None, **policies: Any
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PUT that keeps what a request leaves out: `(context, resource) -> resource`."""
        return self._declare(Verb.WRITE, "PUT", "write", lro_headers or ArmAsyncOperationHeader(), policies)

    def update(
        self, *, lro_headers: LroHeaders | None = None, **policies: Any
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """PATCH, a merge of tags and properties: `(context, resource) -> resource`."""
        return self._declare(Verb.UPDATE, "PATCH", "update", lro_headers or ArmLroLocationHeader(), policies)

    def delete(
        self, *, lro_headers: LroHeaders | None = None, **policies: Any
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """DELETE: `(context, resource) -> None`; the resource stays readable until it has succeeded."""
        return self._declare(Verb.DELETE, "DELETE", "delete", lro_headers or ArmLroLocationHeader(), policies)

    def action(
        self,
        name: str,
        *,
        lro_headers: LroHeaders | None = None,
        also_hold: Callable[[Any, Any], Iterable[str]] | None = None,
        **policies: Any,
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        """POST `.../{resource}/{name}`: `(context, resource[, request]) -> result`, `None` for no content."""
        if not _WORD.fullmatch(name):
            raise DeclarationError(f"{self.where}: the action {name!r} is not one word such as 'restart'")
        headers = lro_headers or ArmLroLocationHeader()
        return self._declare(Verb.ACTION, "POST", name, headers, policies, also_hold=also_hold)

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that follow from the declaration."""
        found = [
            Endpoint(v.action.function_name, (v.action.method,), v.action.route, v.action.where) for v in self.verbs
        ]
        prefix = function_name(self.full_type)
        item = f"{GROUP_ROUTE}/{self.full_type}"
        return [
            *found,
            Endpoint(f"{prefix}_get", ("GET",), f"{item}/{{name}}", self.where),
            Endpoint(f"{prefix}_list", ("GET",), item, self.where),
            Endpoint(f"{prefix}_listAll", ("GET",), f"{SUBSCRIPTION_ROUTE}/{self.full_type}", self.where),
        ]

    def _declare(
        self,
        verb: Verb,
        method: str,
        name: str,
        headers: LroHeaders,
        policies: dict[str, Any],
        *,
        replaces: bool = False,
        also_hold: Callable[[Any, Any], Iterable[str]] | None = None,
    ) -> Callable[[Callable[..., Any]], ArmVerb]:
        def declare(function: Callable[..., Any]) -> ArmVerb:
            handler = read_handler(function, self.model, takes_request=verb is Verb.ACTION)
            where = handler.where
            returns_resource = verb in (Verb.WRITE, Verb.UPDATE)
            if returns_resource and not handler.returns_resource:
                raise DeclarationError(f"{where}: {method} returns the resource; write `-> {self.model.__name__}`")
            if verb is Verb.DELETE and handler.output is not None:
                raise DeclarationError(f"{where}: DELETE returns nothing; write `-> None`")
            suffix = f"{name}/action" if verb is Verb.ACTION else name
            for other in self.verbs:
                if other.action.name.lower() == f"{self.full_type}/{suffix}".lower():
                    raise DeclarationError(
                        f"{other.action.where} and {where} are both {method} of {self.full_type}"
                        f"{f' {name!r}' if verb is Verb.ACTION else ''}; keep one of them"
                    )
            resolved = check_final_result(headers, handler)
            path = f"{GROUP_ROUTE}/{self.full_type}/{{name}}" + (f"/{name}" if verb is Verb.ACTION else "")
            action = _action(f"{self.full_type}/{suffix}", method, path, handler, resolved, **policies)
            declared = ArmVerb(
                verb=verb, handler=handler, action=action, headers=resolved, replaces=replaces, also_hold=also_hold
            )
            self.verbs.append(declared)
            return declared

        return declare

    def _check(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise DeclarationError(f"{self.where}: write the namespace as 'Company.Service'")
        if not _WORD.fullmatch(self.type) or self.type.lower() == "locations":
            raise DeclarationError(f"{self.where}: the type is one word such as 'shelves', and not 'locations'")
        if not self.api_versions or not all(_VERSION.fullmatch(version) for version in self.api_versions):
            raise DeclarationError(f"{self.where}: api_versions needs dates such as '2026-01-01'")
        check_model(self.properties, self.where)
        for name, field in self.properties.model_fields.items():
            if field.is_required():
                raise DeclarationError(f"{self.where}: the property {name!r} is required; give it a default")
            if PROVISIONING_STATE in (name, field.alias):
                raise DeclarationError(f"{self.where}: {PROVISIONING_STATE} is set by the provider; do not declare it")


def _action(
    name: str,
    method: str,
    route: str,
    handler: Handler,
    headers: LroHeaders,
    *,
    timeout: Duration = "5m",
    retry: Retry = NO_RETRY,
    keep: Duration = "24h",
) -> Action:
    """The verb as an action like any other: dispatched, retried, timed and kept by the same code."""
    if headers.retry_after < 1:
        raise DeclarationError(f"{handler.where}: retry_after is {headers.retry_after}; it is at least 1 second")
    return Action(
        name=name,
        handler=adapt(handler),
        method=method,
        route=route,
        input_model=input_model_of(handler),
        output=handler.adapter,
        timeout=duration(timeout, what=f"timeout of {handler.where}"),
        retry=retry,
        keep=duration(keep, what=f"keep of {handler.where}"),
        retry_after=headers.retry_after,
        where=handler.where,
    )


def monitor_endpoints(namespace: str, where: str) -> list[Endpoint]:
    """The operation monitors that the resources of one namespace share.

    They lie below the subscription, not below the resource: they outlive it (ARM RPC, "Azure-AsyncOperation Resource
    format").
    """
    prefix = function_name(namespace)
    base = f"{SUBSCRIPTION_ROUTE}/{namespace}/locations/{{location}}"
    status = f"{base}/operationStatuses/{{operationId}}"
    return [
        Endpoint(f"{prefix}_operationStatuses", ("GET",), status, where),
        Endpoint(f"{prefix}_operationStatuses_cancel", ("POST",), f"{status}/cancel", where),
        Endpoint(f"{prefix}_operationResults", ("GET",), f"{base}/operationResults/{{operationId}}", where),
    ]
