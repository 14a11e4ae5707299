"""Uploading a file that is no book, such as a CSV of books for `Books/Library.ProcessLargeFile`.

The `transactionId` of the result is the `fileId` that such an action takes.
"""

from datetime import datetime

from library.models import FileUploadStart, UploadStarted
from library.uploading import start_file_upload
from library.uploads import UploadStore
from shared.actions import ActionContext, RemovalContext, RequestContext, RequestError, Retry, action


@action("files:upload-start", post="files:upload-start", timeout="1m", retry=Retry(max_attempts=3))
async def upload_start(context: ActionContext, request: FileUploadStart) -> UploadStarted:
    """Begin to upload a file that is no book: the result says where to send it."""
    return await start_file_upload(context, request, context.storage, context.clock.now())


@upload_start.removed
async def abandon_upload(context: RemovalContext) -> datetime | None:
    return await UploadStore(context.storage, context.clock.now()).abandon(context.run_id)


@upload_start.precondition
async def file_is_not_too_large(context: RequestContext, request: FileUploadStart) -> None:
    limit = context.settings.max_upload_bytes
    if request.size is not None and request.size > limit:
        raise RequestError(413, "UploadTooLarge", f"The limit is {limit} bytes.", target="size")
