"""The data plane: POST of actions, quick and long, in the loop, a thread or a process, and PUT of an operation."""

from pydantic import Field

import actions._steps as steps
from shared.actions import ActionContext, Model, Retry, SyncActionContext, action


class Task(Model):
    id: str
    seconds: float = Field(0, ge=0, le=60)
    text: str = ""
    """Comes back as the result: above 30 KiB both are blobs."""


class Job(Model):
    seconds: float = Field(0, ge=0, le=60)


class Done(Model):
    text: str


@action("task:run", post="tasks/{id}:run", **steps.OFTEN)
async def run(context: ActionContext, request: Task) -> Done:
    await steps.work(context, request.seconds)
    return Done(text=request.text)


@action("task:compute", post="tasks/{id}:compute", **steps.OFTEN)
def compute(context: SyncActionContext, request: Task) -> Done:
    steps.compute(context, request.seconds)
    return Done(text=request.text)


@action("task:compute-apart", post="tasks/{id}:compute-apart", isolation="process", **steps.OFTEN)
def compute_apart(context: SyncActionContext, request: Task) -> Done:
    steps.compute(context, request.seconds)
    return Done(text=request.text)


@action("task:retry", post="tasks/{id}:retry", retry=Retry(max_attempts=3, delay="500ms"), **steps.OFTEN)
async def retry(context: ActionContext, request: Task) -> Done:
    if context.attempt == 1:
        steps.say(context, "began")
        steps.say(context, "failed")
        raise ConnectionError("not yet")
    await steps.work(context, request.seconds)
    return Done(text=request.text)


@action("task:once", post="tasks/{id}:once", at_most_once=True)
async def once(context: ActionContext, request: Task) -> Done:
    await steps.work(context, request.seconds)
    return Done(text=request.text)


@action("task:job", put="jobs/{operation_id}", **steps.OFTEN)
async def job(context: ActionContext, request: Job) -> Done:
    await steps.work(context, request.seconds)
    return Done(text="done")
