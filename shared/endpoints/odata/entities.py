"""Entity sets, and changing what is in them (OData Protocol 4.01, section 11.4)."""

from collections.abc import Sequence
from typing import cast

from shared.actions.odata.entities import Create, EntityChange, EntityStore, Remove, Stored, Update
from shared.actions.odata.service import EntitySet
from shared.contracts import bodies
from shared.contracts.http import Request, Response
from shared.contracts.odata import media, payloads, reading_bodies
from shared.contracts.odata.etags import parse_etags
from shared.contracts.odata.targets import Kind, Target
from shared.contracts.odata.urls import entity_url
from shared.contracts.preferences import preferences
from shared.endpoints.odata.boundary import etag_of, json_answer
from shared.endpoints.odata.execution import Execution
from shared.errors import RequestError
from shared.operations.off_loop import off_loop


class Entities:
    """What is asked of sets and entities goes to their source and nowhere else: no engine, no operation."""

    def __init__(self, *, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes

    async def serve(self, request: Request, target: Target, execution: Execution) -> Response:
        """A request for a set, its count, or one of its entities."""
        if request.method == "GET":
            # What compiles expressions costs an app that serves no query nothing at its start.
            from shared.endpoints.odata.reads import read  # noqa: PLC0415

            return await read(request, target, execution)
        entity_set = target.entity_set
        assert entity_set is not None, "the target is a set or of one"
        return await self._write(request, target, entity_set, execution)

    def change(self, request: Request, target: Target) -> EntityChange:
        """What a write asks for, once all of it can be answered.

        Raises RequestError 400, 411 or 415 for a body that is missing or does not fit, 406 for an answer that is not
        had, 412 for If-None-Match.
        """
        media.odata_version(request)
        media.json_representation(request, request.query)
        entity_set, key = target.entity_set, target.key or ""
        assert entity_set is not None, "only what is of a set is changed"
        if target.kind is Kind.ENTITY and parse_etags(request.headers.get("if-none-match")) is not None:
            # It may forbid the change (RFC 9110, section 13.1.2), so that it cannot be passed over.
            message = "What is there is changed or deleted with If-Match; an entity that is not there is made by POST."
            raise RequestError(412, "PreconditionFailed", message, target="If-None-Match")
        tags = parse_etags(request.headers.get("if-match"))
        if_match = None if tags == "*" else tags
        if request.method == "DELETE":
            return Remove(key, if_match)
        bodies.check_arrived(request)
        if not request.body:
            raise RequestError(400, "BodyRequired", "Send the entity, or its changes, as a JSON object; {} is one.")
        ieee754 = media.check_json_body(request)
        body = bodies.read_json_object(request, limit=self._max_body_bytes)
        if target.kind is Kind.SET:
            return Create(reading_bodies.read_entity(entity_set, body, ieee754=ieee754))
        return Update(key, reading_bodies.read_changes(entity_set, body, ieee754=ieee754), if_match)

    def written(self, request: Request, target: Target, stored: Stored | None, execution: Execution) -> Response:
        """The answer to a write that was done (section 8.2.8.7 "Preference return")."""
        if stored is None:
            return Response(status=204)
        entity_set, created = target.entity_set, target.kind is Kind.SET
        assert entity_set is not None, "only what is of a set is changed"
        preference = preferences(request).get("return", "")
        applied = {"Preference-Applied": f"return={preference}"} if preference in ("minimal", "representation") else {}
        url = entity_url(execution.base, entity_set, getattr(stored.entity, entity_set.key.field))
        headers = {**etag_of(stored), "Vary": "Prefer", **applied}
        if created:
            headers["Location"] = url
        if preference == "minimal" or (not created and preference != "representation"):
            return Response(status=204, headers={**headers, "OData-EntityId": url})
        representation = media.json_representation(request, request.query)
        body = payloads.entity(stored, entity_set, base=execution.base, representation=representation)
        return json_answer(201 if created else 200, body, representation, headers)

    async def write(
        self, entity_set: EntitySet, changes: Sequence[EntityChange], execution: Execution
    ) -> Sequence[Stored | None]:
        """All changes or none."""
        return await cast(EntityStore, entity_set.source(execution.context)).write(changes, by=execution.run_id)

    async def _write(self, request: Request, target: Target, entity_set: EntitySet, execution: Execution) -> Response:
        change = await off_loop(len(request.body), self.change, request, target)
        [stored] = await self.write(entity_set, [change], execution)
        return self.written(request, target, stored, execution)
