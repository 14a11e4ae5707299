"""Shelves: an ARM resource that books stand on.

A sample to start from: replace it, together with `library/`, by your own. Every handler may run twice.
"""

from collections.abc import Iterable

from library import shelves as library
from library.shelf_models import (
    Inventory,
    InventoryRef,
    MigrationRequest,
    MigrationResult,
    Shelf,
    ShelfProperties,
)
from shared.actions import (
    ActionContext,
    ActionFailed,
    ArmCombinedLroHeaders,
    ArmResource,
    Content,
    RequestContext,
    RequestError,
    Retry,
    read,
)

shelves = ArmResource("Contoso.Library", "shelves", api_versions=["2026-01-01"], properties=ShelfProperties)


@shelves.create_or_replace(retry=Retry(max_attempts=3))
async def provision(context: ActionContext, shelf: Shelf) -> Shelf:
    """Make a shelf, or replace what is known of one."""
    return await library.counted(shelf, context.storage)


@shelves.update(retry=Retry(max_attempts=3))
async def change(context: ActionContext, shelf: Shelf) -> Shelf:
    """Change some tags or properties of a shelf."""
    return await library.counted(shelf, context.storage)


@shelves.delete(retry=Retry(max_attempts=3))
async def remove(context: ActionContext, shelf: Shelf) -> None:
    """Remove a shelf that no book stands on."""
    if count := await library.clear(shelf, context.storage):
        message = f"{count} books stand on the shelf; move them first."
        raise ActionFailed("ShelfNotEmpty", message, target=shelf.id, status_code=409)


def target(shelf: Shelf, request: MigrationRequest) -> Iterable[str]:
    """The shelf that a migration locks besides its own."""
    if request.target_shelf.lower() == shelf.name.lower():
        raise RequestError(400, "InvalidInput", "The books are on that shelf already.", target="targetShelf")
    return [request.target_shelf]


@shelves.action(
    "startMigration",
    lro_headers=ArmCombinedLroHeaders(final_result=MigrationResult),
    also_lock=target,
    retry=Retry(max_attempts=3),
)
async def start_migration(context: ActionContext, shelf: Shelf, request: MigrationRequest) -> MigrationResult:
    """Move the books of a shelf to another one."""
    return await library.migrate(context, shelf, request.target_shelf, context.storage)


@shelves.action("restart", retry=Retry(max_attempts=3))
async def restart(context: ActionContext, shelf: Shelf) -> None:
    """Count the books of a shelf anew."""
    await library.recount(context, shelf, context.storage)


@shelves.action("exportInventory", retry=Retry(max_attempts=3))
async def export_inventory(context: ActionContext, shelf: Shelf) -> Inventory:
    """Write a list of the books of a shelf: the result says where it is."""
    neutralize = context.settings.csv_neutralize_formulas
    inventory, count = await library.store_inventory(shelf, context.storage, neutralize=neutralize)
    return Inventory(count=count, url=f"{context.base_url}/inventory/{inventory}")


@read("inventory:get", get="inventory/{id}")
async def get_inventory(context: RequestContext, request: InventoryRef) -> Content:
    """Read an exported list of books, in CSV."""
    content = await library.read_inventory(request.id, context.storage)
    if content is None:
        raise RequestError(404, "InventoryNotFound", "There is no such inventory; export one.", target=request.id)
    return Content(content, "text/csv; charset=utf-8")
