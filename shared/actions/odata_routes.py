"""The HTTP functions of an OData service: one per set, operation, and resource of the protocol."""

from enum import StrEnum

from shared.actions.routes import Endpoint

ROOT = "odata"
"""The path of the service root."""

MONITOR_ROUTE = f"{ROOT}/$async/{{operation_id}}"
CANCELLATION_ROUTE = f"{MONITOR_ROUTE}/cancellation"


class Binding(StrEnum):
    """What an operation is called on."""

    NONE = "none"
    """The service: an unbound operation, called by its import."""
    ENTITY = "entity"
    COLLECTION = "collection"


def service_endpoints(where: str) -> list[Endpoint]:
    """What every service has."""
    return [
        Endpoint("odata", ("GET",), ROOT, where),
        Endpoint("odata_metadata", ("GET",), f"{ROOT}/$metadata", where),
        Endpoint("odata_batch", ("POST",), f"{ROOT}/$batch", where),
        Endpoint("odata_async", ("GET", "DELETE"), MONITOR_ROUTE, where),
        Endpoint("odata_async_cancellation", ("GET",), CANCELLATION_ROUTE, where),
    ]


def set_endpoints(name: str, where: str, *, writable: bool) -> list[Endpoint]:
    """A set, its count, and its entities."""
    base = f"{ROOT}/{name}"
    one, many = (("GET", "PATCH", "DELETE"), ("GET", "POST")) if writable else (("GET",), ("GET",))
    return [
        Endpoint(f"odata_{name}", many, base, where),
        Endpoint(f"odata_{name}_count", ("GET",), f"{base}/$count", where),
        Endpoint(f"odata_{name}_entity", one, f"{base}({{key}})", where),
    ]


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
        return [Endpoint(function, ("GET",), f"{path}({{arguments}})", where) for function, path in routes.items()]
    with_parentheses = [Endpoint(function, ("GET",), f"{path}()", where) for function, path in routes.items()]
    return with_parentheses + [Endpoint(f"{function}_call", ("GET",), path, where) for function, path in routes.items()]
