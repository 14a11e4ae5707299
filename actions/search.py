"""The full-text index behind `$search` of `Books`: work of any length, in slices."""

from library.indexing import rebuild_index
from library.models import RebuildIndex, RebuiltIndex
from library.search_index import SearchIndex
from shared.actions import ActionContext, Context, RemovalContext, Retry, action, sweep

_TRANSACTIONS = 20
"""Of an index that goes, in one pass."""


@action(
    "search-index:rebuild",
    post="search-index:rebuild",
    exclusive="search-index",
    timeout="5m",
    deadline="30d",
    retry=Retry(max_attempts=3),
    keep="7d",
)
async def rebuild(context: ActionContext, request: RebuildIndex) -> RebuiltIndex:
    """Build the index of the words of all books anew; until it is done, the one before is searched."""
    return await rebuild_index(context, request, context.storage)


@rebuild.when_canceled
async def give_up(context: Context, run_id: str) -> None:
    await SearchIndex(context.storage).give_up(run_id)


@rebuild.removed
async def give_up_unfinished(context: RemovalContext) -> None:
    await SearchIndex(context.storage).give_up(context.run_id)


@sweep("search-index:leftovers")
async def clear_leftovers(context: Context) -> None:
    """Remove rows of indexes that are not searched any more, and the index in which no book is left."""
    index = SearchIndex(context.storage)
    await index.clear(transactions=_TRANSACTIONS)
    await index.drop_empty()
