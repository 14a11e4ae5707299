"""Actions whose results are large, in the monitor or by a link, and files."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from shared.actions import ActionContext, File, Model, SyncActionContext, action


class Sized(Model):
    id: str
    size: int = Field(1_000_000, ge=0)


class SizedJob(Model):
    size: int = Field(1_000_000, ge=0)


class Text(Model):
    text: str


class Written(Model):
    id: str
    size: int = Field(0, ge=0)
    file_name: str = "numbers.bin"
    content_type: str = "application/octet-stream"
    marker: str | None = None
    """A file that the first attempt makes in the middle of its writing, to wait there for its end."""
    wait_when_whole: bool = False
    """Whether it makes that, and waits, once all is written."""


BLOCK = bytes(range(256)) * 4096


def blocks(size: int) -> Iterator[bytes]:
    """So many bytes, a mebibyte at a time."""
    for offset in range(0, size, len(BLOCK)):
        yield BLOCK[: size - offset]


@action("result:inline", post="result/{id}:inline")
async def inline(context: ActionContext, request: Sized) -> Text:
    return Text(text="x" * request.size)


@action("result:linked", post="result/{id}:linked", result="link")
async def linked(context: ActionContext, request: Sized) -> Text:
    return Text(text="x" * request.size)


@action("result:put", put="result-jobs/{operation_id}")
async def put(context: ActionContext, request: SizedJob) -> Text:
    return Text(text="x" * request.size)


@action("result:put-linked", put="linked-jobs/{operation_id}", result="link")
async def put_linked(context: ActionContext, request: SizedJob) -> Text:
    return Text(text="x" * request.size)


def _was_here(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


async def _wait_at(marker: Path) -> None:
    await asyncio.to_thread(marker.write_text, "here")
    await asyncio.sleep(280)


@action("result:file", post="result/{id}:file")
async def file(context: ActionContext, request: Written) -> File:
    marker = Path(request.marker) if request.marker else None
    is_first = marker is not None and not await asyncio.to_thread(_was_here, marker)
    async with context.result_file(file_name=request.file_name, content_type=request.content_type) as written:
        for number, block in enumerate(blocks(request.size)):
            await written.write(block)
            if is_first and marker is not None and number == 8 and not request.wait_when_whole:
                # By now the store has blocks of it.
                await _wait_at(marker)
    if is_first and marker is not None:
        await _wait_at(marker)
    return written


@action("result:file-sync", post="result/{id}:file-sync")
def file_sync(context: SyncActionContext, request: Written) -> File:
    return File(blocks(request.size), file_name=request.file_name, content_type=request.content_type)
