"""Importing many uploaded books at once. The caller names the operation: `PUT imports/{operation_id}`."""

from library.importing import import_books
from library.models import ImportManifest, ImportOutcome
from shared.actions import ActionContext, Retry, action
from shared.composition import now, settings, storage
from shared.operations.holds import Holds
from shared.operations.ids import Locator
from shared.operations.records import OperationRecords


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
    holds = Holds(storage(), OperationRecords(storage()), clock=now)
    me = Locator.of(context.owner, context.operation_id)

    async def hold(book_id: str) -> None:
        await holds.take(f"book/{book_id}", me, context.run_id)

    return await import_books(context, manifest, storage(), max_bytes=settings().max_upload_bytes, hold=hold)
