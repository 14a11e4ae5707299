"""Route templates of ASP.NET Core, as the Functions host understands them: text to segments.

Source: "Routing in ASP.NET Core", sections "Route templates" and "Route constraints"; the refusals are those of its
RoutePatternParser. Nothing here does I/O.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from local_host.errors import RouteError
from local_host.route_constraints import Constraint, constraint


@dataclass(frozen=True)
class Literal:
    """Fixed text within a segment."""

    text: str


@dataclass(frozen=True)
class Parameter:
    """A `{name}` within a segment."""

    name: str
    default: str | None = None
    optional: bool = False
    catch_all: bool = False
    constraints: tuple[Constraint, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Segment:
    """What stands between two slashes of a template."""

    parts: tuple[Literal | Parameter, ...]

    @cached_property
    def literal(self) -> Literal | None:
        """The literal, where the segment is nothing else."""
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, Literal) else None

    @cached_property
    def parameter(self) -> Parameter | None:
        """The parameter, where the segment is nothing else."""
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, Parameter) else None


_NAME = re.compile(r"[^{}/*?\x00]+")


def parse(template: str) -> tuple[Segment, ...]:
    """Segments of a template; RouteError where ASP.NET Core would throw."""
    text = template.removeprefix("~/") if template.startswith("~/") else template.removeprefix("/")
    text = text.removesuffix("/")
    if not text:
        return ()
    segments = tuple(_segment(piece, template) for piece in _split_segments(text))
    _check(segments, template)
    return segments


def _split_segments(text: str) -> Iterator[str]:
    """Pieces between slashes, leaving those inside braces (a regex constraint may hold one) alone."""
    depth, start = 0, 0
    for index, char in enumerate(text):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "/" and depth <= 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _segment(text: str, template: str) -> Segment:
    if not text:
        raise RouteError(f"route '{template}': '/' cannot appear twice in a row")
    parts: list[Literal | Parameter] = []
    literal, index = "", 0
    while index < len(text):
        char = text[index]
        if char in "{}" and text[index : index + 2] == char * 2:
            literal += char
            index += 2
        elif char == "{":
            if literal:
                parts.append(Literal(literal))
                literal = ""
            body, index = _parameter_body(text, index + 1, template)
            parts.append(_parameter(body, template))
        elif char in "}?":
            raise RouteError(f"route '{template}': unexpected '{char}' outside of a parameter")
        else:
            literal += char
            index += 1
    if literal:
        parts.append(Literal(literal))
    return Segment(tuple(parts))


def _parameter_body(text: str, start: int, template: str) -> tuple[str, int]:
    """The text between braces, with doubled braces made single, and the index behind the closing one."""
    body, index = "", start
    while index < len(text):
        char = text[index]
        if char in "{}" and text[index : index + 2] == char * 2:
            body += char
            index += 2
        elif char == "}":
            return body, index + 1
        elif char == "{":
            break
        else:
            body += char
            index += 1
    raise RouteError(f"route '{template}': a '{{' without its '}}'")


def _parameter(body: str, template: str) -> Parameter:
    stars = len(body) - len(body.lstrip("*"))
    rest = body[stars:]
    head = re.match(r"[^:=?]*", rest)
    name = head.group() if head else ""
    rest = rest[len(name) :]
    if stars > 2 or not _NAME.fullmatch(name):
        raise RouteError(f"route '{template}': '{{{body}}}' is not a valid parameter")
    constraints: list[Constraint] = []
    for text in _constraint_texts(rest):
        try:
            constraints.append(constraint(text))
        except ValueError as error:
            raise RouteError(f"route '{template}': {error}") from error
        rest = rest[len(text) + 1 :]
    default = rest[1:] if rest.startswith("=") else None
    optional = rest.endswith("?")
    if optional and default is not None:
        raise RouteError(f"route '{template}': the optional parameter '{name}' cannot have a default value")
    if optional and stars:
        raise RouteError(f"route '{template}': the catch-all parameter '{name}' cannot be optional")
    return Parameter(name, default, optional, bool(stars), tuple(constraints))


def _constraint_texts(text: str) -> Iterator[str]:
    """`:int:range(1,12)?` -> `int`, `range(1,12)`; a `:`, `=` or `?` inside parentheses belongs to the argument."""
    depth, start = 0, 0
    for index, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif depth <= 0 and char in ":=?":
            if index > start:
                yield text[start:index]
            if char != ":":
                return
            start = index + 1
    if start < len(text):
        yield text[start:]


def _check(segments: tuple[Segment, ...], template: str) -> None:
    """Rules that span parts."""
    seen: set[str] = set()
    for position, segment in enumerate(segments):
        for index, part in enumerate(segment.parts):
            if not isinstance(part, Parameter):
                continue
            if part.name.lower() in seen:
                raise RouteError(f"route '{template}': parameter '{part.name}' appears more than once")
            seen.add(part.name.lower())
            alone = len(segment.parts) == 1
            if part.catch_all and not (alone and position == len(segments) - 1):
                raise RouteError(f"route '{template}': the catch-all '{part.name}' must be the last segment, alone")
            if part.optional and not alone and not _may_end(segment, index):
                raise RouteError(f"route '{template}': in a segment, optional '{part.name}' must follow a final '.'")
            if index and isinstance(segment.parts[index - 1], Parameter):
                raise RouteError(f"route '{template}': parameters '{part.name}' and the one before need text between")


def _may_end(segment: Segment, index: int) -> bool:
    """Whether the part is the last and stands behind a lone period."""
    return index == len(segment.parts) - 1 and segment.parts[index - 1] == Literal(".")
