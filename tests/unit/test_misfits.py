"""Bodies that do not fit in very many places: the answer names the first ones, and costs no more than the check."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import Field, ValidationError

from shared.actions.models import Model
from shared.contracts.bodies import parse_input, validated_json
from shared.errors import ErrorDetail, RequestError


class Line(Model):
    """One of many."""

    name: str
    pages: int = 1


class Order(Model):
    """What is sent."""

    id: str
    lines: list[Line] = Field(default_factory=list[Line])
    notes: list[str] = Field(default_factory=list[str])
    first_note: str = ""


def refused(call: Callable[[], object]) -> tuple[ErrorDetail, ...]:
    with pytest.raises(RequestError) as raised:
        call()
    assert raised.value.code == "InvalidInput"
    return tuple(raised.value.details)


def test_the_first_places_are_named() -> None:
    """As for a body with fewer mistakes, also below lists, and beside values that fit."""
    body: dict[str, Any] = {"lines": [{"name": "a"}, *[{"name": 1, "pages": "x"}] * 40_000], "firstNote": 3}
    details = refused(lambda: parse_input(Order, {"id": "o-1"}, body))
    assert [each.target for each in details[:3]] == ["lines.1.name", "lines.1.pages", "lines.2.name"]
    assert len(details) == 50


def test_unknown_members() -> None:
    """Those of the URL, which come last, are not missed."""
    body = {f"m{number}": 1 for number in range(100_000)}
    details = refused(lambda: parse_input(Order, {"id": "o-1"}, body))
    assert {each.code for each in details} == {"UnknownField"}
    assert details[0].target == "m0"


def test_mistakes_that_come_late() -> None:
    """Behind so many values that fit that no answer would name them: how many there are is said."""
    body = {"notes": [*["a"] * 1000, *[1] * 5000]}
    (detail,) = refused(lambda: parse_input(Order, {"id": "o-1"}, body))
    assert (detail.code, detail.message, detail.target) == ("InvalidValue", "5000 values do not fit", None)


def test_what_it_costs() -> None:
    """No more than to find out that the body does not fit: to be told of all places takes several times that."""
    values = {"id": "o-1", "notes": [1] * 130_000}

    def check() -> None:
        with pytest.raises(ValidationError):
            Order.model_validate(values)

    def answer() -> None:
        refused(lambda: validated_json(Order, values))

    def cost(work: Callable[[], None]) -> float:
        costs: list[float] = []
        for _ in range(5):
            began = time.thread_time()
            work()
            costs.append(time.thread_time() - began)
        return min(costs)

    assert cost(answer) < 3 * cost(check)
