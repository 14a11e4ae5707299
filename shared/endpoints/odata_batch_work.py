"""Working through a batch: one unit after the other, a request alone or a group as one transaction."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.actions.entities import ChangeRefused, EntityChange
from shared.actions.odata import ODataService
from shared.contracts.http import Request, Response
from shared.contracts.odata.batch import (
    Batch,
    BatchRequest,
    BatchResponse,
    Unit,
    as_request,
    failed_dependency,
    failed_group,
    failures,
    unmet_dependency,
)
from shared.contracts.odata.batch_bodies import from_stored, to_stored
from shared.contracts.odata.references import Referred, referred, resolve, resolve_conditions
from shared.contracts.odata.targets import Target
from shared.contracts.odata.targets import resolve as resolve_path
from shared.contracts.odata.urls import service_root
from shared.endpoints import odata_border
from shared.endpoints.odata_caller import Caller, too_long
from shared.endpoints.odata_entities import Entities
from shared.errors import RequestError, StorageError, StorageRefused
from shared.operations.journal import Journal

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""All answers of a batch together: they are held in memory, and stored."""

Serve = Callable[[Request, Caller], Awaitable[Response]]


class BatchWork:
    """One batch under way."""

    def __init__(
        self,
        *,
        service: ODataService,
        serve: Serve,
        outer: Request,
        batch: Batch,
        caller: Caller,
        continues: bool,
        max_body_bytes: int,
        journal: Journal | None,
    ) -> None:
        """`outer` is the request that brought the batch; `continues` whether a failure does not stop it."""
        self._service = service
        self._serve = serve
        self._outer = outer
        self._batch = batch
        self._caller = caller
        self._continues = continues
        self._entities = Entities(max_body_bytes=max_body_bytes)
        self._root = service_root(caller.base)
        self._also = (outer.url.partition("?")[0].removesuffix("/$batch"),)
        self._responses: list[BatchResponse] = []
        self._known: dict[str, Referred] = {}
        self._failed: set[str] = set()
        self._size = 0
        self._journal = journal
        self._noted = 0

    async def run(self, report: Callable[[int, str], None] = lambda done, last: None) -> list[BatchResponse]:
        """The answers, up to and with the first failure unless the batch goes on after it.

        `report` is told how many requests are done, and the last one's id.
        """
        for unit in self._batch.units[await self._resume() :]:
            if self._failed and not self._continues:
                break
            self._add(await self._unit(unit))
            if self._journal is not None and any(request.method != "GET" for request in unit):
                await self._note(self._journal)
            report(len(self._responses), unit[-1].id)
        return self._responses

    async def _resume(self) -> int:
        """How many units an earlier attempt has finished; their answers count as if they were given now."""
        for entry in await self._journal.read() if self._journal else ():
            noted = json.loads(entry)
            self._add(from_stored(noted["answers"]))
            self._known |= {name: Referred(url, etag) for name, (url, etag) in noted["known"].items()}
            self._noted = len(self._responses)
        answered = {answer.id for answer in self._responses}
        return sum(unit[-1].id in answered for unit in self._batch.units)

    async def _note(self, journal: Journal) -> None:
        """Keep what was answered since the last time."""
        answers = self._responses[self._noted :]
        known = {answer.id: (self._known[answer.id].url, self._known[answer.id].etag) for answer in answers}
        entry = json.dumps({"answers": to_stored(answers), "known": known})
        await journal.add(len(self._responses), entry.encode())
        self._noted = len(self._responses)

    def _add(self, responses: list[BatchResponse]) -> None:
        self._responses += responses
        self._failed |= failures(responses)
        self._size += sum(len(answer.response.body) for answer in responses)

    async def _unit(self, unit: Unit) -> list[BatchResponse]:
        if (name := unmet_dependency(unit, self._failed)) is not None:
            answers = [failed_dependency(request, f"It depends on {name!r}, which failed.") for request in unit]
            self._known |= {request.id: Referred(None) for request in unit}
            return answers
        caller = self._caller
        if caller.run:
            caller = replace(caller, run=f"{caller.run}-{len(self._responses)}")
        return [await self._alone(unit[0], caller)] if unit[0].group is None else await self._group(unit, caller)

    async def _alone(self, one: BatchRequest, caller: Caller) -> BatchResponse:
        asked: list[Request] = []

        async def serve() -> Response:
            asked.append(self._request(one))
            return await self._serve(asked[0], caller)

        response = await self._answered(serve, one, caller)
        self._known[one.id] = referred(asked[0].url, response) if asked else Referred(None)
        return BatchResponse(id=one.id, response=response)

    async def _group(self, unit: Unit, caller: Caller) -> list[BatchResponse]:
        """One transaction: all of it, or the answer of the request at fault, and 424 for the others."""
        requests: list[Request] = []
        answers: list[Response] = []
        at_fault = 0

        async def write() -> Response:
            nonlocal at_fault
            targets: list[Target] = []
            changes: list[EntityChange] = []
            for at_fault, member in enumerate(unit):  # noqa: B007 - where it fails is what is wanted
                requests.append(self._request(member))
                targets.append(resolve_path(self._service, requests[-1].path))
                changes.append(self._entities.change(requests[-1], targets[-1]))
            entity_set = targets[0].entity_set
            assert entity_set is not None, "the groups were checked with the batch"
            try:
                stored = await self._entities.write(entity_set, changes, by=caller.run)
            except ChangeRefused as refused:
                at_fault = refused.index
                raise
            except RequestError:
                at_fault = 0
                raise
            for request, target, entity in zip(requests, targets, stored, strict=True):
                answer = self._entities.written(request, target, entity, caller)
                answers.append(odata_border.with_version(request, answer))
            return Response(status=200)

        response = await self._answered(write, unit[0], caller)
        if len(answers) < len(unit):
            self._known |= {member.id: Referred(None) for member in unit}
            return failed_group(unit, unit[at_fault].id, response)
        for member, request, answer in zip(unit, requests, answers, strict=True):
            self._known[member.id] = referred(request.url, answer)
        return [
            BatchResponse(id=member.id, response=answer, group=member.group)
            for member, answer in zip(unit, answers, strict=True)
        ]

    def _request(self, one: BatchRequest) -> Request:
        """The request as if it had come alone. Raises RequestError 424 where it refers to one that failed."""
        url = resolve(one.url, self._known, self._root, self._also)
        headers = resolve_conditions(one.headers, self._known)
        return as_request(replace(one, headers=headers), url, self._outer)

    async def _answered(self, serve: Callable[[], Awaitable[Response]], one: BatchRequest, caller: Caller) -> Response:
        """What the border makes of it; only storage that cannot be reached ends an asynchronous batch's attempt."""
        unreachable: list[StorageError] = []

        async def bounded(request: Request) -> Response:
            if self._size > MAX_ANSWER_BYTES:
                message = f"The answers before have more than {MAX_ANSWER_BYTES} bytes; split the batch."
                raise RequestError(413, "BatchAnswerTooLarge", message)
            if caller.seconds_left <= 0:
                raise too_long(caller.longest)
            try:
                return await serve()
            except StorageRefused:
                raise
            except StorageError as error:
                unreachable.append(error)
                raise

        headers = {name: value for name, value in one.headers.items() if name.startswith(("odata-", "x-ms-client-r"))}
        response = await odata_border.answer(replace(self._outer, headers={**self._outer.headers, **headers}), bounded)
        if unreachable and caller.run:
            raise unreachable[0]
        return response
