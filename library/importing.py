"""Importing many uploaded EPUBs. What an attempt has imported, the next one finds imported."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from library.models import ImportedItem, ImportItem, ImportManifest, ImportOutcome, ImportProblem, UploadFinish
from library.uploading import finish_upload
from shared.actions import ActionContext, ActionFailed, Attempt, RequestError
from shared.storage import Storage, StorageError, StorageRefused

_UNEXPECTED = "The book could not be imported; the app's log has more."

Lock = Callable[[str], Awaitable[None]]
"""Keeps other operations off a book until this one has ended; raises RequestError where another one is at it."""

Finish = Callable[[UploadFinish], Awaitable[None]]


async def import_books(
    context: ActionContext,
    manifest: ImportManifest,
    storage: Storage,
    now: datetime,
    *,
    max_bytes: int,
    lock: Lock,
    parallel: int = 4,
) -> ImportOutcome:
    """Finish every upload of the manifest, `parallel` at a time; one that cannot be imported does not stop the others.

    Only storage that cannot be reached ends the attempt: the next one goes on with what is left.
    """
    places = asyncio.Semaphore(parallel)
    quiet = replace(context, attempt_state=_Quiet(context.attempt_state))
    total, done = len(manifest.items), 0

    async def finish(request: UploadFinish) -> None:
        await lock(request.id)
        await finish_upload(quiet, request, storage, now, max_bytes=max_bytes)

    async def one(item: ImportItem) -> ImportedItem:
        nonlocal done
        async with places:
            problem = await _problem(quiet, item, finish)
        done += 1
        context.report_progress(done=done, total=total, message=f"{'Left out' if problem else 'Imported'} {item.id}")
        status = "Failed" if problem else "Succeeded"
        return ImportedItem(id=item.id, transaction_id=item.transaction_id, status=status, error=problem)

    context.report_progress(done=0, total=total, message="Importing")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in manifest.items]
    except BaseExceptionGroup as failures:
        # One reason is enough, and the runner knows what a plain exception means.
        raise failures.exceptions[0] from None
    items = [task.result() for task in tasks]
    failed = sum(item.status == "Failed" for item in items)
    return ImportOutcome(imported=total - failed, failed=failed, items=items)


async def _problem(context: ActionContext, item: ImportItem, finish: Finish) -> ImportProblem | None:
    """None where the book is there; else why not."""
    try:
        await finish(UploadFinish(id=item.id, transaction_id=item.transaction_id, sha256=item.sha256))
    except (ActionFailed, RequestError) as error:
        return ImportProblem(code=error.code, message=error.message)
    except Exception as error:
        unreachable = isinstance(error, StorageError) and not isinstance(error, StorageRefused)
        if unreachable or context.cancel_requested:
            raise
        context.logger.exception("A book could not be imported", extra={"book_id": item.id})
        return ImportProblem(code="ActionError", message=f"{_UNEXPECTED} ({type(error).__name__})")
    return None


@dataclass(frozen=True, slots=True)
class _Quiet:
    """The attempt without its progress: the import reports books, not their chapters."""

    inner: Attempt

    @property
    def cancel_requested(self) -> bool:
        return self.inner.cancel_requested

    def report(self, progress: object) -> None:
        """Chapters are not worth a write each."""
