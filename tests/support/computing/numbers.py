"""Actions whose handlers do what their input says."""

from typing import Any

from shared.actions import ActionContext, File, Retry, SyncActionContext, action
from tests.support.computing._handlers import Done, Task, do


@action("numbers:ends", post="numbers:ends", isolation="process", retry=Retry(max_attempts=2))
def ends(context: SyncActionContext, task: Task) -> Done:
    """It declares what it returns."""
    return do(context, task)


@action("numbers:talks", post="numbers:talks", isolation="process", retry=Retry(max_attempts=2))
def talks(context: SyncActionContext, task: Task) -> Any:
    """It may return anything."""
    return do(context, task)


@action("numbers:computes", post="numbers:computes", isolation="process", timeout="1m", grace="2s")
def computes(context: SyncActionContext, task: Task) -> Any:
    """It has two seconds to stop."""
    return do(context, task)


@action("numbers:nothing", post="numbers:nothing", isolation="process")
def nothing(context: SyncActionContext, task: Task) -> None:
    """It returns nothing, or what it must not."""
    return do(context, task)


@action("numbers:once", post="numbers:once", isolation="process", at_most_once=True, grace="2s")
def once(context: SyncActionContext, task: Task) -> Any:
    """It must not run twice."""
    return do(context, task)


@action("numbers:files", post="numbers:files", isolation="process")
def files(context: SyncActionContext, task: Task) -> File:
    """It makes a file."""
    return do(context, task)


@action("numbers:threaded", post="numbers:threaded")
def threaded(context: SyncActionContext, task: Task) -> Any:
    """It runs in a thread."""
    return do(context, task)


@action("numbers:trivial", post="numbers:trivial")
async def trivial(context: ActionContext, task: Task) -> None:
    """It does nothing."""
