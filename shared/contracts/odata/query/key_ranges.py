"""Which keys a filter can match at all: a filter on the key then reads a part of the set, and not all of it."""

from collections.abc import Callable, Iterable
from functools import partial
from operator import lt

from shared.actions.odata.edm import StructuredType
from shared.contracts.odata.query.nodes import Binary, Constant, FunctionCall, Junction, Node, Path
from shared.frozen import frozen

_MIRRORED = {"eq": "eq", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


@frozen
class KeyRange:
    """Keys beyond `after`, up to the first one for which `is_beyond`; None and never: all keys."""

    after: str | None = None
    is_beyond: Callable[[str], bool] = lambda key: False

    def start(self, after: str | None) -> str | None:
        """Where to start reading, given that nothing up to `after` is wanted."""
        found = [bound for bound in (self.after, after) if bound is not None]
        return max(found, default=None)


def key_range(node: Node, entity_type: StructuredType) -> KeyRange:
    """The range of a filter whose types have been checked, by its comparisons of the key that `and` joins."""
    key = entity_type.key.name if entity_type.key else ""
    lower: list[str] = []
    beyond: list[Callable[[str], bool]] = []
    for part in _conjuncts(node):
        operator, text = _of_key(part, key)
        if operator == "gt":
            lower.append(text)
        if operator in ("eq", "ge", "startswith"):
            # No text is right before another one; the one without its last character is before it, and close.
            lower.append(text[:-1])
        if operator in ("eq", "lt", "le"):
            beyond.append(partial(lt, text))
        if operator == "startswith":
            beyond.append(lambda key, prefix=text: key[: len(prefix)] > prefix)
    return KeyRange(max(lower, default="") or None, lambda key: any(is_beyond(key) for is_beyond in beyond))


def _of_key(node: Node, key: str) -> tuple[str, str]:
    """The operator and the text that a part compares the key with, the key on the left; nothing for other parts."""
    match node:
        case FunctionCall(name=name, arguments=(Path() as path, Constant() as value)) if name.lower() == "startswith":
            operator = "startswith"
        case Binary(operator=name, left=Path() as path, right=Constant() as value) if name in _MIRRORED:
            operator = name
        case Binary(operator=name, left=Constant() as value, right=Path() as path) if name in _MIRRORED:
            operator = _MIRRORED[name]
        case _:
            return "", ""
    text = value.literal.value
    return (operator, text) if _is_key(path, key) and isinstance(text, str) else ("", "")


def _conjuncts(node: Node) -> Iterable[Node]:
    if isinstance(node, Junction) and node.operator == "and":
        for part in node.parts:
            yield from _conjuncts(part)
    else:
        yield node


def _is_key(path: Path, key: str) -> bool:
    names = path.names[1:] if path.names[0].lower() == "$it" else path.names
    return names == (key,) and not path.is_count
