"""All declared actions and reads of an app, collected once and checked against each other."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType

from shared.actions import patterns
from shared.actions.arm import ArmResource, ArmVerb, monitor_endpoints
from shared.actions.calls import Call
from shared.actions.declaration import Action, Read
from shared.actions.odata import ODataService
from shared.actions.policies import write_duration
from shared.actions.routes import Endpoint
from shared.errors import DeclarationError

EXAMPLES = "examples.json"
"""Beside the modules of actions: recorded requests and answers, for the app's description."""

HOST_MARGIN = timedelta(seconds=60)
"""An activity returns this long before the host's functionTimeout: a timed-out one restarts the host."""


class Registry:
    """Actions by name and reads. Refuses two declarations of one name, naming both, before anything has changed."""

    def __init__(
        self,
        actions: Iterable[Action] = (),
        reads: Iterable[Read] = (),
        resources: Iterable[ArmResource] = (),
        calls: Iterable[Call] = (),
        services: Iterable[ODataService] = (),
        *,
        title: str = "",
        description: str = "",
        example_files: Iterable[Path] = (),
    ) -> None:
        """`title`, `description` and `example_files` are for the app's description: none changes what it does."""
        self.title = title
        self.description = description
        self.example_files = tuple(example_files)
        self._actions: dict[str, Action] = {}
        self._reads: dict[str, Read] = {}
        self._calls: dict[str, Call] = {}
        for action in actions:
            self._refuse_twice(action)
            action.check_complete()
            self._actions[action.name] = action
        for read in reads:
            self._refuse_twice(read)
            self._reads[read.name] = read
        for call in calls:
            self._refuse_twice(call)
            self._calls[call.name] = call
        self._resources: dict[str, ArmResource] = {}
        self._resource_actions: dict[str, Action] = {}
        for resource in resources:
            if (old := self._resources.get(resource.full_type.lower())) is not None:
                raise DeclarationError(f"{old.where} and {resource.where} are both that type; rename one of them")
            self._resources[resource.full_type.lower()] = resource
            for verb in resource.verbs:
                # A copy: what follows its end belongs to one application, the declaration to all.
                self._resource_actions[verb.action.name] = replace(verb.action)

        self.odata: ODataService | None = None
        """The OData service of the app, if it has one."""
        for service in services:
            if self.odata is not None:
                raise DeclarationError(f"{self.odata.where} and {service.where}: an app has one OData service")
            self.odata = service

    @property
    def actions(self) -> Mapping[str, Action]:
        return MappingProxyType(self._actions)

    @property
    def reads(self) -> Mapping[str, Read]:
        return MappingProxyType(self._reads)

    @property
    def calls(self) -> Mapping[str, Call]:
        return MappingProxyType(self._calls)

    @property
    def resources(self) -> tuple[ArmResource, ...]:
        return tuple(self._resources.values())

    @property
    def resource_actions(self) -> Mapping[str, Action]:
        """The verbs of ARM resources as actions."""
        return MappingProxyType(self._resource_actions)

    @property
    def elsewhere(self) -> Mapping[str, ArmVerb]:
        """The verbs of ARM resources whose work another system does, by the names of their actions."""
        verbs = (verb for resource in self.resources for verb in resource.verbs)
        return {verb.action.name: verb for verb in verbs if verb.elsewhere is not None}

    @property
    def runnable(self) -> Mapping[str, Action]:
        """All that an operation can be of."""
        odata = {action.name: action for action in self.odata.actions} if self.odata else {}
        return MappingProxyType({**self._actions, **self._resource_actions, **odata})

    def namespaces(self) -> dict[str, list[ArmResource]]:
        """ARM resources by their namespace, which compares without case."""
        found: dict[str, list[ArmResource]] = {}
        for resource in self._resources.values():
            found.setdefault(resource.namespace.lower(), []).append(resource)
        return found

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that follow from the declarations."""
        actions = [endpoint for action in self._actions.values() for endpoint in action.endpoints()]
        aliases = [patterns.alias_endpoint(template, where) for template, where in self.exclusive_resources().items()]
        reads = [Endpoint(r.function_name, ("GET",), r.route, r.where) for r in self._reads.values()]
        resources = [endpoint for resource in self.resources for endpoint in resource.endpoints()]
        firsts = [resources[0] for resources in self.namespaces().values()]
        monitors = [endpoint for first in firsts for endpoint in monitor_endpoints(first.namespace, first.where)]
        calls = [call.endpoint for call in self._calls.values()]
        odata = self.odata.endpoints() if self.odata else []
        return [*actions, *aliases, *reads, *calls, *resources, *monitors, *odata]

    def exclusive_resources(self) -> dict[str, str]:
        """The templates of resources that operations hold, each with an action that says so."""
        return {a.exclusive: a.where for a in reversed(self._actions.values()) if a.exclusive is not None}

    def check_timeouts(self, function_timeout: timedelta | None) -> None:
        """Refuse an attempt that could outlive the host's functionTimeout (None: unbounded)."""
        if function_timeout is None:
            return
        longest = function_timeout - HOST_MARGIN
        for action in self.runnable.values():
            if action.timeout > longest:
                raise DeclarationError(
                    f"{action.where}: timeout {write_duration(action.timeout)} does not fit below the host's "
                    f"functionTimeout of {write_duration(function_timeout)} minus 60 s; declare at most "
                    f"{write_duration(longest)}, or raise functionTimeout in host.json"
                )

    def _refuse_twice(self, new: Action | Read | Call) -> None:
        old = self._actions.get(new.name) or self._reads.get(new.name) or self._calls.get(new.name)
        if old is not None:
            raise DeclarationError(f"{old.where} and {new.where} are both called {new.name!r}; rename one of them")


def discover(package: ModuleType) -> Registry:
    """Import every module of `package` and collect what they declare; names starting with `_` are left out."""
    found: dict[int, Action | Read | Call | ArmResource | ODataService] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Action | Read | Call | ArmResource | ODataService):
                found[id(value)] = value
    # What is bound in an OData service belongs to it alone, though the module names it.
    services = [value for value in found.values() if isinstance(value, ODataService)]
    bound = {id(operation.declared) for service in services for operation in service.operations}
    declared = [value for value in found.values() if id(value) not in bound]
    title, _, description = (package.__doc__ or "").strip().partition("\n\n")
    return Registry(
        [value for value in declared if isinstance(value, Action)],
        [value for value in declared if isinstance(value, Read)],
        [value for value in declared if isinstance(value, ArmResource)],
        [value for value in declared if isinstance(value, Call)],
        services,
        title=" ".join(title.split()),
        description=description.strip(),
        example_files=[Path(folder, EXAMPLES) for folder in package.__path__],
    )
