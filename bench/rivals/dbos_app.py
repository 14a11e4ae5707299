"""What FastAPI and DBOS need to start a workflow that does nothing, and to show it. Its own packages run it."""

# pyright: basic, reportMissingImports=false
import os
from contextlib import asynccontextmanager

from dbos import DBOS
from fastapi import FastAPI

FILE = f"sqlite:///{os.environ['RIVAL_FILE']}"
DBOS(config={"name": "rival", "system_database_url": FILE, "run_admin_server": False, "log_level": "WARNING"})


@asynccontextmanager
async def lifespan(api):
    DBOS.launch()
    yield
    DBOS.destroy()


api = FastAPI(lifespan=lifespan)


@DBOS.workflow()
async def nothing(id: str) -> None:
    return None


@api.post("/start", status_code=202)
async def start():
    return {"id": (await DBOS.start_workflow_async(nothing, "n1")).workflow_id}


@api.get("/status/{id}")
async def status(id: str):
    found = await DBOS.get_workflow_status_async(id)
    return {"id": id, "status": found.status if found else None}
