"""All declared actions and reads of an app, collected once and checked against each other."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from shared.actions import patterns
from shared.actions.calls import Call
from shared.actions.declaration import Action, Read
from shared.actions.policies import write_duration
from shared.actions.profiles import ResourceDeclaration, ServiceDeclaration
from shared.actions.routes import READ, Endpoint
from shared.actions.sweeps import Sweep
from shared.errors import DeclarationError
from shared.model.timing import Timing

if TYPE_CHECKING:
    from shared.actions.arm.resource import ArmResource
    from shared.actions.odata.service import ODataService

D = TypeVar("D", bound=Action | Read | Call | Sweep)

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
        resources: "Iterable[ArmResource]" = (),
        calls: Iterable[Call] = (),
        services: "Iterable[ODataService]" = (),
        *,
        sweeps: Iterable[Sweep] = (),
        package: str = "",
        title: str = "",
        description: str = "",
        example_files: Iterable[Path] = (),
    ) -> None:
        """`package` is the name of that which declares them, for processes in which handlers run.

        `title`, `description` and `example_files` are for the app's description: none changes what it does."""
        self.package = package
        self.title = title
        self.description = description
        self.example_files = tuple(example_files)
        self.actions = _by_name(actions)
        self.reads = _by_name(reads)
        self.calls = _by_name(calls)
        self.sweeps = _by_name(sweeps)
        _by_name([*self.actions.values(), *self.reads.values(), *self.calls.values(), *self.sweeps.values()])
        for action in self.actions.values():
            action.check_complete()
        types: dict[str, ArmResource] = {}
        for resource in resources:
            if (old := types.get(resource.full_type.lower())) is not None:
                raise DeclarationError(f"{old.where} and {resource.where} are both that type; rename one of them")
            types[resource.full_type.lower()] = resource
        self.resources = tuple(types.values())
        verbs = [verb for resource in self.resources for verb in resource.verbs]
        self.resource_actions = MappingProxyType({verb.action.name: verb.action for verb in verbs})
        """The verbs of ARM resources as actions."""
        self.delegated = MappingProxyType({verb.action.name: verb for verb in verbs if verb.delegated is not None})
        """The verbs of ARM resources whose work another system does, by the names of their actions."""
        self.odata: ODataService | None = None
        """The OData service of the app, if it has one."""
        for service in services:
            if self.odata is not None:
                raise DeclarationError(f"{self.odata.where} and {service.where}: an app has one OData service")
            self.odata = service

    @property
    def runnable(self) -> Mapping[str, Action]:
        """All that an operation can be of."""
        odata = {action.name: action for action in self.odata.actions} if self.odata else {}
        return MappingProxyType({**self.actions, **self.resource_actions, **odata})

    def namespaces(self) -> "dict[str, list[ArmResource]]":
        """ARM resources by their namespace, which compares without case."""
        found: dict[str, list[ArmResource]] = {}
        for resource in self.resources:
            found.setdefault(resource.namespace.lower(), []).append(resource)
        return found

    def endpoints(self) -> list[Endpoint]:
        """The HTTP functions that follow from the declarations."""
        actions = [endpoint for action in self.actions.values() for endpoint in action.endpoints()]
        aliases = [patterns.alias_endpoint(template, where) for template, where in self.exclusive_resources().items()]
        reads = [Endpoint(r.function_name, READ, r.route, r.where) for r in self.reads.values()]
        resources = [endpoint for resource in self.resources for endpoint in resource.endpoints()]
        firsts = [resources[0] for resources in self.namespaces().values()]
        monitors = [endpoint for first in firsts for endpoint in first.monitor_endpoints]
        calls = [call.endpoint for call in self.calls.values()]
        odata = self.odata.endpoints() if self.odata else []
        return [*actions, *aliases, *reads, *calls, *resources, *monitors, *odata]

    def exclusive_resources(self) -> dict[str, str]:
        """The templates of resources that operations hold, each with an action that says so."""
        return {a.exclusive: a.where for a in reversed(tuple(self.actions.values())) if a.exclusive is not None}

    def check_timeouts(self, function_timeout: timedelta | None, *, total_deadline: timedelta | None = None) -> None:
        """Refuse an attempt that could outlive its operation or the host's functionTimeout (None: unbounded)."""
        default = total_deadline or Timing().total_deadline
        longest = None if function_timeout is None else function_timeout - HOST_MARGIN
        for action in self.runnable.values():
            written = f"{action.where}: timeout {write_duration(action.timeout)}"
            total = action.deadline or default
            if action.timeout > total:
                raise DeclarationError(
                    f"{written} is longer than an operation may take from its start to its end; declare at most "
                    f"{write_duration(total)}"
                )
            if function_timeout is not None and longest is not None and action.timeout > longest:
                raise DeclarationError(
                    f"{written} does not fit below the host's functionTimeout of {write_duration(function_timeout)} "
                    f"minus 60 s; declare at most {write_duration(longest)}, or raise functionTimeout in host.json, on "
                    "Consumption to 10 minutes at most, on other plans as far as you like (docs/configuration.md, "
                    "'Time limits of the plans')"
                )


def _by_name(declared: Iterable[D]) -> Mapping[str, D]:
    found: dict[str, D] = {}
    for new in declared:
        if (old := found.get(new.name)) is not None:
            raise DeclarationError(f"{old.where} and {new.where} are both called {new.name!r}; rename one of them")
        found[new.name] = new
    return MappingProxyType(found)


def discover(package: ModuleType) -> Registry:
    """Import every module of `package` and collect what they declare; names starting with `_` are left out."""
    found: dict[int, object] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        found |= {id(value): value for value in vars(module).values()}
    services = [value for value in found.values() if _is_service(value)]
    # What is bound in an OData service belongs to it alone, though the module names it.
    bound = {id(operation.declared) for service in services for operation in service.operations}
    declared = [value for value in found.values() if id(value) not in bound]
    title, _, description = (package.__doc__ or "").strip().partition("\n\n")
    return Registry(
        [value for value in declared if isinstance(value, Action)],
        [value for value in declared if isinstance(value, Read)],
        [value for value in declared if _is_resource(value)],
        [value for value in declared if isinstance(value, Call)],
        services,
        sweeps=[value for value in declared if isinstance(value, Sweep)],
        package=package.__name__,
        title=" ".join(title.split()),
        description=description.strip(),
        example_files=[Path(folder, EXAMPLES) for folder in package.__path__],
    )


def _is_resource(value: object) -> "TypeGuard[ArmResource]":
    return isinstance(value, ResourceDeclaration)


def _is_service(value: object) -> "TypeGuard[ODataService]":
    return isinstance(value, ServiceDeclaration)
