"""Importing many uploaded books at once. The caller names the operation: `PUT imports/{operation_id}`."""

from library.importing import import_books
from library.models import ImportManifest, ImportOutcome
from shared.actions import ActionContext, Retry, action


@action(
    "book:import",
    put="imports/{operation_id}",
    timeout="9m",
    retry=Retry(max_attempts=3),
    keep="7d",
    retry_after=2,
)
async def import_uploads(context: ActionContext, manifest: ImportManifest) -> ImportOutcome:
    """Read many uploaded EPUBs in one operation; one that cannot be read does not stop the others."""

    async def lock(book_id: str) -> None:
        await context.lock(f"book/{book_id}")

    return await import_books(
        context, manifest, context.storage, context.clock.now(), max_bytes=context.settings.max_upload_bytes, lock=lock
    )
