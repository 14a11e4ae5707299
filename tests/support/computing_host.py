"""An app with a busy process and an idle one: `python -m tests.support.computing_host FOLDER DOES`.

It prints their ids as JSON, and goes on until somebody ends it.
"""

import asyncio
import json
import sys
from pathlib import Path

from shared.actions import RequestContext
from shared.actions.registry import discover
from shared.composition import Application
from shared.engine.port import Work
from shared.model.operation import Operation
from shared.operations.service import StartRequest
from shared.settings import Settings
from tests.support import computing
from tests.support.computing._handlers import Task


class NoEngine:
    """The attempts are run here."""

    async def start(self, instance_id: str, work: Work) -> None: ...

    async def is_live(self, instance_id: str) -> bool:
        return False


def application(folder: Path) -> Application:
    store = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(folder / "store"), "HANDLER_PROCESSES": "2"}
    return Application(discover(computing), settings=Settings.read({**store, "WEBSITE_HOSTNAME": "localhost:7071"}))


async def start(app: Application, folder: Path, does: str, operation_id: str) -> Operation:
    declared = app.registry.actions["numbers:computes"]
    task = Task(do=does, folder=str(folder))
    request = StartRequest(
        action=declared,
        context=RequestContext(owner="", base_url="http://localhost", api_version="2026-01-01", services=app.services),
        input=task,
        input_json=task.model_dump_json().encode(),
        owner="",
        method="POST",
        path=declared.route,
        api_version="2026-01-01",
        fingerprint="f" * 64,
        operation_id=operation_id,
    )
    return await app.service.start(request, NoEngine())


async def run_to_end(app: Application, operation: Operation) -> Operation:
    """What becomes of it, in whatever attempts."""
    while not operation.status.is_terminal:
        again = await app.runner.run(Work.of(operation))
        found = await app.records.read(operation.locator)
        assert found is not None
        operation = found
        if again is not None:
            await asyncio.sleep(min(0.1, max(0.0, (again - app.clock.now()).total_seconds())))
    return operation


async def idle_process(app: Application) -> int:
    """The id of a process that has run a handler and waits for the next."""
    folder = Path(app.settings.data_dir).parent
    (folder / "go").touch()
    await run_to_end(app, await start(app, folder, "computes_until", "op-0"))
    (folder / "go").unlink()
    (process,) = app.processes._all
    return process.pid


async def main(folder: Path, does: str) -> None:
    app = application(folder)
    idle = await idle_process(app)
    operation = await start(app, folder, does, "op-1")
    running = asyncio.create_task(app.runner.run(Work.of(operation)))
    notes = folder / "notes"
    while not notes.exists():  # noqa: ASYNC110 - what is waited for is in another process
        await asyncio.sleep(0.01)
    other = await start(app, folder, "returns", "op-2")
    await app.runner.run(Work.of(other))
    busy = int(notes.read_text(encoding="utf-8").split()[1])
    (spare,) = {process.pid for process in app.processes._all} - {busy}
    assert idle in (busy, spare)
    print(json.dumps({"busy": busy, "idle": spare}), flush=True)
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
