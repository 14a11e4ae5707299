"""Working through a batch: one unit after the other, a request alone or a group as one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.actions.attempt_context import Attempt
from shared.actions.odata.entities import ChangeRefused, EntityChange
from shared.actions.odata.service import ODataService
from shared.contracts.bodies import check_encoding
from shared.contracts.headers import of_a_part
from shared.contracts.http import Request, Response
from shared.contracts.odata.batch import parts
from shared.contracts.odata.batch.bodies import from_stored, to_stored
from shared.contracts.odata.batch.references import Referred, referred, resolve, resolve_conditions
from shared.contracts.odata.targets import Target
from shared.contracts.odata.targets import resolve as resolve_path
from shared.contracts.odata.turns import Turns
from shared.contracts.odata.urls import service_root
from shared.endpoints.odata import boundary as odata_boundary
from shared.endpoints.odata.entities import Entities
from shared.endpoints.odata.execution import Execution, too_long
from shared.errors import RequestError, StorageError, StorageRefused
from shared.frozen import replace
from shared.operations.off_loop import off_loop

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""All answers of a batch together: they are held in memory, and stored."""

_STEP = "unit"
"""What its steps are called in their rows."""

Serve = Callable[[Request, Execution], Awaitable[Response]]


@dataclass(kw_only=True)
class BatchWork:
    """One batch under way."""

    service: ODataService
    serve: Serve
    outer: Request
    """The request that brought the batch."""
    batch: parts.Batch
    execution: Execution
    continues: bool
    """Whether a failure does not stop it."""
    entities: Entities
    attempt: Attempt | None
    """The attempt that does it, of an asynchronous one: each unit that changes something is a step done once."""

    def __post_init__(self) -> None:
        self._root = service_root(self.execution.base)
        self._root_path = Request(method="", url=self.execution.base).path
        self._also = (self.outer.url.partition("?")[0].removesuffix("/$batch"),)
        self._responses: list[parts.BatchResponse] = []
        self._known: dict[str, Referred] = {}
        self._failed: set[str] = set()
        self.size = 0
        """Bytes of the answers so far."""
        self._turns = Turns(self.execution.context.clock)
        self._noted = 0

    async def run(self, report: Callable[[int, str], None] = lambda done, last: None) -> list[parts.BatchResponse]:
        """The answers, up to and with the first failure unless the batch goes on after it.

        `report` is told how many requests are done, and the last one's id.
        """
        for unit in self.batch.units[await self._resume() :]:
            if self._failed and not self.continues:
                break
            self._add(await self._unit(unit))
            if self.attempt is not None and _changes(unit):
                await self._note(self.attempt)
            report(len(self._responses), unit[-1].id)
            await self._turns.rest()
        return self._responses

    async def _resume(self) -> int:
        """How many units an earlier attempt has finished; their answers count as if they were given now."""
        answered = done = 0
        for position, unit in enumerate(self.batch.units if self.attempt else (), start=1):
            answered += len(unit)
            if self.attempt is None or not _changes(unit):
                continue
            found = await self.attempt.find_step(str(answered), _STEP)
            if found is None:
                break
            size = sum(len(each.get("text", "")) + len(each.get("bytes", "")) for each in found.value["answers"])
            self._add(await off_loop(size, from_stored, found.value["answers"]))
            self._known |= {name: Referred(url, etag) for name, (url, etag) in found.value["known"].items()}
            self._noted, done = len(self._responses), position
        return done

    async def _note(self, attempt: Attempt) -> None:
        """Keep what was answered since the last time."""
        answers = self._responses[self._noted :]
        known = {answer.id: (self._known[answer.id].url, self._known[answer.id].etag) for answer in answers}
        size = sum(len(answer.response.body) for answer in answers)
        stored = await off_loop(size, to_stored, answers)
        await attempt.keep_step(str(len(self._responses)), _STEP, {"answers": stored, "known": known})
        self._noted = len(self._responses)

    def _add(self, responses: list[parts.BatchResponse]) -> None:
        self._responses += responses
        self._failed |= parts.failures(responses)
        self.size += sum(len(answer.response.body) for answer in responses)

    async def _unit(self, unit: parts.Unit) -> list[parts.BatchResponse]:
        if (name := parts.unmet_dependency(unit, self._failed)) is not None:
            answers = [parts.failed_dependency(request, f"It depends on {name!r}, which failed.") for request in unit]
            self._known |= {request.id: Referred(None) for request in unit}
            return answers
        execution = self.execution
        if execution.run_id:
            execution = replace(execution, run_id=f"{execution.run_id}-{len(self._responses)}")
        return [await self._alone(unit[0], execution)] if unit[0].group is None else await self._group(unit, execution)

    async def _alone(self, one: parts.BatchRequest, execution: Execution) -> parts.BatchResponse:
        sent: list[Request] = []

        async def serve() -> Response:
            sent.append(self._request(one))
            return await self.serve(sent[0], execution)

        response = await self._answered(serve, one, execution)
        self._known[one.id] = referred(sent[0].url, response) if sent else Referred(None)
        return parts.BatchResponse(id=one.id, response=response)

    async def _group(self, unit: parts.Unit, execution: Execution) -> list[parts.BatchResponse]:
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
                targets.append(resolve_path(self.service, requests[-1].path))
                size = len(requests[-1].body)
                changes.append(await off_loop(size, self.entities.change, requests[-1], targets[-1]))
                await self._turns.rest()
            entity_set = targets[0].entity_set
            assert entity_set is not None, "the groups were checked with the batch"
            try:
                stored = await self.entities.write(entity_set, changes, execution)
            except ChangeRefused as refused:
                at_fault = refused.index
                raise
            except RequestError:
                at_fault = 0
                raise
            for request, target, entity in zip(requests, targets, stored, strict=True):
                answer = self.entities.written(request, target, entity, execution)
                answers.append(odata_boundary.with_version(request, answer))
                await self._turns.rest()
            return Response(status=200)

        response = await self._answered(write, unit[0], execution)
        if len(answers) < len(unit):
            self._known |= {member.id: Referred(None) for member in unit}
            return parts.failed_group(unit, unit[at_fault].id, response)
        for member, request, answer in zip(unit, requests, answers, strict=True):
            self._known[member.id] = referred(request.url, answer)
        return [
            parts.BatchResponse(id=member.id, response=answer, group=member.group)
            for member, answer in zip(unit, answers, strict=True)
        ]

    def _request(self, one: parts.BatchRequest) -> Request:
        """The request as if it had come alone. Raises RequestError 424 where it refers to one that failed, or 415."""
        url = resolve(one.url, self._known, self._root, self._also)
        headers = resolve_conditions(one.headers, self._known)
        request = parts.as_request(replace(one, headers=headers), url, self.outer)
        # The boundary sees the batch's own headers, and only of the first of a group.
        check_encoding(request)
        return replace(request, root_path=self._root_path)

    async def _answered(
        self, serve: Callable[[], Awaitable[Response]], one: parts.BatchRequest, execution: Execution
    ) -> Response:
        """What the boundary makes of it; only storage that cannot be reached ends an asynchronous batch's attempt."""
        unreachable: list[StorageError] = []

        async def bounded(request: Request) -> Response:
            if self.size > MAX_ANSWER_BYTES:
                message = f"The answers before have more than {MAX_ANSWER_BYTES} bytes; split the batch."
                raise RequestError(413, "BatchAnswerTooLarge", message)
            if execution.seconds_left <= 0:
                raise too_long(execution.longest)
            try:
                return await serve()
            except StorageRefused:
                raise
            except StorageError as error:
                unreachable.append(error)
                raise

        headers = {name: value for name, value in one.headers.items() if name.startswith(("odata-", "x-ms-client-r"))}
        response = await odata_boundary.answer(replace(self.outer, headers={**self.outer.headers, **headers}), bounded)
        if unreachable and execution.run_id:
            raise unreachable[0]
        return of_a_part(response)


def _changes(unit: parts.Unit) -> bool:
    return any(request.method != "GET" for request in unit)
