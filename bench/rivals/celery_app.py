"""What FastAPI, Celery and Redis need to start a task that does nothing, and to show it. Its own packages run it."""

# pyright: basic, reportMissingImports=false
import os

from celery import Celery
from fastapi import FastAPI

app = Celery("rival", broker=os.environ["RIVAL_REDIS"], backend=os.environ["RIVAL_REDIS"])
app.conf.update(task_acks_late=True, task_track_started=True)
api = FastAPI()


@app.task
def nothing(id):
    return None


# Not `def`: the thread of one would cost more than the call of Redis.
@api.post("/start", status_code=202)
async def start():
    return {"id": nothing.delay("n1").id}


@api.get("/status/{id}")
async def status(id: str):
    return {"id": id, "status": app.AsyncResult(id).state}
