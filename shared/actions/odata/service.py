"""Declaring an OData service: entity sets, actions and functions.

library = ODataService("Library")
books = library.entity_set("Books", Book, key="id", source=lambda context: BookEntities(context.storage))

@library.action("GenerateReport", timeout="90s", undoable=True)
async def generate_report(context: ActionContext, request: ReportRequest) -> Report: ...

@books.action("Export")                       # POST Books('{id}')/Library.Export
async def export(context: ActionContext, request: ExportBook) -> ExportResult: ...

OData Protocol 4.01, sections 11.5 "Operations" and 11.6 "Asynchronous Requests".
"""

import re
from collections.abc import Callable
from typing import Any, Unpack, cast

from pydantic import BaseModel

from shared.actions.attempt_context import ActionContext
from shared.actions.context import Context, RequestContext
from shared.actions.declaration import Action, Read
from shared.actions.hooks import factory
from shared.actions.odata import routes as odata_routes
from shared.actions.odata.edm import Property, StructuredType, TypeRef, Types
from shared.actions.odata.entities import EntitySource, EntityStore
from shared.actions.odata.routes import Binding, SetEndpoints, SetMethods
from shared.actions.parameters import MODEL, TRUTH, Rule, checked, decorator, is_text, matches, takes
from shared.actions.policies import DEFAULT_MAX_LOST, POLLING_RULES, PollingPolicies
from shared.actions.profiles import ServiceDeclaration
from shared.actions.routes import Endpoint
from shared.actions.signatures import read_signature
from shared.errors import DeclarationError
from shared.frozen import frozen

CONTAINER = "Container"
"""The name of the service's one entity container."""

_NAMESPACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED_NAMESPACES = frozenset({"edm", "odata", "system", "transient"})
_SHORTER = PollingPolicies(timeout="1m")
"""Unless declared otherwise: clients wait for most actions of OData inside their request."""


_NAMESPACE_NAME = Rule(
    "the namespace of an OData service",
    ('"Library"',),
    lambda value: matches(value, _NAMESPACE) and value.lower() not in _RESERVED_NAMESPACES,
)
_OPERATION_NAME = Rule("an identifier", ('"GenerateReport"',), lambda value: matches(value, _NAME))
_SET_NAME = Rule("an identifier", ('"Books"',), lambda value: matches(value, _NAME))
_KEY = Rule("the name of a field", ('"id"',), is_text)
_SOURCE = Rule(
    "a function of a context, or of nothing, that makes what is read",
    ("lambda context: BookEntities(context.storage)",),
    lambda value: takes(value, 0) or takes(value, 1),
)

Declare = Callable[[Callable[..., Any] | Action], Action]
"""What is put on a handler, or on top of an `@action`."""


@frozen(kw_only=True, eq=False)
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
        self,
        service: "ODataService",
        name: str,
        type: StructuredType,
        source: Callable[..., EntitySource],
        where: str,
        *,
        searchable: bool,
    ) -> None:
        self.service = service
        self.name = name
        self.type = type
        self.source: Callable[[Context], EntitySource] = factory(source)
        """Makes the source for a request."""
        self.where = where
        self.is_deletable = False
        """Whether its entities take DELETE."""
        self.is_writable = False
        """Whether it takes POST, PATCH and DELETE."""
        self.is_searchable = searchable
        """Whether it takes `$search`: its source is a SearchableSource."""
        assert type.key is not None, "an entity type has a key"
        self.key = type.key

    @property
    def methods(self) -> SetMethods:
        """What it and its entities take."""
        return SetMethods.of(writable=self.is_writable, deletable=self.is_deletable)

    @property
    def endpoints(self) -> SetEndpoints:
        """The HTTP functions of it and of its entities."""
        return odata_routes.set_endpoints(self.name, self.where, self.methods)

    @decorator(name=_OPERATION_NAME, undoable=TRUTH, **POLLING_RULES)
    def action(self, name: str, *, undoable: bool = False, **policies: Unpack[PollingPolicies]) -> Declare:
        """`POST {set}('{key}')/{namespace}.{name}`; the key is a field of the input model."""
        return self.service.declare_action(name, Binding.ENTITY, self, undoable, policies)

    @decorator(name=_OPERATION_NAME, undoable=TRUTH, **POLLING_RULES)
    def collection_action(self, name: str, *, undoable: bool = False, **policies: Unpack[PollingPolicies]) -> Declare:
        """`POST {set}/{namespace}.{name}`."""
        return self.service.declare_action(name, Binding.COLLECTION, self, undoable, policies)

    @decorator(name=_OPERATION_NAME)
    def function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {set}('{key}')/{namespace}.{name}(...)`: an async function `(context, input) -> output`."""
        return self.service.declare_function(name, Binding.ENTITY, self)

    @decorator(name=_OPERATION_NAME)
    def collection_function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {set}/{namespace}.{name}(...)`."""
        return self.service.declare_function(name, Binding.COLLECTION, self)


class ODataService(ServiceDeclaration):
    """The OData service of the app, at `/odata`."""

    @checked(namespace=_NAMESPACE_NAME)
    def __init__(self, namespace: str) -> None:
        """`namespace` qualifies every type and operation. Raises DeclarationError."""
        self.namespace = namespace
        self.types = Types(namespace)
        self.entity_sets: dict[str, EntitySet] = {}
        self.operations: list[ODataOperation] = []
        self.where = f"OData service {namespace}"

    @checked(name=_SET_NAME, model=MODEL, key=_KEY, source=_SOURCE, searchable=TRUTH)
    def entity_set(
        self,
        name: str,
        model: type[BaseModel],
        *,
        key: str,
        source: Callable[..., EntitySource],
        searchable: bool = False,
    ) -> EntitySet:
        """A set to read. `key` is a str field of `model`; `source([context])` makes what it reads.

        One that is `searchable` takes `$search`, and its source is a `SearchableSource`. Raises DeclarationError.
        """
        where = f"{model.__module__}: {name}"
        if self._is_taken(name):
            raise DeclarationError(f"{where}: the name {name!r} is taken; choose another one")
        entity_set = EntitySet(self, name, self.types.entity(model, key, where), source, where, searchable=searchable)
        self._check_names(where)
        self.entity_sets[name] = entity_set
        return entity_set

    @checked(name=_SET_NAME, model=MODEL, key=_KEY, source=_SOURCE, searchable=TRUTH)
    def writable_entity_set(
        self,
        name: str,
        model: type[BaseModel],
        *,
        key: str,
        source: Callable[..., EntityStore],
        searchable: bool = False,
    ) -> EntitySet:
        """A set that also takes POST, PATCH and DELETE."""
        entity_set = self.entity_set(name, model, key=key, source=source, searchable=searchable)
        entity_set.is_writable = entity_set.is_deletable = True
        return entity_set

    @checked(name=_SET_NAME, model=MODEL, key=_KEY, source=_SOURCE, searchable=TRUTH)
    def deletable_entity_set(
        self,
        name: str,
        model: type[BaseModel],
        *,
        key: str,
        source: Callable[..., EntityStore],
        searchable: bool = False,
    ) -> EntitySet:
        """A set that also takes DELETE; its source is given no other change than Remove."""
        entity_set = self.entity_set(name, model, key=key, source=source, searchable=searchable)
        entity_set.is_deletable = True
        return entity_set

    @decorator(name=_OPERATION_NAME, undoable=TRUTH, **POLLING_RULES)
    def action(self, name: str, *, undoable: bool = False, **policies: Unpack[PollingPolicies]) -> Declare:
        """`POST {name}` and `POST {namespace}.{name}`, bound to nothing.

        Put on top of an `@action` it gives the same handler a second way to be started. `policies` are those of
        `@action`: timeout, retry, keep, retry_after; where they are left out, those of the action below count.
        """
        return self.declare_action(name, Binding.NONE, None, undoable, policies)

    @decorator(name=_OPERATION_NAME)
    def function(self, name: str) -> Callable[[Callable[..., Any]], Read]:
        """`GET {name}(...)` and `GET {namespace}.{name}(...)`, bound to nothing."""
        return self.declare_function(name, Binding.NONE, None)

    def declare_action(
        self, name: str, binding: Binding, entity_set: EntitySet | None, undoable: bool, policies: PollingPolicies
    ) -> Declare:
        def declare(handler: Callable[..., Any] | Action) -> Action:
            below = handler if isinstance(handler, Action) else None
            signature = read_signature(below.handler if below else cast(Callable[..., Any], handler), ActionContext)
            declared: PollingPolicies = {**(_policies_of(below) if below else _SHORTER), **policies}
            route = self._route(name, binding, entity_set)
            action = Action.declared(f"{self.namespace}.{name}", signature, method="POST", route=route, **declared)
            if below is not None:
                action.preconditions = below.preconditions
                action.removal_hooks = below.removal_hooks
            self._add_operation(name, binding, entity_set, action, returns=signature.returns, undoable=undoable)
            return below or action

        return declare

    def declare_function(
        self, name: str, binding: Binding, entity_set: EntitySet | None
    ) -> Callable[[Callable[..., Any]], Read]:
        def declare(handler: Callable[..., Any]) -> Read:
            signature = read_signature(handler, RequestContext)
            route = self._route(name, binding, entity_set)
            declared = Read.declared(f"{self.namespace}.{name}", signature, route=route)
            self._add_operation(name, binding, entity_set, declared, returns=signature.returns)
            return declared

        return declare

    def _route(self, name: str, binding: Binding, entity_set: EntitySet | None) -> str:
        return odata_routes.operation_route(self.namespace, name, binding, entity_set.name if entity_set else None)

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
        found = list[Endpoint](odata_routes.service_endpoints(self.where))
        for entity_set in self.entity_sets.values():
            found += entity_set.endpoints
        for operation in self.operations:
            found += operation.endpoints()
        return found

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
        bound = entity_set if binding is Binding.ENTITY else None
        if bound is not None and parameters.pop(bound.key.name, None) is None:
            raise DeclarationError(f"{where}: the input model needs the key of {bound.name}, {bound.key.field!r}")
        if isinstance(declared, Read) and any(p.type.structured or p.type.is_collection for p in parameters.values()):
            raise DeclarationError(f"{where}: the parameters of a function are plain values; use an action")
        reference = None if returns is None else self.types.reference(returns, where)
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


def _policies_of(action: Action) -> PollingPolicies:
    policies = PollingPolicies(timeout=action.timeout, retry=action.retry, keep=action.keep)
    if action.has_fixed_pace:
        policies["retry_after"] = action.retry_after
    if action.expected_duration is not None:
        policies["expected_duration"] = action.expected_duration
    if action.deadline is not None:
        policies["deadline"] = action.deadline
    if action.at_most_once:
        policies["at_most_once"] = True
    elif action.max_lost != DEFAULT_MAX_LOST:
        policies["max_lost"] = action.max_lost
    if action.in_process:
        policies["isolation"], policies["grace"] = action.isolation, action.grace
    return policies
