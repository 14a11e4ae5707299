"""Reading entity sets (OData Protocol 4.01, section 11.2): from the source alone, without an engine or an operation."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast
from urllib.parse import urlencode

from shared.actions.odata.entities import EntitySource
from shared.actions.odata.search import SearchableSource
from shared.actions.odata.service import EntitySet
from shared.contracts.http import Request, Response
from shared.contracts.odata import media, payloads
from shared.contracts.odata.etags import is_named, parse_etags
from shared.contracts.odata.query import collections
from shared.contracts.odata.query.options import QueriedResource, Query, parse_query
from shared.contracts.odata.query.searching import FoundEntities
from shared.contracts.odata.targets import Kind, Target
from shared.contracts.odata.urls import service_root
from shared.contracts.preferences import preferences
from shared.endpoints.odata.boundary import etag_of, json_answer
from shared.endpoints.odata.execution import Execution
from shared.errors import RequestError
from shared.operations.off_loop import off_loop

T = TypeVar("T")

_ENTITY = 4096
"""Bytes of an entity: a guess, to tell a long page from a short one."""
_KEY = 256
"""Bytes of a key that a search has found, as what it takes to sort so many."""


async def read(request: Request, target: Target, execution: Execution) -> Response:
    """A collection, its count, or one entity."""
    entity_set = target.entity_set
    assert entity_set is not None, "the target is a set or of one"
    if target.kind is Kind.COUNT:
        return await _count(request, entity_set, execution)
    if target.kind is Kind.SET:
        return await _collection(request, entity_set, execution)
    return await _entity(request, entity_set, target.key or "", execution)


async def _count(request: Request, entity_set: EntitySet, execution: Execution) -> Response:
    query = await _parsed(request, entity_set, execution, QueriedResource.COUNT)

    async def counted() -> int:
        source = await _source(entity_set, query, execution)
        return await collections.count_entities(source, query, clock=execution.context.clock)

    count = await _in_time(counted(), execution)
    return Response(status=200, body=str(count).encode(), content_type="text/plain")


async def _collection(request: Request, entity_set: EntitySet, execution: Execution) -> Response:
    representation = media.json_representation(request, request.query)
    query = await _parsed(request, entity_set, execution, QueriedResource.COLLECTION)

    async def found() -> collections.Page:
        source = await _source(entity_set, query, execution)
        return await collections.read_page(source, query, clock=execution.context.clock)

    page = await _in_time(found(), execution)
    link = f"{service_root(execution.base)}/{entity_set.name}?{urlencode(page.next)}" if page.next else None
    size = query.applied_page_size
    headers = {"Vary": "Prefer", **({"Preference-Applied": f"maxpagesize={size}"} if size is not None else {})}

    def written() -> Response:
        body = payloads.collection(
            page.entities,
            entity_set,
            base=execution.base,
            representation=representation,
            select=query.select,
            count=page.count,
            next_link=link,
        )
        return json_answer(200, body, representation, headers)

    return await off_loop(len(page.entities) * _ENTITY, written)


async def _entity(request: Request, entity_set: EntitySet, key: str, execution: Execution) -> Response:
    representation = media.json_representation(request, request.query)
    searchable = entity_set.is_searchable
    query = parse_query(request.query, entity_set.type, resource=QueriedResource.ENTITY, searchable=searchable)
    stored = await entity_set.source(execution.context).get(key)
    if stored is None:
        message = f"There is no entity of {entity_set.name} with this key."
        raise RequestError(404, "ResourceNotFound", message, target=entity_set.name)
    headers = etag_of(stored)
    wanted = parse_etags(request.headers.get("if-match"))
    if wanted is not None and not is_named(stored, wanted):
        raise RequestError(
            412, "PreconditionFailed", "The entity has another ETag than If-Match names.", target="If-Match"
        )
    if is_named(stored, parse_etags(request.headers.get("if-none-match"))):
        return Response(status=304, headers=headers)
    body = payloads.entity(stored, entity_set, base=execution.base, representation=representation, select=query.select)
    return json_answer(200, body, representation, headers)


async def _source(entity_set: EntitySet, query: Query, execution: Execution) -> EntitySource:
    """Where the entities come from; with `$search`, those alone that it finds."""
    source = entity_set.source(execution.context)
    if query.search is None:
        return source
    keys = await cast(SearchableSource, source).search(query.search)
    return FoundEntities(source, await off_loop(len(keys) * _KEY, sorted, keys))


async def _parsed(request: Request, entity_set: EntitySet, execution: Execution, resource: QueriedResource) -> Query:
    """In a thread: the longest expressions take 40 ms to parse, and the first one loads the parser."""
    given = preferences(request)
    return await asyncio.to_thread(
        parse_query,
        request.query,
        entity_set.type,
        resource=resource,
        searchable=entity_set.is_searchable,
        preferences=given,
        now=execution.context.clock.now(),
    )


async def _in_time(work: Awaitable[T], execution: Execution) -> T:
    """Raises RequestError 400: 501 would promise that it can be asked for asynchronously, and 503 invite a retry."""
    timeout = execution.context.clock.timeout(execution.seconds_left)
    try:
        async with timeout:
            return await work
    except TimeoutError:
        if not timeout.expired():
            raise
        message = (
            f"This query was not answered within the {execution.longest:g} s there are for a request, and for all of a "
            "batch; narrow it with a $filter on the key, or ask for a simpler $filter or $orderby."
        )
        raise RequestError(400, "QueryTooExpensive", message) from None
