"""Entities, collections and results of operations as JSON answers.

OData JSON Format 4.01, sections 4.5, 6, 11, 13, 16, 17; OData Protocol 4.01, section 10 "Context URL". Control
information has the prefix `odata.`, which readers of 4.0 need and readers of 4.01 take.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.actions.odata.edm import TypeRef
from shared.actions.odata.entities import Stored
from shared.actions.odata.routes import Binding
from shared.actions.odata.service import EntitySet, ODataOperation, ODataService
from shared.contracts.odata.etags import etag_header
from shared.contracts.odata.media import Representation
from shared.contracts.odata.urls import context_url, entity_url, service_root
from shared.contracts.odata.values import selection_of, shown_type, write_structure, write_value
from shared.frozen import frozen


def entity(
    stored: Stored,
    entity_set: EntitySet,
    *,
    base: str,
    representation: Representation,
    select: Sequence[str] | None = None,
) -> dict[str, Any]:
    """One entity as an answer. `base` is the public address of the app; `select` holds property paths, None for all."""
    form = _Form(base, representation, select)
    return form.context(entity_set.name, single=True) | form.stored(stored, entity_set)


def collection(
    entities: Sequence[Stored],
    entity_set: EntitySet,
    *,
    base: str,
    representation: Representation,
    select: Sequence[str] | None = None,
    count: int | None = None,
    next_link: str | None = None,
) -> dict[str, Any]:
    """A page of entities. `count` is that of all pages; `next_link` is absolute (sections 4.5.5 and 4.5.6)."""
    form = _Form(base, representation, select)
    body = form.context(entity_set.name)
    if count is not None:
        body["@odata.count"] = str(count) if representation.ieee754 else count
    body |= form.advertised(entity_set, Binding.COLLECTION, f"{service_root(base)}/{entity_set.name}")
    body["value"] = [form.stored(stored, entity_set) for stored in entities]
    if next_link is not None:
        body["@odata.nextLink"] = next_link
    return body


def operation_result(
    service: ODataService, operation: ODataOperation, value: Any, *, base: str, representation: Representation
) -> dict[str, Any] | None:
    """What an action or a function returned, from its stored JSON; None is to be answered with 204.

    An entity type belongs to one set, so that an entity is answered as one of that set (Protocol, section 10.17). It
    has no ETag: the result was stored, and the entity may have changed since.
    """
    type = operation.returns
    if type is None or value is None:
        return None
    form = _Form(base, representation, None)
    entity_set = set_of(service, type)
    if entity_set is not None and not type.is_collection:
        return form.context(entity_set.name, single=True) | form.entity(value, None, entity_set)
    if entity_set is not None:
        return form.context(entity_set.name) | {"value": [form.entity(item, None, entity_set) for item in value]}
    body = form.context(str(type))
    if type.structured is not None and not type.is_collection:
        return body | write_structure(value, type.structured, representation)
    if representation.metadata == "full" and (type_name := shown_type(value, type)):
        body["@odata.type"] = type_name
    return body | {"value": write_value(value, type, representation)}


def set_of(service: ODataService, type: TypeRef | None) -> EntitySet | None:
    """The set whose entities are of this type; None for types without a key."""
    if type is None or type.structured is None or type.structured.key is None:
        return None
    return next(found for found in service.entity_sets.values() if found.type is type.structured)


@frozen
class _Form:
    """How the entities of one answer are written."""

    base: str
    representation: Representation
    select: Sequence[str] | None

    @property
    def is_full(self) -> bool:
        return self.representation.metadata == "full"

    def context(self, fragment: str, *, single: bool = False) -> dict[str, Any]:
        if self.representation.metadata == "none":
            return {}
        return {"@odata.context": context_url(self.base, fragment, select=self.select, single=single)}

    def stored(self, stored: Stored, entity_set: EntitySet) -> dict[str, Any]:
        content = stored.entity.model_dump(mode="json", by_alias=True)
        return self.entity(content, etag_header(stored), entity_set)

    def entity(self, content: Mapping[str, Any], etag: str | None, entity_set: EntitySet) -> dict[str, Any]:
        """Control information first, in the order of section 4.4, so that every reader can stream."""
        url = entity_url(self.base, entity_set, content[entity_set.key.name]) if self.is_full else ""
        shown: dict[str, Any] = {}
        if self.is_full:
            shown = {"@odata.type": f"#{entity_set.type.qualified}", "@odata.id": url}
        if etag and self.representation.metadata != "none":
            shown["@odata.etag"] = etag
        if self.is_full and entity_set.is_deletable:
            shown["@odata.editLink"] = url
        selection = selection_of(self.select)
        shown |= write_structure(content, entity_set.type, self.representation, selection, typed=False)
        return shown | self.advertised(entity_set, Binding.ENTITY, url)

    def advertised(self, entity_set: EntitySet, binding: Binding, url: str) -> dict[str, Any]:
        """What can be called on the entity or the collection at `url` (sections 16 and 17)."""
        shown: dict[str, Any] = {}
        if not self.is_full or self.select is not None:
            return shown
        for operation in entity_set.service.operations:
            if operation.entity_set is entity_set and operation.binding is binding:
                names = [] if operation.is_action else list(operation.parameters)
                arguments = f"({','.join(f'{name}=@{name}' for name in names)})" if names else ""
                target = f"{url}/{operation.qualified}{arguments}"
                shown[f"#{operation.qualified}"] = {"title": operation.name, "target": target}
        return shown
