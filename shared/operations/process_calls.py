"""The app's side while a handler runs in a process: it does what the handler calls for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic_core import from_json, to_json

from shared.actions.context import Services
from shared.actions.files import File, Upload, unfinished
from shared.errors import ActionCanceled
from shared.model.operation import Payload, Progress
from shared.operations.attempt import LiveAttempt
from shared.operations.log_lines import OperationLogger, about
from shared.operations.off_loop import off_loop
from shared.operations.process_errors import describe
from shared.operations.process_frames import PART, Frame
from shared.operations.snapshots import Snapshot

Answer = tuple[dict[str, Any], bytes]
Send = Callable[[Mapping[str, Any], bytes], Awaitable[None]]
"""Has the process receive a frame."""


class ProcessCalls:
    """Those of one attempt. Each is a task: the channel is read meanwhile."""

    def __init__(self, attempt: LiveAttempt, run: str, services: Services, send: Send) -> None:
        """`run` is what the process calls the run of the handler."""
        self._attempt = attempt
        self._run = run
        self._services = services
        self._send = send
        self._parts: dict[int, asyncio.Queue[Frame]] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._calls: dict[str, Callable[[Frame], Coroutine[Any, Any, Answer]]] = {
            "save": self._save,
            "find_step": self._find_step,
            "keep_step": self._keep_step,
            "lock": self._lock,
            "save_properties": self._save_properties,
            "read_blob": self._read_blob,
            "write_blob": self._write_blob,
            "begin_file": self._begin_file,
            "write_file": self._write_file,
            "finish_file": self._finish_file,
            "discard_file": self._discard_file,
            "return_file": self._return_file,
        }
        self._uploads: list[Upload] = []
        self.returned: Payload | None = None
        """The file that the handler has returned."""

    def take(self, frame: Frame) -> None:
        """Do what the frame says. Raises KeyError and TypeError for what the process never sends."""
        head = frame.head
        match head["kind"]:
            case "progress":
                if head["run"] == self._run:
                    self._attempt.report(Progress(**head["progress"]))
            case "log":
                self._write_line(head)
            case "part":
                if (parts := self._parts.get(head["id"])) is not None:
                    parts.put_nowait(frame)
            case _:
                task = asyncio.create_task(self._answer(frame, self._calls[head["call"]]), name=head["call"])
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Nobody waits for answers any more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _write_line(self, head: Mapping[str, Any]) -> None:
        """One of a run before, whose thread goes on, is about that one's operation."""
        log: logging.Logger | OperationLogger = logging.getLogger(head["name"])
        if not log.isEnabledFor(head["level"]):
            return
        fields, of = _free_names(head["extra"]), head["of"]
        if of is None:
            fields = {"event": "handler", **fields}
        elif of["run"] == self._run:
            log = about(log, self._attempt.operation, "handler")
        else:
            log = OperationLogger(log, {"event": "handler"} | {name: of[name] for name in of if name != "run"})
        log.log(head["level"], "%s", head["text"], extra=fields)

    async def _answer(self, frame: Frame, call: Callable[[Frame], Coroutine[Any, Any, Answer]]) -> None:
        number, content = frame.head["id"], b""
        try:
            if frame.head["run"] != self._run:
                raise ActionCanceled("the attempt is over: it does nothing more")
            answer, content = await call(frame)
        except Exception as error:
            answer = {"error": describe(error)}
        with suppress(OSError):  # the process may have died
            await self._send({"kind": "answer", "id": number, **answer}, content)

    async def _save(self, frame: Frame) -> Answer:
        # The handler has the value.
        made = Snapshot(frame.content, frame.head["sha256"], None)
        await self._attempt.save_snapshot(made, flush=frame.head["flush"])
        return {}, b""

    async def _find_step(self, frame: Frame) -> Answer:
        found = await self._attempt.find_step(frame.head["key"], frame.head["function"])
        return ({"found": False}, b"") if found is None else ({"found": True}, to_json(found.value))

    async def _keep_step(self, frame: Frame) -> Answer:
        head, content = frame
        made = Snapshot(content, head["sha256"], await off_loop(len(content), from_json, content))
        kept = await self._attempt.keep_step_snapshot(head["key"], head["function"], made)
        return {}, b"" if kept is made.value else to_json(kept)

    async def _lock(self, frame: Frame) -> Answer:
        operation = self._attempt.operation
        await self._services.locks.take(frame.head["resource"], operation.locator, operation.run_id)
        return {}, b""

    async def _save_properties(self, frame: Frame) -> Answer:
        holder, properties = self._attempt.operation.locator, from_json(frame.content)
        resources = self._services.resources
        return {"saved": await resources.save_properties_of(frame.head["resource_id"], holder, properties)}, b""

    async def _read_blob(self, frame: Frame) -> Answer:
        head = frame.head
        container = self._services.storage.container(head["container"])
        async with container.open(head["name"], if_match=head["if_match"]) as reader:
            if reader is None:
                return {"info": None}, b""
            if reader.info.size <= self._services.settings.max_upload_bytes:
                async for chunk in reader.chunks():
                    for at in range(0, len(chunk), PART):
                        await self._send({"kind": "part", "id": head["id"]}, chunk[at : at + PART])
            return {"info": asdict(reader.info)}, b""

    async def _write_blob(self, frame: Frame) -> Answer:
        head = frame.head
        container = self._services.storage.container(head["container"])
        self._parts[head["id"]] = asyncio.Queue()
        try:
            stored = await container.put(
                head["name"],
                self._content(head["id"]),
                content_type=head["content_type"],
                overwrite=head["overwrite"],
            )
        finally:
            del self._parts[head["id"]]
        return {"info": asdict(stored)}, b""

    async def _begin_file(self, frame: Frame) -> Answer:
        file = File(b"", file_name=frame.head["file_name"], content_type=frame.head["content_type"])
        self._uploads.append(await self._attempt.files.begin(file))
        return {"file": len(self._uploads) - 1}, b""

    async def _write_file(self, frame: Frame) -> Answer:
        await self._uploads[frame.head["file"]].write(frame.content)
        return {}, b""

    async def _finish_file(self, frame: Frame) -> Answer:
        upload = self._uploads[frame.head["file"]]
        await upload.finish()
        assert upload.stored is not None, "it has finished"
        return {"stored": asdict(upload.stored)}, b""

    async def _discard_file(self, frame: Frame) -> Answer:
        await self._uploads[frame.head["file"]].discard()
        return {}, b""

    async def _return_file(self, frame: Frame) -> Answer:
        files = {upload.stored.blob: upload.stored for upload in self._uploads if upload.stored is not None}
        if (returned := files.get(frame.head["blob"])) is None:
            # Of another operation, whose handler the process has run before.
            raise unfinished()
        self.returned = returned
        return {}, b""

    async def _content(self, number: int) -> AsyncIterator[bytes]:
        while True:
            await self._send({"kind": "more", "id": number}, b"")
            part = await self._parts[number].get()
            if part.head["is_last"]:
                return
            yield part.content


def _free_names(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Without the names that a record of the log has itself."""
    taken = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    return {name: value for name, value in extra.items() if name not in taken}
