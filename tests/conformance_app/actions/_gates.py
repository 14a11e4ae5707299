"""Handlers here end when they are told to: after somebody has seen their operation at work."""

import asyncio

_opened: dict[str, asyncio.Event] = {}


async def pass_through(operation_id: str) -> None:
    """Wait until the gate of the operation is opened."""
    await _opened.setdefault(operation_id, asyncio.Event()).wait()


def open_gate(operation_id: str) -> None:
    _opened.setdefault(operation_id, asyncio.Event()).set()


def shut_gate(operation_id: str) -> None:
    """For an id that is used again."""
    _opened.pop(operation_id, None)


def is_open(operation_id: str) -> bool:
    return operation_id in _opened and _opened[operation_id].is_set()
