"""Declaring an OData service: entity sets, actions and functions.

library = ODataService("Library")
books = library.entity_set("Books", Book, key="id", source=lambda: BookEntities(storage()))

@library.action("GenerateReport", timeout="90s", undoable=True)
async def generate_report(context: ActionContext, request: ReportRequest) -> Report: ...

@books.action("Export")                       # POST Books('{id}')/Library.Export
async def export(context: ActionContext, request: ExportBook) -> ExportResult: ...

OData Protocol 4.01, sections 11.5 "Operations" and 11.6 "Asynchronous Requests".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from shared.actions import odata_routes
from shared.actions.context import ActionContext, ReadContext
from shared.actions.declaration import Action, Read, at_least_a_second
from shared.actions.edm import Property, StructuredType, TypeRef, Types
from shared.actions.entities import EntitySource, EntityStore
from shared.actions.odata_routes import Binding
from shared.actions.policies import NO_RETRY, Duration, Retry, duration
from shared.actions.routes import Endpoint
from shared.actions.signatures import read_signature
from shared.errors import DeclarationError

CONTAINER = "Container"
"""The name of the service's one entity container."""

_NAMESPACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_POLICIES = ("timeout", "retry", "keep", "retry_after")
_RESERVED_NAMESPACES = frozenset({"edm", "odata", "system", "transient"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ODataOperation:
    """An action or a function as `$metadata` shows it."""

    name: str
    namespace: str
    binding: Binding
    entity_set: "EntitySet | None"
    """The set it is bound to."""
    declared: Action | Read
    """What runs: an Action as an operation of its own, a function as a Read."""
    undoable: bool
    """Whether a canceled one leaves no observable change, so that its monitor takes DELETE."""
    parameters: dict[str, Property]
    """By their names on the wire; the binding parameter is not among them."""
    returns: TypeRef | None

    @property
    def qualified(self) -> str:
        return f"{self.namespace}.{self.name}"

    @property
    def is_action(self) -> bool:
        return isinstance(self.declared, Action)

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that call it."""
        return odata_routes.operation_endpoints(
            self.name,
            self.namespace,
            entity_set=self.entity_set.name if self.entity_set else None,
            route=self.declared.route,
            where=self.declared.where,
            arguments=None if self.is_action else bool(self.parameters),
        )


class EntitySet:
    """One entity set; its decorators declare what is bound to it."""

    def __init__(
        self, service: "ODataService", name: str, type: StructuredType, source: Callable[[], EntitySource], where: str
    ) -> None:
        self.service = service
        self.name = name
        self.type = type
        self.source = source
        """Makes the source when it is first needed."""
        self.where = where
        self.is_writable = False

    def action(
        self, name: str, *, undoable: bool = False, **policies: Any
    ) -> Callable[[Callable[..., Any] | Action], Action]:
        """`POST {set}('{key}')/{namespace}.{name}`; the key is a field of the input model."""
        return self.service.declare_action(name, Binding.ENTITY, self, undoable, policies)

    def collection_action(
        self, name: str, *, undoable: bool = False, **policies: Any
    ) -> Callable[[Callable[..., Any] | Action], Action]:
        """`POST {set}/{namespace}.{name}`."""
        return self.service.declare_action(name, Binding.COLLECTION, self, undoable, policies)

    def function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {set}('{key}')/{namespace}.{name}(...)`: an async function `(context, input) -> output`."""
        return self.service.declare_function(name, Binding.ENTITY, self)

    def collection_function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {set}/{namespace}.{name}(...)`."""
        return self.service.declare_function(name, Binding.COLLECTION, self)


class ODataService:
    """The OData service of the app, at `/odata`."""

    def __init__(self, namespace: str) -> None:
        """`namespace` qualifies every type and operation. Raises DeclarationError."""
        if not _NAMESPACE.fullmatch(namespace) or namespace.lower() in _RESERVED_NAMESPACES:
            raise DeclarationError(f"the OData namespace {namespace!r} does not fit; write a word such as 'Library'")
        self.namespace = namespace
        self.types = Types(namespace)
        self.entity_sets: dict[str, EntitySet] = {}
        self.operations: list[ODataOperation] = []
        self.where = f"OData service {namespace}"

    def entity_set(
        self, name: str, model: type[BaseModel], *, key: str, source: Callable[[], EntitySource]
    ) -> EntitySet:
        """A set to read. `key` is a str field of `model`; `source` makes what it reads. Raises DeclarationError."""
        return self._add_set(name, model, key, source)

    def writable_entity_set(
        self, name: str, model: type[BaseModel], *, key: str, source: Callable[[], EntityStore]
    ) -> EntitySet:
        """A set that also takes POST, PATCH and DELETE."""
        entity_set = self._add_set(name, model, key, source)
        entity_set.is_writable = True
        return entity_set

    def action(
        self, name: str, *, undoable: bool = False, **policies: Any
    ) -> Callable[[Callable[..., Any] | Action], Action]:
        """`POST {name}` and `POST {namespace}.{name}`, bound to nothing.

        Put on top of an `@action` it gives the same handler a second way to be started. `policies` are those of
        `@action`: timeout, retry, keep, retry_after; where they are left out, those of the action below count.
        """
        return self.declare_action(name, Binding.NONE, None, undoable, policies)

    def function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {name}(...)` and `GET {namespace}.{name}(...)`, bound to nothing."""
        return self.declare_function(name, Binding.NONE, None)

    def declare_action(
        self, name: str, binding: Binding, entity_set: EntitySet | None, undoable: bool, policies: dict[str, Any]
    ) -> Callable[[Callable[..., Any] | Action], Action]:
        def declare(handler: Callable[..., Any] | Action) -> Action:
            below = handler if isinstance(handler, Action) else None
            function = below.handler if below else handler
            inherited = {policy: getattr(below, policy) for policy in _POLICIES} if below else {}
            signature = read_signature(function, ActionContext)
            action = _action(
                f"{self.namespace}.{name}",
                route=odata_routes.operation_route(
                    self.namespace, name, binding, entity_set.name if entity_set else None
                ),
                handler=function,
                input_model=signature.input_model,
                output=signature.output,
                where=signature.where,
                **{**inherited, **policies},
            )
            if below is not None:
                action.preconditions = below.preconditions
            self._add_operation(name, binding, entity_set, action, returns=signature.returns, undoable=undoable)
            return below or action

        return declare

    def declare_function(
        self, name: str, binding: Binding, entity_set: EntitySet | None
    ) -> Callable[[Callable[..., Any]], Read]:
        def declare(handler: Callable[..., Any]) -> Read:
            signature = read_signature(handler, ReadContext)
            if signature.output is None:
                raise DeclarationError(f"{signature.where}: a function returns something; annotate what")
            declared = Read(
                name=f"{self.namespace}.{name}",
                handler=handler,
                route=odata_routes.operation_route(
                    self.namespace, name, binding, entity_set.name if entity_set else None
                ),
                input_model=signature.input_model,
                output=signature.output,
                where=signature.where,
            )
            self._add_operation(name, binding, entity_set, declared, returns=signature.returns)
            return declared

        return declare

    @property
    def actions(self) -> list[Action]:
        """Every action as what runs."""
        return [operation.declared for operation in self.operations if isinstance(operation.declared, Action)]

    def find(self, qualified: str, entity_set: EntitySet | None, binding: Binding) -> ODataOperation | None:
        """The operation of this qualified name bound in this way."""
        for operation in self.operations:
            if (operation.qualified, operation.binding, operation.entity_set) == (qualified, binding, entity_set):
                return operation
        return None

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions of the service. Their routes overlap nowhere, so their order does not matter."""
        found = odata_routes.service_endpoints(self.where)
        for entity_set in self.entity_sets.values():
            found += odata_routes.set_endpoints(entity_set.name, entity_set.where, writable=entity_set.is_writable)
        for operation in self.operations:
            found += operation.endpoints()
        return found

    def _add_set(self, name: str, model: type[BaseModel], key: str, source: Callable[[], EntitySource]) -> EntitySet:
        where = f"{model.__module__}: {name}"
        if not _NAME.fullmatch(name) or self._is_taken(name):
            raise DeclarationError(f"{where}: the name {name!r} is taken, or is no identifier such as 'Books'")
        entity_set = EntitySet(self, name, self.types.entity(model, key, where), source, where)
        self._check_names(where)
        self.entity_sets[name] = entity_set
        return entity_set

    def _add_operation(
        self,
        name: str,
        binding: Binding,
        entity_set: EntitySet | None,
        declared: Action | Read,
        *,
        returns: Any,
        undoable: bool = False,
    ) -> None:
        where = declared.where
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"{where}: the name {name!r} is no identifier such as 'GenerateReport'")
        for other in self.operations:
            if other.name.lower() == name.lower() and (other.binding, other.entity_set) == (binding, entity_set):
                raise DeclarationError(f"{other.declared.where} and {where} are both called {name!r}; rename one")
        if any(other.declared.name == declared.name for other in self.operations):
            # A record says the name alone: what differs in its binding only could not be told apart.
            raise DeclarationError(f"{where}: another operation is called {declared.name!r}; rename one")
        if binding is Binding.NONE and self._is_taken(name):
            raise DeclarationError(f"{where}: the name {name!r} is taken by an entity set")
        model = declared.input_model
        parameters = self.types.properties(model, where) if model else {}
        if binding is Binding.ENTITY and entity_set is not None and entity_set.type.key is not None:
            key = parameters.pop(entity_set.type.key.name, None)
            if key is None:
                raise DeclarationError(
                    f"{where}: the input model needs the key of {entity_set.name}, {entity_set.type.key.field!r}"
                )
        if isinstance(declared, Read) and any(p.type.structured or p.type.is_collection for p in parameters.values()):
            raise DeclarationError(f"{where}: the parameters of a function are plain values; use an action")
        reference = None if returns in (None, type(None)) else self.types.reference(returns, where)
        self._check_names(where, name)
        self.operations.append(
            ODataOperation(
                name=name,
                namespace=self.namespace,
                binding=binding,
                entity_set=entity_set,
                declared=declared,
                undoable=undoable,
                parameters=parameters,
                returns=reference,
            )
        )

    def _check_names(self, where: str, *operations: str) -> None:
        """Types, operations and the container have one space of names (CSDL 4.01, section 5 "Schema")."""
        taken = {CONTAINER, *operations, *(operation.name for operation in self.operations)}
        for model, structured in self.types.all.items():
            if structured.name in taken:
                names = f"the model {model.__module__}.{model.__name__}"
                raise DeclarationError(f"{where}: {names} is called like an operation or the container; rename one")
        if CONTAINER in operations:
            raise DeclarationError(f"{where}: the entity container is called {CONTAINER!r}; rename the operation")

    def _is_taken(self, name: str) -> bool:
        imports = [operation.name for operation in self.operations if operation.binding is Binding.NONE]
        return name.lower() in {taken.lower() for taken in [*self.entity_sets, *imports]}


def _action(
    name: str,
    *,
    route: str,
    handler: Callable[..., Any],
    input_model: type[BaseModel] | None,
    output: TypeAdapter[Any] | None,
    where: str,
    timeout: Duration = "1m",
    retry: Retry = NO_RETRY,
    keep: Duration = "24h",
    retry_after: int = 1,
) -> Action:
    """The operation as an action like any other: dispatched, retried, timed and kept by the same code."""
    return Action(
        name=name,
        handler=handler,
        method="POST",
        route=route,
        input_model=input_model,
        output=output,
        timeout=duration(timeout, what=f"timeout of {where}"),
        retry=retry,
        keep=duration(keep, what=f"keep of {where}"),
        retry_after=at_least_a_second(retry_after, where),
        where=where,
    )
