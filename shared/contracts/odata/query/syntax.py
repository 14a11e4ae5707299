"""The syntax of `$filter` and `$orderby`: from text to a tree.

OData URL Conventions 4.01, section 5.1.1 "Common Expression Syntax"; the precedence is that of 5.1.1.17. Names of
operators and functions come in any case, as 4.01 demands. The grammar is `grammar.lark`. Its parser is table-driven and
builds the tree as it reduces, so that no text can exhaust the stack; how deep a tree nests is counted on the way.
"""

from typing import Any, NoReturn, cast

from shared.contracts.odata.limits import MAX_LENGTH
from shared.contracts.odata.query import nodes
from shared.contracts.odata.query.hints import hint, unsupported
from shared.contracts.odata.query.lalr import EndsEarly, Unexpected, Unreadable, parser
from shared.contracts.odata.query.literals import read_literal
from shared.errors import RequestError
from shared.frozen import replace

MAX_DEPTH = 64
"""How deep parentheses, functions, signs and chains of operators nest; `and` and `or` chain without a limit."""

_MAX_PROBLEM = 400


def parse_filter(text: str, *, option: str = "$filter") -> nodes.Node:
    """The tree of a `$filter`. Raises RequestError 400 InvalidExpression that names `option` and the position."""
    return cast(nodes.Node, _parse("filter", text, option))


def parse_ordering(text: str) -> list[nodes.Order]:
    """The items of `$orderby`. Raises RequestError 400 InvalidExpression."""
    return cast(list[nodes.Order], _parse("ordering", text, "$orderby"))


def parse_alias(name: str, text: str) -> nodes.Constant:
    """The value of the parameter alias `name`: a literal. Raises RequestError 400 InvalidExpression."""
    node = _parse("alias", text, name)
    if not isinstance(node, nodes.Constant):
        invalid(name, "it refers to another alias; write a value")
    return node


def invalid(option: str, problem: str) -> NoReturn:
    # A message repeats names and values, which are as long as the caller likes.
    short = problem if len(problem) <= _MAX_PROBLEM else f"{problem[:_MAX_PROBLEM]}..."
    raise RequestError(400, "InvalidExpression", f"{option} does not fit: {short}.", target=option)


def _parse(start: str, text: str, option: str) -> object:
    if len(text) > MAX_LENGTH:
        invalid(option, f"it has more than {MAX_LENGTH} characters")
    try:
        return parser().parse(start, text, _BUILDER)
    except _TooDeep as error:
        invalid(option, f"it nests deeper than {MAX_DEPTH} at position {error.position + 1}")
    except ValueError as error:
        invalid(option, str(error))
    except Unreadable as error:
        at = error.position
        _unread(option, text, at, f"it cannot be read at position {at + 1}, before {text[at : at + 20]!r}")
    except Unexpected as error:
        at = error.position
        _unread(option, text, at, f"{error.found[:40]!r} was not expected at position {at + 1}")
    except EndsEarly:
        invalid(option, "it ends too early")


def _unread(option: str, text: str, at: int, problem: str) -> NoReturn:
    if (part := unsupported(text, at)) is not None:
        message = f"{part} is not supported, at position {at + 1}."
        raise RequestError(501, "ExpressionNotSupported", message, target=option)
    invalid(option, problem + hint(text, at))


class _TooDeep(Exception):
    def __init__(self, position: int) -> None:
        self.position = position


class _Builder:
    """One method for each rule of the grammar; `children` are tokens and what the methods made."""

    def literal(self, children: list[Any]) -> nodes.Node:
        (token,) = children
        if token.type == "ALIAS":
            return nodes.Alias(name=str(token), position=token.start_pos)
        return nodes.Constant(literal=read_literal(token.type, str(token)), position=token.start_pos)

    def names(self, children: list[Any]) -> list[Any]:
        if isinstance(children[0], list):
            found = cast(list[Any], children[0])
            found.append(children[1])
            return found
        return children

    def path(self, children: list[Any]) -> nodes.Node:
        return nodes.Path(names=tuple(map(str, children[0])), position=children[0][0].start_pos)

    def count(self, children: list[Any]) -> nodes.Node:
        return nodes.Path(names=tuple(map(str, children[0])), is_count=True, position=children[0][0].start_pos)

    def quantifier(self, children: list[Any]) -> nodes.Node:
        names, kind, *rest = children
        variable, body = rest or ("", None)
        return nodes.Quantifier(
            names=tuple(map(str, names)),
            is_all=kind.type == "ALL",
            variable=str(variable),
            body=body,
            position=names[0].start_pos,
            depth=_over(names[0].start_pos, *(rest[1:])),
        )

    def call(self, children: list[Any]) -> nodes.Node:
        name, *arguments = children
        depth = _over(name.start_pos, *arguments)
        return nodes.FunctionCall(name=str(name), arguments=tuple(arguments), position=name.start_pos, depth=depth)

    def group(self, children: list[Any]) -> nodes.Node:
        (inner,) = children
        # A group is no node: its depth is added to what it holds.
        return replace(inner, depth=_over(inner.position, inner))

    def sign(self, children: list[Any]) -> nodes.Node:
        token, operand = children
        return nodes.Unary(
            operator=str(token).lower(),
            operand=operand,
            position=token.start_pos,
            depth=_over(token.start_pos, operand),
        )

    def chain(self, children: list[Any]) -> nodes.Node:
        node = cast(nodes.Node, children[0])
        for operator, right in zip(children[1::2], children[2::2], strict=True):
            depth = _over(operator.start_pos, node, right)
            node = nodes.Binary(
                operator=str(operator).lower(), left=node, right=right, position=operator.start_pos, depth=depth
            )
        return node

    def conjunction(self, children: list[Any]) -> nodes.Node:
        return self._junction("and", children)

    def disjunction(self, children: list[Any]) -> nodes.Node:
        return self._junction("or", children)

    def among(self, children: list[Any]) -> nodes.Node:
        operand, *items = children
        depth = _over(operand.position, operand)
        return nodes.Among(operand=operand, items=tuple(items), position=operand.position, depth=depth)

    def within(self, children: list[Any]) -> nodes.Node:
        operand, collection = children
        depth = _over(operand.position, operand)
        return nodes.Within(operand=operand, collection=collection, position=operand.position, depth=depth)

    def flags(self, children: list[Any]) -> nodes.Node:
        message = "'has' is for enumerations with flags, and there are none here."
        raise RequestError(501, "ExpressionNotSupported", message)

    def order(self, children: list[Any]) -> nodes.Order:
        return nodes.Order(children[0], len(children) > 1 and children[1].type == "DESC")

    def ordering(self, children: list[Any]) -> list[nodes.Order]:
        return children

    def _junction(self, operator: str, children: list[Any]) -> nodes.Node:
        position = children[0].position
        return nodes.Junction(
            operator=operator, parts=tuple(children), position=position, depth=_over(position, *children)
        )


_BUILDER = _Builder()


def _over(position: int, *inner: nodes.Node) -> int:
    depth = 1 + max((node.depth for node in inner), default=0)
    if depth > MAX_DEPTH:
        raise _TooDeep(position)
    return depth
