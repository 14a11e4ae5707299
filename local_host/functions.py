"""What function_app.py declares: found as the Python worker finds it, and checked as the host would check it.

Source: the worker's `loader.index_function_app` and `functions.Registry` (package azure-functions-runtime).
"""

import importlib
import inspect
import logging
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from azure.functions import FunctionRegister
from azure.functions.decorators.function_app import Function

from local_host.errors import FunctionAppError, in_one_line

MODULE = "function_app"
_log = logging.getLogger(__name__)


class Trigger(StrEnum):
    """Triggers this host can pull, by their binding type."""

    HTTP = "httpTrigger"
    TIMER = "timerTrigger"
    ORCHESTRATION = "orchestrationTrigger"
    ACTIVITY = "activityTrigger"


_INPUTS = frozenset({"durableClient", "orchestrationClient"})
_OUTPUTS = frozenset({"http"})


@dataclass(frozen=True)
class AppFunction:
    """One function of the app. `call` is what the worker would run: the SDK's wrapper around the user's code."""

    name: str
    trigger: Trigger
    argument: str
    call: Callable[..., Any]
    directory: Path
    clients: tuple[str, ...] = ()
    takes_context: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    @property
    def route(self) -> str | None:
        return self.settings.get("route")

    @property
    def methods(self) -> frozenset[str]:
        """Declared HTTP methods, upper case; empty for all."""
        return frozenset(str(getattr(method, "value", method)).upper() for method in self.settings.get("methods") or ())

    @property
    def durable_name(self) -> str:
        """The name orchestrators and clients use for it."""
        return self.settings.get("activity") or self.settings.get("orchestration") or self.name


def load_functions(app_root: Path) -> Sequence[AppFunction]:
    """Import function_app.py and list its functions by name, ignoring case, as the host registers them.

    FunctionAppError says what the worker or host would refuse, AppRefusedError what the app itself refuses; any other
    error of the app's own code passes through.
    """
    if not (app_root / f"{MODULE}.py").is_file():
        raise FunctionAppError(f"there is no {MODULE}.py in {app_root}: run this in the function app's folder")
    if str(app_root) not in sys.path:
        sys.path.insert(0, str(app_root))
    with in_one_line():
        return functions_of(_the_app(importlib.import_module(MODULE)))


def functions_of(app: FunctionRegister) -> Sequence[AppFunction]:
    """The functions of an app by name, ignoring case (once: the SDK cannot list an app's functions twice).

    One that needs a trigger or binding that is not served here is left out, with a warning of one line.
    """
    try:
        declared = app.get_functions()
    except ValueError as error:
        raise FunctionAppError(str(error)) from error
    served = (describe(function) for function in declared if _is_served(function))
    return sorted(served, key=lambda function: function.name.upper())


def of_trigger(functions: Iterable[AppFunction], trigger: Trigger) -> list[AppFunction]:
    """Those of one trigger type."""
    return [function for function in functions if function.trigger is trigger]


def describe(function: Function) -> AppFunction:
    """One declared function whose bindings are served here; FunctionAppError where a parameter does not fit."""
    name = str(function.get_function_name())
    trigger = function.get_trigger()
    assert trigger is not None
    clients = [str(binding.name) for binding in function.get_bindings() if binding.type in _INPUTS]
    call = function.get_user_function()
    takes_context = _check_parameters(name, call, {str(trigger.name), *clients})
    return AppFunction(
        name=name,
        trigger=Trigger(trigger.type),
        argument=str(trigger.name),
        call=call,
        directory=Path(inspect.getfile(call)).parent,
        clients=tuple(clients),
        takes_context=takes_context,
        settings=trigger.get_dict_repr() | _durable_names(trigger),
    )


def _the_app(module: types.ModuleType) -> FunctionRegister:
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if not apps:
        raise FunctionAppError(f"could not find a top level function app instance in {MODULE}.py")
    if len(apps) > 1:
        raise FunctionAppError(f"more than one top level function app instance is defined in {MODULE}.py")
    return apps[0]


def _durable_names(trigger: object) -> dict[str, Any]:
    return {name: getattr(trigger, name) for name in ("activity", "orchestration") if getattr(trigger, name, None)}


def _is_served(function: Function) -> bool:
    """Whether this host has all that the function is bound to; it says so where it has not."""
    name, trigger = function.get_function_name(), function.get_trigger()
    if trigger is None:
        raise FunctionAppError(f"function '{name}' does not have a trigger")
    served = {*Trigger, *_INPUTS, *_OUTPUTS}
    others = [f"binding '{binding.name}' of type '{binding.type}'" for binding in function.get_bindings()
              if binding.type not in served]  # fmt: skip
    if others:
        _log.warning(
            "Function '%s' (%s) is left out: the local host does not serve its %s; use `func start` for it",
            name,
            trigger.type,
            " and ".join(others),
        )
    return not others


def _check_parameters(name: str, call: Callable[..., Any], bound: set[str]) -> bool:
    """The worker's checks of a signature; returns whether the function asks for its context."""
    parameters = set(inspect.signature(call).parameters)
    takes_context = "context" in parameters and "context" not in bound
    parameters -= {"context"} - bound
    if parameters - bound:
        raise FunctionAppError(
            f"cannot load the {name} function: the following parameters are declared in Python but not in the "
            f"function decorators: {', '.join(sorted(parameters - bound))}"
        )
    if bound - parameters:
        raise FunctionAppError(
            f"cannot load the {name} function: the following parameters are declared as bindings but are not "
            f"present in Python: {', '.join(sorted(bound - parameters))}"
        )
    try:
        annotations = typing.get_type_hints(call)
    except NameError as error:
        raise FunctionAppError(f"cannot load the {name} function: an annotation does not resolve: {error}") from error
    for parameter in sorted(parameters):
        annotation = annotations.get(parameter)
        # The worker takes classes and the generics of `typing`; `dict[str, Any]` and unions take the whole app down.
        is_union = typing.get_origin(annotation) is typing.Union
        if isinstance(annotation, types.GenericAlias | types.UnionType) or is_union:
            raise FunctionAppError(
                f"cannot load the {name} function: binding {parameter} has invalid non-type annotation {annotation}"
            )
    return takes_context
