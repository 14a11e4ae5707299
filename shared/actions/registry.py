"""All declared actions and reads of an app, collected once and checked against each other."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType, ModuleType

from shared.actions.declaration import Action, Read
from shared.actions.policies import write_duration
from shared.actions.routes import Endpoint
from shared.errors import DeclarationError

HOST_MARGIN = timedelta(seconds=60)
"""An activity returns this long before the host's functionTimeout: a timed-out one restarts the host."""


class Registry:
    """Actions by name and reads. Refuses two declarations of one name, naming both, before anything has changed."""

    def __init__(self, actions: Iterable[Action] = (), reads: Iterable[Read] = ()) -> None:
        self._actions: dict[str, Action] = {}
        self._reads: dict[str, Read] = {}
        for action in actions:
            self._refuse_twice(action)
            self._actions[action.name] = action
        for read in reads:
            self._refuse_twice(read)
            self._reads[read.name] = read

    @property
    def actions(self) -> Mapping[str, Action]:
        return MappingProxyType(self._actions)

    @property
    def reads(self) -> Mapping[str, Read]:
        return MappingProxyType(self._reads)

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that follow from the declarations."""
        actions = [Endpoint(a.function_name, (a.method,), a.route, a.where) for a in self._actions.values()]
        return actions + [Endpoint(r.function_name, ("GET",), r.route, r.where) for r in self._reads.values()]

    def check_timeouts(self, function_timeout: timedelta | None) -> None:
        """Refuse an attempt that could outlive the host's functionTimeout (None: unbounded)."""
        if function_timeout is None:
            return
        longest = function_timeout - HOST_MARGIN
        for action in self._actions.values():
            if action.timeout > longest:
                raise DeclarationError(
                    f"{action.where}: timeout {write_duration(action.timeout)} does not fit below the host's "
                    f"functionTimeout of {write_duration(function_timeout)} minus 60 s; declare at most "
                    f"{write_duration(longest)}, or raise functionTimeout in host.json"
                )

    def _refuse_twice(self, new: Action | Read) -> None:
        old = self._actions.get(new.name) or self._reads.get(new.name)
        if old is not None:
            raise DeclarationError(f"{old.where} and {new.where} are both called {new.name!r}; rename one of them")


def discover(package: ModuleType) -> Registry:
    """Import every module of `package` and collect what they declare; names starting with `_` are left out."""
    found: dict[int, Action | Read] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Action | Read):
                found[id(value)] = value
    declared = found.values()
    return Registry(
        [value for value in declared if isinstance(value, Action)],
        [value for value in declared if isinstance(value, Read)],
    )
