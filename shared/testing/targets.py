"""What a test hands over to be run, whichever way it is declared."""

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.actions.arm.resource import ArmVerb
from shared.actions.declaration import Action, action
from shared.actions.sensitive import dumped
from shared.frozen import frozen
from shared.operations.results import ResultRefused, declared_json

Handler = Action | ArmVerb | Callable[..., Any]
"""A declared action or ARM verb, or a function that could be declared as an action."""

_PLAIN = "testing:run"


@frozen(kw_only=True)
class Target:
    """A function as it is called in an attempt."""

    action: Action
    """The declaration: name, policies, hooks."""
    function: Callable[..., Any]
    models: tuple[type[BaseModel], ...]
    """What it takes after the context."""
    output: TypeAdapter[Any] | None
    """None where it returns nothing."""

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def arguments(self, inputs: Sequence[Any]) -> tuple[BaseModel, ...]:
        """Models or dicts as the handler gets them: by way of JSON, as the app stores them.

        Raises TypeError for another number of inputs, ValidationError for one that does not fit.
        """
        if len(inputs) != len(self.models):
            names = ", ".join(model.__name__ for model in self.models) or "nothing"
            raise TypeError(f"{self.action.where} takes {names}; {len(inputs)} inputs were given")
        return tuple(_as_stored(model, given) for model, given in zip(self.models, inputs, strict=True))

    def input_of(self, inputs: Sequence[Any]) -> BaseModel | None:
        """The one input model that the declaration's hooks take; the errors are those of `arguments`."""
        arguments = self.arguments(inputs)
        if self.function is self.action.handler:
            return arguments[0] if arguments else None
        assert self.action.input_model is not None, "that of an ARM verb wraps what its handler takes"
        return self.action.input_model.model_construct(
            **dict(zip(("resource", "request"), arguments, strict=False)), state=""
        )

    async def check_result(self, value: Any, *, limit: int) -> None:
        """Raise TypeError for a result that is not what the handler declares, or of more than `limit` bytes as JSON.

        The operation would end as Failed.
        """
        if self.output is None and value is None:
            return
        try:
            await declared_json(self.output, value, limit=limit)
        except ResultRefused as refused:
            raise TypeError(f"{self.action.where}: {refused}") from refused


def target_of(handler: Handler) -> Target:
    """Raises DeclarationError for a function that could not be declared, TypeError where there is nothing to run."""
    if isinstance(handler, ArmVerb):
        if handler.delegated is not None:
            raise TypeError(f"{handler.action.where} is delegated: call it as a function, with a request's context")
        declared = handler.handler
        models = (declared.resource,) if declared.input_model is None else (declared.resource, declared.input_model)
        return Target(action=handler.action, function=declared.function, models=models, output=declared.output)
    known = handler if isinstance(handler, Action) else action(_PLAIN, post=_PLAIN)(handler)
    models = () if known.input_model is None else (known.input_model,)
    return Target(action=known, function=known.handler, models=models, output=known.output)


def _as_stored(model: type[BaseModel], given: Any) -> BaseModel:
    checked = model.model_validate(given)
    try:
        return model.model_validate_json(json.dumps(dumped(checked)))
    except ValidationError as error:
        raise TypeError(f"{model.__name__} cannot be read again from the JSON that it writes: {error}") from error
