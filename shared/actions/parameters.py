"""What the parameters of declarations take, checked when the app starts.

A wrong value, a wrong name and a missing parameter are refused in a sentence that names the module, the function and
the parameter, and shows the right form:

    actions.books.upload_finish: retry=True is not a retry policy; write retry=3 or retry=Retry(max_attempts=3)
"""

import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

from shared.errors import DeclarationError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Declared = TypeVar("Declared")

_LONGEST_VALUE = 80
_OURS = "shared.actions"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of parameter."""

    kind: str
    """What a value has to be: "a retry policy"."""
    forms: tuple[str, ...]
    """Python that is right, without the parameter's name."""
    fits: Callable[[Any], bool]

    def refusal(self, where: str, name: str, value: Any) -> DeclarationError:
        """The sentence about a value that does not fit."""
        forms = " or ".join(f"{name}={form}" for form in self.forms)
        return DeclarationError(f"{where}: {name}={_shown(value)} is not {self.kind}; write {forms}")


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def matches(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_count(value: Any) -> bool:
    """A whole number, at least 1; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def is_list(value: Any, each: Callable[[Any], bool] = is_text) -> bool:
    """Several values; a string is none, though it is a sequence of strings."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    return len(typing.cast(Sequence[Any], value)) > 0 and all(map(each, typing.cast(Sequence[Any], value)))


def takes(value: Any, arguments: int) -> bool:
    """Whether `value` can be called with so many positional arguments."""
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:  # A builtin that does not say what it takes.
        return True
    return True


ROUTE = Rule("a route", ('"book/{id}"',), is_text)
RESOURCE_TEMPLATE = Rule("the template of a resource", ('"book/{id}"',), is_text)
TRUTH = Rule("a truth value", ("True",), lambda value: isinstance(value, bool))
RETRY_AFTER = Rule("a whole number of seconds, at least 1", ("10",), is_count)
MODEL = Rule("a pydantic model", ("Book",), is_model)


def where_of(function: Any) -> str:
    """`module.function`, for messages; the place of a declaration that is put on another one."""
    if isinstance(where := getattr(function, "where", None), str):
        return where
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or type(function).__module__}.{name}"


def decorator(
    **rules: Rule,
) -> Callable[[Callable[P, Callable[[T], Declared]]], Callable[P, Callable[[T], Declared]]]:
    """Have the parameters of a function that makes a decorator checked once the decorated function is known.

    There is a rule for every parameter; TypeError, on import, where one is forgotten.
    """

    def wrap(make: Callable[P, Callable[[T], Declared]]) -> Callable[P, Callable[[T], Declared]]:
        parameters = _Parameters(make, rules)

        @wraps(make)
        def with_parameters(*args: P.args, **kwargs: P.kwargs) -> Callable[[T], Declared]:
            for value in args:
                if inspect.isroutine(value):
                    message = f"write @{make.__name__}(...), with its parameters in parentheses"
                    raise DeclarationError(f"{where_of(value)}: {message}")

            def declare(function: T) -> Declared:
                parameters.check(where_of(function), args, kwargs)
                return make(*args, **kwargs)(function)

            return declare

        return with_parameters

    return wrap


def checked(**rules: Rule) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have the parameters of a method or a constructor checked when it is called; as `decorator` otherwise."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        parameters = _Parameters(function, rules)

        @wraps(function)
        def with_parameters(*args: P.args, **kwargs: P.kwargs) -> R:
            parameters.check(None, args, kwargs)
            return function(*args, **kwargs)

        return with_parameters

    return wrap


def checked_fields(**rules: Rule) -> Callable[[type[T]], type[T]]:
    """Have the fields of a dataclass, and of those derived from it, checked when one is made."""

    def wrap(made: type[T]) -> type[T]:
        constructor: Any = made.__init__
        setattr(made, "__init__", checked(**rules)(constructor))  # noqa: B010 - a type checker keeps the dataclass's own
        return made

    return wrap


class _Parameters:
    """The parameters of one function, those of its `Unpack[...]` among them, each with its rule."""

    def __init__(self, function: Callable[..., Any], rules: Mapping[str, Rule]) -> None:
        found: list[inspect.Parameter] = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                [named] = typing.get_args(parameter.annotation)
                found += [parameter.replace(name=each, kind=_KEYWORD, default=None) for each in named.__annotations__]
            else:
                found.append(parameter)
        self._signature = inspect.Signature(found)
        self._own = {name: parameter for name, parameter in self._signature.parameters.items() if name != "self"}
        self._label = function.__name__
        self._rules = rules
        if set(rules) != set(self._own):
            raise TypeError(f"{function.__qualname__}: rules and parameters differ in {set(rules) ^ set(self._own)}")

    def check(self, where: str | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise DeclarationError for what does not fit; without `where` the place of the call is named."""
        try:
            given = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            label = type(args[0]).__name__ if self._label == "__init__" else self._label
            names = ", ".join(self._own)
            raise DeclarationError(f"{where or _caller()}: {label}: {error}; it takes {names}") from None
        for name, value in given.items():
            parameter = self._own.get(name)
            if parameter is None or (value is None and _may_be_none(parameter)):
                continue
            if not self._rules[name].fits(value):
                raise self._rules[name].refusal(where or _caller(), name, value)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _may_be_none(parameter: inspect.Parameter) -> bool:
    return parameter.default is None and type(None) in typing.get_args(parameter.annotation)


def _caller() -> str:
    """Where user code made a value: the module, and the line in it."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith((_OURS, "dataclasses")):
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__', '?')}, line {frame.f_lineno}" if frame else _OURS


def _shown(value: Any) -> str:
    text = value.__qualname__ if isinstance(value, type) else " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
