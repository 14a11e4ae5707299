"""`$filter`: from a parsed text to a predicate over entities, with every type checked before the first entity is seen.

OData URL Conventions 4.01, section 5.1.1 "Common Expression Syntax": a discrepancy of types that the model shows is
refused, null is unknown to `and`, `or` and `not`, and what is not true is not in the result (5.1.2).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from shared.actions.odata.edm import StructuredType
from shared.contracts.odata.query.compiling import Compiler
from shared.contracts.odata.query.expression_values import Environment, Getter
from shared.contracts.odata.query.literals import NULL
from shared.contracts.odata.query.nodes import Node
from shared.contracts.odata.query.syntax import invalid
from shared.errors import RequestError

Predicate = Callable[[BaseModel], bool]


def compile_filter(
    tree: Node, entity_type: StructuredType, *, aliases: Mapping[str, str], now: datetime | None
) -> Predicate:
    """What a parsed text asks of an entity. `aliases` are the query's `@name=value`; `now` is what `now()` means.

    Raises RequestError 400 InvalidExpression that says what does not fit and where, 501 ExpressionNotSupported for what
    OData has and this does not do. The predicate raises RequestError 400 ExpressionFailed where it has no result, as
    after a division of whole numbers by zero.
    """
    value = Compiler(entity_type, option="$filter", aliases=aliases, now=now).compile(tree)
    if value.primitive not in ("Edm.Boolean", NULL):
        invalid("$filter", f"{value.described()} is neither true nor false")
    get = guarded(value.get, entity_type, "$filter")
    return lambda entity: get((entity,)) is True


def guarded(get: Getter, entity_type: StructuredType, option: str) -> Getter:
    """`get`, which names the entity for which there is no result."""
    key = entity_type.key.field if entity_type.key else ""

    def guard(environment: Environment) -> Any:
        try:
            return get(environment)
        except (ArithmeticError, ValueError) as error:
            name = getattr(environment[0], key, "")
            message = f"{option} has no result for {name!r}: {str(error) or type(error).__name__}."
            raise RequestError(400, "ExpressionFailed", message, target=option) from None

    return guard
