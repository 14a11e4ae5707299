"""The parts of an expression, as the parser makes them: names are not looked up and types are not known yet."""

from shared.contracts.odata.query.literals import Literal
from shared.frozen import frozen


@frozen(kw_only=True)
class Node:
    """A part of an expression. `position` counts the characters before it; `depth` is that of what it contains."""

    position: int
    depth: int = 1


@frozen(kw_only=True)
class Constant(Node):
    literal: Literal


@frozen(kw_only=True)
class Alias(Node):
    """`@name`: a value that the query gives elsewhere."""

    name: str


@frozen(kw_only=True)
class Path(Node):
    """`a/b/c`; with `is_count` it ends in `/$count`."""

    names: tuple[str, ...]
    is_count: bool = False


@frozen(kw_only=True)
class Quantifier(Node):
    """`names/any(variable:body)` or all; `body` is None for `any()`."""

    names: tuple[str, ...]
    is_all: bool
    variable: str = ""
    body: Node | None = None


@frozen(kw_only=True)
class FunctionCall(Node):
    name: str
    arguments: tuple[Node, ...]


@frozen(kw_only=True)
class Unary(Node):
    """`operator` is `not` or `-`."""

    operator: str
    operand: Node


@frozen(kw_only=True)
class Binary(Node):
    """A comparison or an arithmetic operation; `operator` is in lower case."""

    operator: str
    left: Node
    right: Node


@frozen(kw_only=True)
class Junction(Node):
    """`parts` joined by `and` or `or`, which is `operator`."""

    operator: str
    parts: tuple[Node, ...]


@frozen(kw_only=True)
class Among(Node):
    """`operand in (items)`."""

    operand: Node
    items: tuple[Constant | Alias, ...]


@frozen(kw_only=True)
class Within(Node):
    """`operand in path`, where the path leads to a collection."""

    operand: Node
    collection: Node


@frozen
class Order:
    """One item of `$orderby`."""

    value: Node
    descending: bool
