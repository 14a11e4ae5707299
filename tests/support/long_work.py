"""Work with steps, checkpoints and a park, which writes down what it does: whoever dies when, each step counts once."""

import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import Field

from shared.actions import ActionContext, ContinueLater, Model, SyncActionContext, action

PARKING = {"park_after": 1.0}
"""A field of `Timing`, with which the work parks."""

_LARGE = "x" * 40_000
"""Makes a checkpoint a blob."""


class LongWork(Model):
    """`rounds` steps with a checkpoint behind each; behind the first half of them it waits for two seconds."""

    id: str
    log: str
    rounds: int = Field(6, ge=1, le=100)
    seconds: float = Field(0.1, ge=0, le=10)
    """Of a round."""


class LongWorkDone(Model):
    """What each step has come to."""

    values: list[str]


class _Rounds:
    """The same for both kinds of handlers: where it goes on, and what is saved."""

    def __init__(self, context: ActionContext | SyncActionContext, request: LongWork) -> None:
        self.values: list[str] = list((context.saved or {"values": []})["values"])
        self._name, self._request = context.operation_id, request

    @property
    def is_over(self) -> bool:
        return len(self.values) == self._request.rounds

    @property
    def key(self) -> str:
        return f"step-{len(self.values)}"

    def step(self) -> str:
        value = uuid4().hex
        self._note("did", value)
        return value

    def take(self, value: str) -> dict[str, Any]:
        """The checkpoint behind this step."""
        self._note("got", value)
        self.values.append(value)
        return {"values": self.values, "filling": _LARGE if len(self.values) % 2 else ""}

    def end_slice(self) -> None:
        if len(self.values) == self._request.rounds // 2:
            raise ContinueLater(after="2s")

    def _note(self, word: str, value: str) -> None:
        line = json.dumps([self._name, len(self.values), word, value])
        file = os.open(self._request.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)


@action("long:async", post="long/{id}:async", max_lost=50)
async def work(context: ActionContext, request: LongWork) -> LongWorkDone:
    rounds = _Rounds(context, request)
    while not rounds.is_over:
        value = await context.once(rounds.key, partial(rounds.step))
        state = rounds.take(value)
        await asyncio.sleep(request.seconds)
        await context.save(state, flush=len(rounds.values) == 3)
        rounds.end_slice()
    return LongWorkDone(values=rounds.values)


@action("long:def", post="long/{id}:def", max_lost=50)
def work_in_a_thread(context: SyncActionContext, request: LongWork) -> LongWorkDone:
    rounds = _Rounds(context, request)
    while not rounds.is_over:
        value = context.once(rounds.key, partial(rounds.step))
        state = rounds.take(value)
        time.sleep(request.seconds)
        context.save(state, flush=len(rounds.values) == 3)
        rounds.end_slice()
    return LongWorkDone(values=rounds.values)


KINDS = ("async", "def")


def until_begun(log: Path, operation_id: str, *, within: float = 60) -> None:
    """Wait for its first step."""
    deadline = time.monotonic() + within
    while not log.exists() or f'["{operation_id}", 0, "did"' not in log.read_text():
        assert time.monotonic() < deadline, f"{operation_id} has not begun"
        time.sleep(0.01)


def check_steps(log: Path, states: Iterable[Mapping[str, Any]], *, deaths: int) -> None:
    """Each operation has succeeded. What a step came to when it was first stored is what it counts as ever after.

    It is called again only where its process died before that: never behind the first time that somebody got it.
    """
    lines: dict[tuple[str, int], list[list[str]]] = {}
    for name, number, *what in map(json.loads, log.read_text().splitlines()):
        lines.setdefault((name, number), []).append(what)
    for state in states:
        assert state["status"] == "Succeeded", state
        for number, value in enumerate(state["result"]["values"]):
            words = [word for word, _ in lines[state["id"], number]]
            got = {each for word, each in lines[state["id"], number] if word == "got"}
            assert got == {value}, (state, number)
            assert words == sorted(words), (state, number, "done again after it was stored")
            assert 1 <= words.count("did") <= 1 + deaths, (state, number)
