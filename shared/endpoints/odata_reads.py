"""Reading entity sets (OData Protocol 4.01, section 11.2): from the source alone, without an engine or an operation."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import urlencode

from shared.actions.odata import EntitySet
from shared.composition import now
from shared.contracts.http import Request, Response
from shared.contracts.odata import collections, media, payloads
from shared.contracts.odata.etags import parse_etags
from shared.contracts.odata.query import Query, Resource, parse_query
from shared.contracts.odata.targets import Kind, Target
from shared.contracts.odata.urls import service_root
from shared.contracts.preferences import preferences
from shared.endpoints.odata_answers import etag_of, json_answer
from shared.endpoints.odata_caller import Caller
from shared.errors import RequestError

T = TypeVar("T")


async def read(request: Request, target: Target, caller: Caller) -> Response:
    """A collection, its count, or one entity."""
    entity_set = target.entity_set
    assert entity_set is not None, "the target is a set or of one"
    if target.kind is Kind.COUNT:
        return await _count(request, entity_set, caller)
    if target.kind is Kind.SET:
        return await _collection(request, entity_set, caller)
    return await _entity(request, entity_set, target.key or "", caller)


async def _count(request: Request, entity_set: EntitySet, caller: Caller) -> Response:
    wanted = await _parsed(request, entity_set, Resource.COUNT)
    count = await _in_time(collections.count_entities(entity_set.source(), wanted), caller)
    return Response(status=200, body=str(count).encode(), content_type="text/plain")


async def _collection(request: Request, entity_set: EntitySet, caller: Caller) -> Response:
    representation = media.json_representation(request, request.query)
    wanted = await _parsed(request, entity_set, Resource.COLLECTION)
    page = await _in_time(collections.read_page(entity_set.source(), wanted), caller)
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
    return json_answer(200, body, representation, {"Vary": "Prefer", **headers})


async def _entity(request: Request, entity_set: EntitySet, key: str, caller: Caller) -> Response:
    representation = media.json_representation(request, request.query)
    wanted = parse_query(request.query, entity_set.type, resource=Resource.ENTITY)
    stored = await entity_set.source().get(key)
    if stored is None:
        message = f"There is no entity of {entity_set.name} with this key."
        raise RequestError(404, "ResourceNotFound", message, target=entity_set.name)
    headers = etag_of(stored)
    known = parse_etags(request.headers.get("if-none-match"))
    if known == "*" or (known is not None and stored.etag in known):
        return Response(status=304, headers=headers)
    body = payloads.entity(stored, entity_set, base=caller.base, representation=representation, select=wanted.select)
    return json_answer(200, body, representation, headers)


async def _parsed(request: Request, entity_set: EntitySet, resource: Resource) -> Query:
    """In a thread: the longest expressions take 40 ms to parse, and the first one loads the parser."""
    given = preferences(request)
    return await asyncio.to_thread(
        parse_query, request.query, entity_set.type, resource=resource, preferences=given, now=now()
    )


async def _in_time(work: Awaitable[T], caller: Caller) -> T:
    """Raises RequestError 400: 501 would promise that it can be asked for asynchronously, and 503 invite a retry."""
    timeout = asyncio.timeout(caller.seconds_left)
    try:
        async with timeout:
            return await work
    except TimeoutError:
        if not timeout.expired():
            raise
        message = (
            f"This query was not answered within the {caller.longest:g} s there are for a request, and for all of a "
            "batch; narrow it with a $filter on the key, or ask for a simpler $filter or $orderby."
        )
        raise RequestError(400, "QueryTooExpensive", message) from None
