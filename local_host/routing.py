"""Which function takes a request: the HTTP extension's router, without I/O.

Sources: azure-webjobs-sdk-extensions, `WebJobs.Extensions.Http/Routing` (routes in the order of registration, the
prefix put in front with a slash), ASP.NET Core's `RoutePatternMatcher` (how a path meets a template), Kestrel's
path decoding, and the host's checks of a function's route. What the released router answered to 100 requests is in
`tests/data/host-routing.json`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from local_host.errors import RouteError
from local_host.request_path import decode_path
from local_host.route_template import Literal, Parameter, Segment, parse

RouteValues = dict[str, str | None]
"""Decoded route values; None where a catch-all matched nothing."""


@dataclass(frozen=True)
class HttpRoute:
    """What a function declares. No methods: every method."""

    function: str
    route: str | None
    methods: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Match:
    function: str
    values: RouteValues


@dataclass(frozen=True)
class _Compiled:
    declared: HttpRoute
    template: str
    segments: tuple[Segment, ...] | None  # None: the host accepts the route and answers it nowhere

    @property
    def first(self) -> str | None:
        """What a path has to begin with, in lower case; None where that is open."""
        literal = self.segments[0].literal if self.segments else None
        return literal.text.lower() if literal else None


class Router:
    """Routes compiled once; `match` is called for every request."""

    def __init__(self, routes: Iterable[HttpRoute], prefix: str = "api") -> None:
        """Compile; RouteError where the host would refuse a function's route."""
        ordered = sorted(routes, key=lambda route: route.function.upper())
        self.prefix = prefix.strip("/")
        self._routes = [_compile(route, self.prefix) for route in ordered]
        _refuse_same_routes(self._routes)
        self._open = [each for each in self._routes if each.first is None]
        self._by_first = {
            first: [each for each in self._routes if each.first in (first, None)]
            for first in {each.first for each in self._routes}
            if first is not None
        }
        """The routes that a path with this first segment may meet, in order."""

    @property
    def routes(self) -> Sequence[tuple[HttpRoute, str]]:
        """Each function's route with its whole template (prefix included), in order of precedence."""
        return [(compiled.declared, compiled.template) for compiled in self._routes]

    @property
    def unreachable(self) -> Sequence[str]:
        """Functions whose route no request can meet (a leading slash behind a route prefix)."""
        return [compiled.declared.function for compiled in self._routes if compiled.segments is None]

    def match(self, method: str, raw_path: str) -> Match | None:
        """The first function in order whose method, template and constraints fit.

        `raw_path` is the path of the request target as it was sent, without the query. BadPathError: the server
        answers 400.
        """
        pieces = _tokenize(decode_path(raw_path))
        if pieces is None:
            return None
        method = method.upper()
        first = pieces[0].removesuffix("/").lower() if pieces else ""
        for compiled in self._by_first.get(first, self._open):
            methods = compiled.declared.methods
            if compiled.segments is None or (methods and method not in methods):
                continue
            values = _match(compiled.segments, pieces)
            if values is not None:
                return Match(compiled.declared.function, values)
        return None


def _compile(route: HttpRoute, prefix: str) -> _Compiled:
    text = route.route if route.route and route.route.strip() else route.function
    if text.strip("/").lower().startswith(("admin", "runtime")):
        raise RouteError(
            f"function '{route.function}': the route '{text}' conflicts with one or more built in routes "
            "(routes must not start with 'admin' or 'runtime')"
        )
    declared = HttpRoute(route.function, text, frozenset(method.upper() for method in route.methods))
    try:
        if prefix and text.startswith("/"):
            parse(text)
            return _Compiled(declared, f"{prefix}/{text}", None)
        template = f"{prefix}/{text}" if prefix else text
        return _Compiled(declared, template, parse(template))
    except RouteError as error:
        raise RouteError(f"function '{route.function}': {error}") from error


def _refuse_same_routes(routes: Sequence[_Compiled]) -> None:
    """The host refuses one template with overlapping methods in two functions; other overlaps are the app's own."""
    for index, one in enumerate(routes):
        for other in routes[index + 1 :]:
            if one.template.strip("/").lower() != other.template.strip("/").lower():
                continue
            mine, theirs = one.declared.methods, other.declared.methods
            if not mine or not theirs or mine & theirs:
                raise RouteError(
                    f"function '{other.declared.function}': the route '{other.declared.route}' conflicts with the "
                    f"route of function '{one.declared.function}'"
                )


def _tokenize(path: str) -> list[str] | None:
    """Pieces of a decoded path; None where it holds an empty leading piece, which no template meets.

    An empty piece further on can only be taken by a catch-all, which takes the rest as it is.
    """
    pieces = path.removeprefix("/").split("/")
    if pieces[-1] == "":
        pieces.pop()
        if pieces:
            pieces[-1:] = [pieces[-1] + "/"]  # a trailing slash is kept for a catch-all only
    return None if pieces and pieces[0] in {"", "/"} else pieces


def _match(segments: tuple[Segment, ...], pieces: list[str]) -> RouteValues | None:
    values: RouteValues = {}
    for index, piece in enumerate(pieces):
        if index >= len(segments):
            return None
        segment = segments[index]
        parameter = segment.parameter
        if parameter is not None and parameter.catch_all:
            values[parameter.name] = "/".join(pieces[index:])
            break
        text = piece.removesuffix("/")
        if not text:
            return None
        if segment.literal is not None:
            if segment.literal.text.lower() != text.lower():
                return None
        elif parameter is not None:
            values[parameter.name] = text
        elif not _match_parts(segment, text, values):
            return None
    return values if _complete(segments, len(pieces), values) and _allowed(segments, values) else None


def _complete(segments: tuple[Segment, ...], used: int, values: RouteValues) -> bool:
    """Give what the path left out its default; False where a segment may not be left out."""
    for segment in segments[used:]:
        parameter = segment.parameter
        if parameter is None or not (parameter.catch_all or parameter.optional or parameter.default is not None):
            return False
        if parameter.catch_all or parameter.default is not None:
            values.setdefault(parameter.name, parameter.default)
    return True


def _allowed(segments: tuple[Segment, ...], values: Mapping[str, str | None]) -> bool:
    """Whether every constraint holds; an optional parameter without a value has none to hold."""
    for segment in segments:
        for part in segment.parts:
            if not isinstance(part, Parameter) or not part.constraints:
                continue
            value = values.get(part.name)
            if value is None:
                if part.optional:
                    continue
                return False
            if not all(fits(value) for fits in part.constraints):
                return False
    return True


def _match_parts(segment: Segment, text: str, values: RouteValues) -> bool:
    """A segment of several parts, read from the right: each literal is looked for as far right as it goes."""
    parts = segment.parts
    last = parts[-1]
    if isinstance(last, Parameter) and last.optional:
        if _read_right_to_left(parts, text, values):
            return True
        # `{name}.{ext?}` also takes a text without the period, but not one that ends with it.
        return not text.endswith(".") and _read_right_to_left(parts[:-2], text, values)
    return _read_right_to_left(parts, text, values)


def _read_right_to_left(parts: Sequence[Literal | Parameter], text: str, values: RouteValues) -> bool:
    found: RouteValues = {}
    end = len(text)
    pending: Parameter | None = None
    folded = text.lower() if len(text.lower()) == len(text) else text
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, Parameter):
            pending = part
            continue
        room = end - 1 if pending else end  # a parameter takes one character at least
        at = folded.rfind(part.text.lower(), 0, max(room, 0))
        if at < 0 or (index == len(parts) - 1 and at + len(part.text) != len(text)):
            return False
        if pending:
            found[pending.name] = text[at + len(part.text) : end]
            pending = None
        end = at
    if pending:
        if end == 0:
            return False
        found[pending.name] = text[:end]
    elif end != 0:
        return False
    values.update(found)
    return True
