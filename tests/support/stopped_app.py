"""A process that runs attempts until it is told to stop: `python -m tests.support.stopped_app FOLDER LOOP FOUND`.

LOOP is `asyncio` or `uvloop`. FOUND says which handler of SIGTERM the app finds: `none`, or `handler`, which ends the
process with code 7. It prints a line once all attempts are under way.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from shared.actions import ActionContext, AttemptContext, Model, RequestContext, SyncActionContext, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.engine.port import Work
from shared.operations.service import StartRequest
from shared.settings import Settings

BEGUN: list[str] = []


class Nothing(Model):
    """The input."""


def begun(context: AttemptContext) -> None:
    BEGUN.append(context.operation_id)


@action("app:waits", post="waits")
async def waits(context: ActionContext, request: Nothing) -> None:
    begun(context)
    await asyncio.sleep(60)


@action("app:once", post="once", at_most_once=True)
async def once(context: ActionContext, request: Nothing) -> None:
    begun(context)
    await asyncio.sleep(60)


@action("app:heeds", post="heeds")
def heeds(context: SyncActionContext, request: Nothing) -> None:
    begun(context)
    while True:
        context.raise_if_canceled()
        time.sleep(0.01)


@action("app:finishes", post="finishes", at_most_once=True)
def finishes(context: SyncActionContext, request: Nothing) -> None:
    begun(context)
    STOPPING.wait(30)


@action("app:deaf", post="deaf")
def deaf(context: SyncActionContext, request: Nothing) -> None:
    begun(context)
    time.sleep(60)


ACTIONS = (waits, once, heeds, finishes, deaf)
STOPPING = threading.Event()


class NoEngine:
    """The attempts are run here."""

    async def start(self, instance_id: str, work: Work) -> None: ...


def application(folder: str) -> Application:
    settings = Settings.read({"OPERATIONS_STORE": "sqlite", "DATA_DIR": folder, "WEBSITE_HOSTNAME": "localhost:7071"})
    return Application(Registry(ACTIONS), settings=settings)


async def main(folder: str) -> None:
    app = application(folder)
    context = RequestContext(owner="", base_url="http://localhost", api_version="2026-01-01", services=app.services)
    tasks: list[asyncio.Task[Any]] = []
    for each in ACTIONS:
        request = StartRequest(
            action=each,
            context=context,
            input=Nothing(),
            input_json=b"{}",
            owner="",
            method="POST",
            path=each.route,
            api_version="2026-01-01",
            fingerprint="f" * 64,
            operation_id=each.route,
        )
        operation = await app.service.start(request, NoEngine())
        tasks.append(asyncio.create_task(app.runner.run(Work.of(operation))))
    while len(BEGUN) < len(ACTIONS):  # noqa: ASYNC110 - some of them are in threads
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    while not app.live.is_stopping:  # noqa: ASYNC110 - what is waited for comes with a signal
        await asyncio.sleep(0.01)
    STOPPING.set()
    await asyncio.gather(*tasks)


def on_signal(number: int, frame: FrameType | None) -> None:
    os._exit(7)


if __name__ == "__main__":
    _, data, loop, found = sys.argv
    if found == "handler":
        signal.signal(signal.SIGTERM, on_signal)
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(data))
    else:
        asyncio.run(main(data))
