"""Facades that load a part only when one of its names is used: a cold start pays for what the app has."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exported(package: str, modules: Mapping[str, str], namespace: dict[str, Any]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose public names are those of `modules`: by module, with spaces between.

    It raises AttributeError for any other name. What was loaded is kept in `namespace`, the package's own, where
    `__all__` is set: constants first, then the other names.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}
    namespace["__all__"] = sorted(homes, key=lambda name: (not name.isupper(), name))

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value = getattr(import_module(homes[name]), name)
        return value

    return find
