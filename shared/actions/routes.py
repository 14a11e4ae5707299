"""Route templates of Azure Functions, as far as this app uses them: literals and `{parameter}`, no constraints.

The host knows no precedence: functions are tried in the order of their names and the first match wins, so two routes
that can match one URL would depend on what their functions are called. They are refused instead.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import unquote

from shared.errors import DeclarationError
from shared.frozen import frozen
from shared.model.ids import ID_PATTERN

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


READ = ("GET", "HEAD")
"""What reads: the host passes HEAD on only where a function lists it."""


@frozen
class Endpoint:
    """One function's HTTP trigger."""

    function_name: str
    methods: tuple[str, ...]
    route: str
    where: str


def parameters(route: str, where: str) -> tuple[str, ...]:
    """The names in a template; raises DeclarationError for one the host would refuse or that we do not support."""
    if not route or route.startswith(("/", "~")) or route.endswith("/") or "//" in route:
        raise DeclarationError(f"{where}: write the route {route!r} without a slash at its start or end")
    if route.lower().startswith(("admin", "runtime")):
        raise DeclarationError(f"{where}: the host keeps routes that start with 'admin' or 'runtime' for itself")
    names = _PARAMETER.findall(route)
    rest = _PARAMETER.sub("", route)
    if set(rest) & set("{}?#") or "}{" in route:
        raise DeclarationError(f"{where}: {route!r} has more than plain {{name}} parameters; constraints stay out")
    if len({name.lower() for name in names}) != len(names):
        raise DeclarationError(f"{where}: {route!r} names a parameter twice")
    return tuple(names)


def check_distinct(endpoints: Iterable[Endpoint], *, fallback: str) -> None:
    """Refuse functions of one name, routes that can match one URL, and names that sort after the fallback's."""
    names: dict[str, Endpoint] = {}
    # Only routes of as many segments can match one URL.
    lengths: defaultdict[int, list[Endpoint]] = defaultdict(list)
    for endpoint in endpoints:
        name = endpoint.function_name.lower()
        if name >= fallback.lower():
            raise DeclarationError(
                f"{endpoint.where}: the function name {endpoint.function_name!r} sorts after {fallback!r}, which must "
                "stay the last one because the host tries functions in the order of their names; choose another name"
            )
        if (other := names.setdefault(name, endpoint)) is not endpoint:
            raise DeclarationError(
                f"{other.where} and {endpoint.where} both become the function {endpoint.function_name!r}; "
                "rename one of them"
            )
        for other in (alike := lengths[endpoint.route.count("/")]):
            if not set(endpoint.methods).isdisjoint(other.methods) and overlap(endpoint.route, other.route):
                raise DeclarationError(
                    f"{other.where} and {endpoint.where}: the routes {other.route!r} and {endpoint.route!r} can match "
                    "the same URL; change one of them"
                )
        alike.append(endpoint)


def overlap(one: str, other: str) -> bool:
    """Whether some URL matches both templates. Errs on the side of yes within a segment."""
    ones, others = one.lower().split("/"), other.lower().split("/")
    return len(ones) == len(others) and all(_segments_overlap(a, b) for a, b in zip(ones, others, strict=True))


def _segments_overlap(one: str, other: str) -> bool:
    if "{" not in one and "{" not in other:
        return one == other
    if "{" not in one or "{" not in other:
        literal, template = (one, other) if "{" not in one else (other, one)
        if template.count("{") == 1:
            before, after = template[: template.index("{")], template[template.index("}") + 1 :]
            return len(literal) > len(before + after) and literal.startswith(before) and literal.endswith(after)
        return _loose(template).fullmatch(literal) is not None
    prefixes = (one.split("{", 1)[0], other.split("{", 1)[0])
    suffixes = (one.rsplit("}", 1)[1], other.rsplit("}", 1)[1])
    return (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])) and (
        suffixes[0].endswith(suffixes[1]) or suffixes[1].endswith(suffixes[0])
    )


@lru_cache(maxsize=512)
def _loose(template: str) -> re.Pattern[str]:
    return re.compile("(.+)".join(re.escape(part) for part in _PARAMETER.split(template)[::2]), re.IGNORECASE)


@lru_cache(maxsize=512)
def _strict(template: str) -> re.Pattern[str]:
    return re.compile(
        f"({ID_PATTERN})".join(re.escape(part) for part in _PARAMETER.split(template)[::2]), re.IGNORECASE
    )


def matches(route: str, path: str) -> bool:
    """Whether `path` (decoded, without slashes at its ends) is what `route` means: parameters are valid ids."""
    return _strict(route).fullmatch(path) is not None


def decode_path(path: str) -> str:
    """A request's path as templates see it."""
    return unquote(path).strip("/")


def allowed_methods(endpoints: Iterable[Endpoint], path: str) -> tuple[str, ...]:
    """The methods with which `path` is known, sorted; empty where it is not."""
    return tuple(sorted({m for e in endpoints if matches(e.route, path) for m in e.methods}))


def known_verbs(endpoints: Iterable[Endpoint], path: str) -> tuple[str, ...]:
    """The verbs of actions on the resource that `path` names with an unknown verb, sorted."""
    resource, _, _ = path.rpartition(":")
    found: set[str] = set()
    for endpoint in endpoints:
        base, colon, verb = endpoint.route.rpartition(":")
        if colon and "/" not in verb and "{" not in verb and matches(base, resource):
            found.add(verb)
    return tuple(sorted(found))


def expand(route: str, values: Mapping[str, str]) -> str:
    """The path that `route` stands for with these parameters."""
    return _PARAMETER.sub(lambda m: values[m[1]], route)
