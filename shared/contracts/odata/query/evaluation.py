"""How the parts of an expression are computed for one entity, null included (URL Conventions 4.01, section 5.1.1.1)."""

from collections.abc import Callable
from typing import Any

from shared.contracts.odata.query.expression_values import Environment, Getter
from shared.contracts.odata.query.functions import Function


def apply(compute: Function, getters: list[Getter]) -> Getter:
    """Null where an argument is null (section 5.1.1.4)."""
    if len(getters) == 1:
        (get,) = getters

        def one(environment: Environment) -> Any:
            value = get(environment)
            return None if value is None else compute(value)

        return one

    def several(environment: Environment) -> Any:
        values = [get(environment) for get in getters]
        return None if None in values else compute(*values)

    return several


def equality(compare: Callable[[Any, Any], bool], left: Getter, right: Getter) -> Getter:
    # Null equals null alone, as None does.
    return lambda environment: compare(left(environment), right(environment))


def relation(compare: Callable[[Any, Any], bool], left: Getter, right: Getter, *, both_null: bool) -> Getter:
    def related(environment: Environment) -> bool:
        a, b = left(environment), right(environment)
        if a is None or b is None:
            return both_null and a is b
        return compare(a, b)

    return related


def joined(getters: list[Getter], *, decisive: bool) -> Getter:
    """`or` is decided by one that is true, `and` by one that is false; else null makes null (5.1.1.1.7 and 8)."""

    def joined(environment: Environment) -> bool | None:
        result: bool | None = not decisive
        for get in getters:
            value = get(environment)
            if value is decisive:
                return decisive
            if value is None:
                result = None
        return result

    return joined


def quantified(owner: Getter, body: Getter, is_all: bool) -> Getter:
    decide = all if is_all else any
    return lambda env: decide(body((*env, item)) is True for item in owner(env) or ())
