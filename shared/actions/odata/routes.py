"""The HTTP functions of an OData service: one per set, operation, and resource of the protocol."""

from enum import StrEnum
from typing import NamedTuple

from shared.actions.routes import READ, Endpoint

ROOT = "odata"
"""The path of the service root."""

BATCH_ACTION = "odata:batch"
"""The action that operations of asynchronous batches are of. Stored: never renamed."""

MONITOR_ROUTE = f"{ROOT}/$async/{{operation_id}}"
CANCELLATION_ROUTE = f"{MONITOR_ROUTE}/cancellation"


class Binding(StrEnum):
    """What an operation is called on."""

    NONE = "none"
    """The service: an unbound operation, called by its import."""
    ENTITY = "entity"
    COLLECTION = "collection"


class ServiceEndpoints(NamedTuple):
    """What every service has."""

    document: Endpoint
    metadata: Endpoint
    batch: Endpoint
    monitor: Endpoint
    cancellation: Endpoint


class SetEndpoints(NamedTuple):
    """A set, the number of its entities, and each of them."""

    collection: Endpoint
    number: Endpoint
    entity: Endpoint


def service_endpoints(where: str) -> ServiceEndpoints:
    """The functions of the service itself."""
    return ServiceEndpoints(
        document=Endpoint("odata", READ, ROOT, where),
        metadata=Endpoint("odata_metadata", READ, f"{ROOT}/$metadata", where),
        batch=Endpoint("odata_batch", ("POST",), f"{ROOT}/$batch", where),
        monitor=Endpoint("odata_async", (*READ, "DELETE"), MONITOR_ROUTE, where),
        cancellation=Endpoint("odata_async_cancellation", READ, CANCELLATION_ROUTE, where),
    )


class SetMethods(NamedTuple):
    """The methods of a set, and of each of its entities."""

    many: tuple[str, ...]
    one: tuple[str, ...]

    @classmethod
    def of(cls, *, writable: bool, deletable: bool) -> "SetMethods":
        if writable:
            return cls((*READ, "POST"), (*READ, "PATCH", "DELETE"))
        return cls(READ, (*READ, "DELETE") if deletable else READ)


def set_endpoints(name: str, where: str, methods: SetMethods) -> SetEndpoints:
    """The functions of one entity set."""
    base = f"{ROOT}/{name}"
    return SetEndpoints(
        collection=Endpoint(f"odata_{name}", methods.many, base, where),
        number=Endpoint(f"odata_{name}_count", READ, f"{base}/$count", where),
        entity=Endpoint(f"odata_{name}_entity", methods.one, f"{base}({{key}})", where),
    )


def operation_route(namespace: str, name: str, binding: Binding, entity_set: str | None) -> str:
    """The route of an operation by its qualified name."""
    base = {Binding.NONE: ROOT, Binding.ENTITY: f"{ROOT}/{entity_set}({{key}})"}.get(binding, f"{ROOT}/{entity_set}")
    return f"{base}/{namespace}.{name}"


def operation_endpoints(
    name: str, namespace: str, *, entity_set: str | None, route: str, where: str, arguments: bool | None
) -> list[Endpoint]:
    """The functions that call an operation; `arguments` says whether a function has any, None for an action.

    An unbound operation has two URLs; a function without arguments may be called without parentheses (OData URL
    Conventions 4.01, section 4.5.3).
    """
    prefix = "odata" if entity_set is None else f"odata_{entity_set}"
    routes = {f"{prefix}_{name}": route}
    if entity_set is None:
        routes = {
            f"{prefix}_{name}": f"{ROOT}/{name}",
            f"{prefix}_{namespace.replace('.', '_')}_{name}": route,
        }
    if arguments is None:
        return [Endpoint(function, ("POST",), path, where) for function, path in routes.items()]
    if arguments:
        return [Endpoint(function, READ, f"{path}({{arguments}})", where) for function, path in routes.items()]
    with_parentheses = [Endpoint(function, READ, f"{path}()", where) for function, path in routes.items()]
    return with_parentheses + [Endpoint(f"{function}_call", READ, path, where) for function, path in routes.items()]
