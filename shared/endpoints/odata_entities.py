"""Entity sets: reading collections and entities, and changing them (OData Protocol 4.01, sections 11.2 and 11.4)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

from shared.actions.entities import Create, EntityChange, EntityStore, Remove, Stored, Update
from shared.actions.odata import EntitySet
from shared.composition import now
from shared.contracts import bodies
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import collections, media, payloads, reading_bodies
from shared.contracts.odata.etags import etag_header, parse_etags
from shared.contracts.odata.query import Resource, parse_query
from shared.contracts.odata.targets import Kind, Target
from shared.contracts.odata.urls import entity_url, service_root
from shared.contracts.preferences import preferences
from shared.endpoints.odata_caller import Caller
from shared.errors import RequestError


class Entities:
    """Reads go to the source and nowhere else: no engine, no operation."""

    def __init__(self, *, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes

    async def serve(self, request: Request, target: Target, caller: Caller) -> Response:
        """A request for a set, its count, or one of its entities."""
        entity_set = target.entity_set
        assert entity_set is not None, "the target is a set or of one"
        if target.kind is Kind.COUNT:
            return await self._count(request, entity_set)
        if request.method != "GET":
            return await self._write(request, target, entity_set, caller)
        if target.kind is Kind.SET:
            return await self._collection(request, entity_set, caller)
        return await self._entity(request, entity_set, target.key or "", caller)

    def change(self, request: Request, target: Target) -> EntityChange:
        """What a write asks for. Raises RequestError 400 or 415 for a body that does not fit."""
        entity_set, key = target.entity_set, target.key or ""
        assert entity_set is not None, "only what is of a set is changed"
        tags = parse_etags(request.headers.get("if-match"))
        if_match = None if tags == "*" else tags
        if request.method == "DELETE":
            return Remove(key, if_match)
        ieee754 = media.check_json_body(request)
        body = bodies.read_json_object(request, limit=self._max_body_bytes)
        if target.kind is Kind.SET:
            return Create(reading_bodies.read_entity(entity_set, body, ieee754=ieee754))
        return Update(key, reading_bodies.read_changes(entity_set, body, ieee754=ieee754), if_match)

    def written(self, request: Request, target: Target, stored: Stored | None, caller: Caller) -> Response:
        """The answer to a write that was done (section 8.2.8.7 "Preference return")."""
        if stored is None:
            return Response(status=204)
        entity_set, created = target.entity_set, target.kind is Kind.SET
        assert entity_set is not None, "only what is of a set is changed"
        wanted = preferences(request).get("return", "")
        applied = {"Preference-Applied": f"return={wanted}"} if wanted in ("minimal", "representation") else {}
        assert entity_set.type.key is not None, "an entity type has a key"
        url = entity_url(caller.base, entity_set, getattr(stored.entity, entity_set.type.key.field))
        headers = {**_etag(stored), "Vary": "Prefer", **applied}
        if created:
            headers["Location"] = url
        if wanted == "minimal" or (not created and wanted != "representation"):
            return Response(status=204, headers={**headers, "OData-EntityId": url})
        representation = media.json_representation(request, request.query)
        body = payloads.entity(stored, entity_set, base=caller.base, representation=representation)
        return _json(201 if created else 200, body, representation, headers)

    async def write(
        self, entity_set: EntitySet, changes: Sequence[EntityChange], *, by: str
    ) -> Sequence[Stored | None]:
        """All changes or none."""
        return await cast(EntityStore, entity_set.source()).write(changes, by=by)

    async def _write(self, request: Request, target: Target, entity_set: EntitySet, caller: Caller) -> Response:
        media.json_representation(request, request.query)
        change = self.change(request, target)
        [stored] = await self.write(entity_set, [change], by=caller.run)
        return self.written(request, target, stored, caller)

    async def _count(self, request: Request, entity_set: EntitySet) -> Response:
        wanted = parse_query(request.query, entity_set.type, resource=Resource.COUNT, now=now())
        count = await collections.count_entities(entity_set.source(), wanted)
        return Response(status=200, body=str(count).encode(), content_type="text/plain")

    async def _collection(self, request: Request, entity_set: EntitySet, caller: Caller) -> Response:
        representation = media.json_representation(request, request.query)
        wanted = parse_query(request.query, entity_set.type, preferences=preferences(request), now=now())
        page = await collections.read_page(entity_set.source(), wanted)
        link = f"{service_root(caller.base)}/{entity_set.name}?{urlencode(page.next)}" if page.next else None
        body = payloads.collection(
            page.entities,
            entity_set,
            base=caller.base,
            representation=representation,
            select=wanted.select,
            count=page.count,
            next_link=link,
        )
        size = wanted.applied_page_size
        headers = {"Preference-Applied": f"maxpagesize={size}"} if size is not None else {}
        return _json(200, body, representation, {"Vary": "Prefer", **headers})

    async def _entity(self, request: Request, entity_set: EntitySet, key: str, caller: Caller) -> Response:
        representation = media.json_representation(request, request.query)
        wanted = parse_query(request.query, entity_set.type, resource=Resource.ENTITY)
        stored = await entity_set.source().get(key)
        if stored is None:
            message = f"There is no entity of {entity_set.name} with this key."
            raise RequestError(404, "ResourceNotFound", message, target=entity_set.name)
        headers = _etag(stored)
        known = parse_etags(request.headers.get("if-none-match"))
        if known == "*" or (known is not None and stored.etag in known):
            return Response(status=304, headers=headers)
        body = payloads.entity(
            stored, entity_set, base=caller.base, representation=representation, select=wanted.select
        )
        return _json(200, body, representation, headers)


def _etag(stored: Stored) -> dict[str, str]:
    tag = etag_header(stored)
    return {"ETag": tag} if tag else {}


def _json(status: int, body: dict[str, Any], representation: media.Representation, headers: dict[str, str]) -> Response:
    return replace(json_response(status, body, headers), content_type=media.content_type(representation))
