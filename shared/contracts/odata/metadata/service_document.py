"""The service document (OData JSON Format 4.01, section 5): what a client can start from."""

from typing import Any

from shared.actions.odata.routes import Binding
from shared.actions.odata.service import ODataOperation, ODataService
from shared.contracts.odata.media import Representation
from shared.contracts.odata.urls import context_url, service_root


def service_document(service: ODataService, *, base: str, representation: Representation) -> dict[str, Any]:
    """The entity sets, and the function imports without parameters.

    Their URLs are relative to the context URL; with `metadata=none`, which has none, they are absolute.
    """
    has_context = representation.metadata != "none"
    root = "" if has_context else f"{service_root(base)}/"
    sets = [{"name": name, "kind": "EntitySet", "url": f"{root}{name}"} for name in service.entity_sets]
    imports = [
        {"name": operation.name, "kind": "FunctionImport", "url": f"{root}{operation.name}"}
        for operation in service.operations
        if is_in_service_document(operation)
    ]
    context = {"@odata.context": context_url(base)} if has_context else {}
    return {**context, "value": [*sets, *imports]}


def is_in_service_document(operation: ODataOperation) -> bool:
    """Whether a GET of the operation's name alone calls it."""
    return operation.binding is Binding.NONE and not operation.is_action and not operation.parameters
