"""From the parts of an expression to typed values: names are looked up and every type is checked."""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from shared.actions.odata.edm import StructuredType, TypeRef
from shared.contracts.odata.query import expression_values as values
from shared.contracts.odata.query import nodes
from shared.contracts.odata.query.evaluation import apply, equality, joined, quantified, relation
from shared.contracts.odata.query.functions import FUNCTIONS, NOT_SUPPORTED, NUMERIC, arithmetic
from shared.contracts.odata.query.literals import NULL, Literal
from shared.contracts.odata.query.syntax import invalid, parse_alias
from shared.errors import RequestError

MAX_ITEMS = 500
"""Values in the list of one `in`."""

_BOOLEAN = TypeRef("Edm.Boolean", nullable=True)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


class Compiler:
    """Turns the nodes of one expression into typed values. It recurses as deep as the parser lets a tree nest."""

    def __init__(
        self, entity_type: StructuredType, *, option: str, aliases: Mapping[str, str], now: datetime | None
    ) -> None:
        self._option = option
        self._aliases = aliases
        self._now = now
        self._root = values.Scope(entity_type, option, {})

    def compile(self, node: nodes.Node) -> values.Value:
        return self._value(node, self._root)

    def _value(self, node: nodes.Node, scope: values.Scope) -> values.Value:  # noqa: PLR0911  # one for each kind of node
        match node:
            case nodes.Constant():
                return values.constant(node.literal)
            case nodes.Alias():
                return self._alias(node)
            case nodes.Path():
                return self._count(node, scope) if node.is_count else values.path(scope, node.names)
            case nodes.FunctionCall():
                return self._call(node, scope)
            case nodes.Quantifier():
                return self._quantifier(node, scope)
            case nodes.Unary():
                return self._unary(node, self._value(node.operand, scope))
            case nodes.Binary(operator=name) if name in _COMPARISONS:
                return self._comparison(node, self._value(node.left, scope), self._value(node.right, scope))
            case nodes.Binary():
                return self._arithmetic(node, self._value(node.left, scope), self._value(node.right, scope))
            case nodes.Junction():
                return self._junction(node, [self._value(part, scope) for part in node.parts])
            case nodes.Among():
                return self._among(node, self._value(node.operand, scope))
            case nodes.Within():
                return self._within(node, self._value(node.operand, scope), self._value(node.collection, scope))
            case _:
                raise AssertionError(node)

    def _alias(self, node: nodes.Alias) -> values.Value:
        text = self._aliases.get(node.name)
        # URL Conventions 4.01, section 5.3 "Parameter Aliases": one without a value is null.
        return values.constant(Literal(NULL, None, node.name) if text is None else parse_alias(node.name, text).literal)

    def _count(self, node: nodes.Path, scope: values.Scope) -> values.Value:
        owner = self._collection(node.names, scope, "/$count")
        get = owner.get
        return values.Value(type=TypeRef("Edm.Int64"), get=lambda env: len(get(env) or ()), text=f"{owner.text}/$count")

    def _call(self, node: nodes.FunctionCall, scope: values.Scope) -> values.Value:
        name = node.name.lower()
        if name == "now" and not node.arguments and self._now is not None:
            return values.constant(Literal("Edm.DateTimeOffset", self._now, "now()"))
        if name in NOT_SUPPORTED or name == "now":
            message = f"The function {node.name!r} is not supported."
            raise RequestError(501, "ExpressionNotSupported", message, target=self._option)
        if name not in FUNCTIONS:
            instead = "; OData 4 has contains(text, part)" if node.name.lower() == "substringof" else ""
            self._refuse(node, f"there is no function {node.name!r}{instead}")
        arguments = [self._value(argument, scope) for argument in node.arguments]
        for types, result, compute in FUNCTIONS[name]:
            if len(types) != len(arguments):
                continue
            fitting = [values.with_type_of(argument, type) for argument, type in zip(arguments, types, strict=True)]
            if all(a.primitive in (type, NULL) for a, type in zip(fitting, types, strict=True)):
                type = TypeRef(result, nullable=True)
                return values.Value(type=type, get=apply(compute, [a.get for a in fitting]), text=f"{name}(...)")
        takes = " or ".join(f"({', '.join(types)})" for types, _, _ in FUNCTIONS[name])
        given = ", ".join(str(argument.type) for argument in arguments)
        self._refuse(node, f"{name} takes {takes}, not ({given})")

    def _quantifier(self, node: nodes.Quantifier, scope: values.Scope) -> values.Value:
        kind = "all" if node.is_all else "any"
        if scope.innermost and node.names[0] != scope.innermost:
            # What is inside runs once for each member outside: two unrelated collections would multiply.
            self._refuse(node, f"{kind} inside another one starts at its variable, {scope.innermost!r}")
        owner = self._collection(node.names, scope, f"/{kind}")
        if node.body is None:
            if node.is_all:
                self._refuse(node, "all takes a variable and a condition, such as all(x: x ne 'a')")
            get = owner.get
            return values.Value(type=_BOOLEAN, get=lambda env: bool(get(env)), text=f"{owner.text}/any()")
        member = TypeRef(owner.type.name, nullable=True, structured=owner.type.structured)
        place = 1 + len(scope.variables)
        if node.variable in scope.variables:
            self._refuse(node, f"the variable {node.variable!r} is taken")
        inner = values.Scope(
            scope.root, scope.option, {**scope.variables, node.variable: (place, member)}, node.variable
        )
        body = self._boolean(node, self._value(node.body, inner))
        return values.Value(
            type=_BOOLEAN, get=quantified(owner.get, body.get, node.is_all), text=f"{owner.text}/{kind}(...)"
        )

    def _unary(self, node: nodes.Unary, operand: values.Value) -> values.Value:
        if node.operator == "not":
            return values.Value(
                type=_BOOLEAN, get=apply(operator.not_, [self._boolean(node, operand).get]), text="not ..."
            )
        if operand.primitive not in (*NUMERIC, "Edm.Duration", NULL):
            self._refuse(node, f"{operand.described()} has no negative")
        return values.Value(type=operand.type, get=apply(operator.neg, [operand.get]), text=f"-{operand.text}")

    def _comparison(self, node: nodes.Binary, left: values.Value, right: values.Value) -> values.Value:
        left, right = self._pair(node, left, right)
        if node.operator not in ("eq", "ne") and (left.type.structured or right.type.structured):
            self._refuse(node, f"{left.described()} and {right.described()} have no order")
        compare = _COMPARISONS[node.operator]
        if node.operator in ("eq", "ne"):
            get = equality(compare, left.get, right.get)
        else:
            get = relation(compare, left.get, right.get, both_null=node.operator in ("ge", "le"))
        return values.Value(type=_BOOLEAN, get=get, text=f"{left.text} {node.operator} {right.text}")

    def _arithmetic(self, node: nodes.Binary, left: values.Value, right: values.Value) -> values.Value:
        text = f"{left.text} {node.operator} {right.text}"
        left, right = values.with_type_of(left, right.primitive), values.with_type_of(right, left.primitive)
        if left.is_null or right.is_null:
            return values.constant(Literal(NULL, None, text))
        found = arithmetic(node.operator, left.primitive, right.primitive)
        if found is None:
            self._refuse(node, f"{node.operator} does not take {left.described()} and {right.described()}")
        return values.Value(
            type=TypeRef(found[0], nullable=True), get=apply(found[1], [left.get, right.get]), text=text
        )

    def _junction(self, node: nodes.Junction, parts: list[values.Value]) -> values.Value:
        getters = [self._boolean(node, part).get for part in parts]
        return values.Value(
            type=_BOOLEAN, get=joined(getters, decisive=node.operator == "or"), text=f"... {node.operator}"
        )

    def _among(self, node: nodes.Among, operand: values.Value) -> values.Value:
        if len(node.items) > MAX_ITEMS:
            self._refuse(node, f"in has more than {MAX_ITEMS} values")
        if operand.type.structured:
            self._refuse(node, f"{operand.described()} is in no list of values")
        # Null compares with what any list may be asked about, an empty one as well.
        self._pair(node, operand, values.constant(Literal(NULL, None, "null")))
        pairs = [self._pair(node, operand, self._value(item, self._root)) for item in node.items]
        types = {side.primitive for pair in pairs for side in pair}
        if "Edm.Double" in types:
            pairs = [(values.as_double(left), values.as_double(right)) for left, right in pairs]
        # A string literal before `in` is a duration where the list's members are.
        get = next((left for left, right in pairs if not right.is_null), operand).get
        found = frozenset(right.literal.value if right.literal else None for _, right in pairs)
        return values.Value(type=_BOOLEAN, get=lambda env: get(env) in found, text=f"{operand.text} in (...)")

    def _within(self, node: nodes.Within, operand: values.Value, collection: values.Value) -> values.Value:
        if not collection.type.is_collection:
            self._refuse(node, f"{collection.described()} is no collection; write a list such as ('a', 'b')")
        member = values.Value(
            type=TypeRef(collection.type.name), get=collection.get, text=f"a member of {collection.text}"
        )
        operand = values.with_type_of(operand, member.primitive)
        if collection.type.structured or operand.type.structured or not values.comparable(operand, member):
            self._refuse(node, f"{operand.described()} and {member.described()} do not compare")
        convert = float if "Edm.Double" in (operand.primitive, member.primitive) else values.normalizer(member.type)
        operand = values.as_double(operand) if convert is float else operand
        get, members = operand.get, collection.get
        return values.Value(
            type=_BOOLEAN,
            get=lambda env: get(env) in list(values.items(members(env), convert)),
            text=f"{operand.text} in {collection.text}",
        )

    def _pair(self, node: nodes.Node, left: values.Value, right: values.Value) -> tuple[values.Value, values.Value]:
        """Both sides of a comparison in types that Python compares as OData does."""
        left, right = values.with_type_of(left, right.primitive), values.with_type_of(right, left.primitive)
        if not values.comparable(left, right):
            problem = f"{left.described()} and {right.described()} do not compare"
            for side in (left, right):
                if side.type.is_collection:
                    problem = f"{side.text} is a collection; write {side.text}/any(x: ...)"
            self._refuse(node, problem)
        if "Edm.Double" in (left.primitive, right.primitive):
            return values.as_double(left), values.as_double(right)
        return left, right

    def _collection(self, names: tuple[str, ...], scope: values.Scope, suffix: str) -> values.Value:
        found = values.path(scope, names)
        if not found.type.is_collection:
            invalid(self._option, f"{found.described()} before {suffix} is no collection")
        return found

    def _boolean(self, node: nodes.Node, value: values.Value) -> values.Value:
        if value.primitive not in ("Edm.Boolean", NULL):
            self._refuse(node, f"{value.described()} is neither true nor false")
        return value

    def _refuse(self, node: nodes.Node, problem: str) -> NoReturn:
        invalid(self._option, f"{problem}, at position {node.position + 1}")
