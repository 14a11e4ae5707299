"""Which version and representation an answer has, and whether a request's body is JSON that can be read.

OData Protocol 4.01, sections 8.1.5, 8.2.1, 8.2.7, 11.2.12; OData JSON Format 4.01, section 3; RFC 9110, section 12.5.1.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NoReturn, TypeVar

from shared.contracts.headers import QUOTED, WORD, elements
from shared.contracts.http import Request
from shared.errors import RequestError
from shared.frozen import frozen

Metadata = Literal["minimal", "full", "none"]
MetadataFormat = Literal["xml", "json"]
"""The media types of `$metadata`."""

_T = TypeVar("_T")
_VERSION = r"[0-9]{1,3}\.[0-9]{1,3}"
_MEDIA_TYPE = rf"\s*({WORD})/({WORD})\s*((?:;\s*(?:{WORD}\s*=\s*(?:{WORD}|{QUOTED})\s*)?)*)"
_PARAMETER = rf";\s*({WORD})\s*=\s*({WORD}|{QUOTED})"
_QUALITY = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
"""Patterns of headers that few requests have: `re` compiles each where it is first met, and keeps it."""
_MAX_HEADER = 2048
_ISOLATION = "OData-Isolation"
_FORMATS = {"atom": "application/atom+xml", "json": "application/json", "xml": "application/xml"}
"""The short names of `$format` (Protocol, section 11.2.12)."""


@frozen
class Representation:
    """How a JSON answer is written."""

    metadata: Metadata = "minimal"
    """How much control information it has (JSON Format, section 3.1)."""
    ieee754: bool = False
    """Whether Edm.Int64 and Edm.Decimal are strings (JSON Format, section 3.2)."""


@frozen
class _Range:
    """A media type, or a range of them. Everything is in lower case; the quality is not among the parameters."""

    type: str
    parameters: Mapping[str, str]
    quality: float

    @property
    def weight(self) -> int:
        """How particular it is (RFC 9110, section 12.5.1)."""
        return 0 if self.type == "*/*" else 1 if self.type.endswith("/*") else 2 + len(self.parameters)


def odata_version(request: Request) -> str:
    """The version of the answer: "4.0" where OData-MaxVersion is below 4.01, else "4.01" (Protocol, section 8.2.7).

    What follows a semicolon says who writes: Microsoft's client sends `4.0;NetFx`. Raises RequestError 400 for a body
    of another version and for a caller that takes less than 4.0.
    """
    body = request.headers.get("odata-version", "").partition(";")[0].strip()
    if body and body not in ("4.0", "4.01"):
        _refuse_version("OData-Version", body, "this service reads 4.0 and 4.01")
    most = request.headers.get("odata-maxversion", "").partition(";")[0].strip()
    if most and (not re.fullmatch(_VERSION, most) or Decimal(most) < 4):
        _refuse_version("OData-MaxVersion", most, "this service answers 4.0 and 4.01")
    return "4.0" if most and Decimal(most) < Decimal("4.01") else "4.01"


def check_isolation(request: Request) -> None:
    """Raises RequestError 412 for a caller that wants a snapshot, which no answer is (Protocol, section 8.2.6)."""
    for name in ("odata-isolation", "isolation"):
        if request.headers.get(name, "").strip():
            message = (
                "There is no isolation here: what a request reads may change while it is read. Leave the header out."
            )
            raise RequestError(412, "IsolationNotSupported", message, target=_ISOLATION)


def json_representation(request: Request, query: Mapping[str, str]) -> Representation:
    """What `$format` asks for (Protocol, section 11.2.12), else the best range of Accept, else minimal metadata.

    Raises RequestError 406 where neither names JSON as this service writes it, 400 for a `$format` that is no type.
    """
    return _negotiated(request, query, {"json": Representation()}, _as_json, "application/json")


def metadata_format(request: Request, query: Mapping[str, str]) -> MetadataFormat:
    """The form of `$metadata`: XML where nothing else is asked for (CSDL XML 4.01, section 2.1). Errors as above."""
    return _negotiated(request, query, {"xml": "xml", "json": "json"}, _as_metadata, "application/xml or JSON")


def content_type(representation: Representation) -> str:
    """The media type of an answer. The prefixed parameter name is the one that 4.0 and 4.01 share."""
    written = f"application/json;odata.metadata={representation.metadata}"
    return f"{written};IEEE754Compatible=true" if representation.ieee754 else written


def check_json_body(request: Request) -> bool:
    """Whether numbers of the body may come as strings: it is JSON with IEEE754Compatible=true.

    Without a body there is nothing that has a type (RFC 9110, section 8.3), whatever Content-Type says. Raises
    RequestError 415 for a body of another media type, or with format parameters that are not known.
    """
    if not request.body:
        return False
    found = _range(request.headers.get("content-type", "")[:_MAX_HEADER])
    representation = _as_json(found) if found and found.type == "application/json" else None
    if representation is None:
        message = "Send the body as Content-Type: application/json, in UTF-8."
        raise RequestError(415, "UnsupportedMediaType", message)
    return representation.ieee754


def quality(accept: str, media_type: str) -> float:
    """How much a media type is wanted (RFC 9110, section 12.5.1): the most particular range counts; 0 for none."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    found = [(one.weight, one.quality) for one in _ranges(accept) if one.type in ranges]
    return max(found, default=(0, 0.0))[1]


def _negotiated(
    request: Request,
    query: Mapping[str, str],
    short_names: Mapping[str, _T],
    serve: Callable[[_Range], _T | None],
    what: str,
) -> _T:
    text = next((value for name, value in query.items() if name.lower() in ("$format", "format")), None)
    if text is not None:
        if text.strip().lower() in short_names:
            return short_names[text.strip().lower()]
        accepted = _range(_FORMATS.get(text.strip().lower(), text[:_MAX_HEADER]))
        if accepted is None:
            raise RequestError(400, "InvalidFormat", "$format is no media type.", target="$format")
        served = serve(accepted)
        if served is None or "*" in accepted.type:
            raise RequestError(406, "NotAcceptable", f"$format asks for more than {what}.", target="$format")
        return served
    header = request.headers.get("accept", "").strip()
    if not header:
        return next(iter(short_names.values()))
    ranges = _ranges(header)
    refused = {one.type for one in ranges if one.quality == 0 and not one.parameters}
    best: tuple[tuple[float, int], _T] | None = None
    for one in ranges:
        served = serve(one) if one.quality > 0 else None
        type = "application/xml" if served == "xml" else "application/json"
        if served is None or ("*" in one.type and type in refused):
            continue
        # Of equals the first one counts: the order says nothing, but callers put first what they like best.
        if best is None or (one.quality, one.weight) > best[0]:
            best = (one.quality, one.weight), served
    if best is None:
        raise RequestError(406, "NotAcceptable", f"Accept leaves no room for {what}.", target="Accept")
    return best[1]


def _as_json(accepted: _Range) -> Representation | None:
    """The JSON that a range takes. Names and values are case-insensitive; unknown parameters are to be refused."""
    if accepted.type not in ("application/json", "application/*", "*/*"):
        return None
    metadata: Metadata = "minimal"
    ieee754 = False
    for name, value in accepted.parameters.items():
        match name.removeprefix("odata.") if name in ("odata.metadata", "odata.streaming") else name:
            case "metadata" if value in ("minimal", "full", "none"):
                metadata = value
            case "ieee754compatible" if value in ("true", "false"):
                ieee754 = value == "true"
            # Both are true of what this service writes: in the order of streaming, and without exponents.
            case "streaming" | "exponentialdecimals" if value in ("true", "false"):
                pass
            case "charset" if value in ("utf-8", "utf8"):
                pass
            case _:
                return None
    return Representation(metadata, ieee754)


def _as_metadata(accepted: _Range) -> MetadataFormat | None:
    if accepted.type in ("application/xml", "application/*", "*/*"):
        return "xml" if all(item == ("charset", "utf-8") for item in accepted.parameters.items()) else None
    return "json" if _as_json(accepted) else None


def _ranges(header: str) -> list[_Range]:
    """The ranges of an Accept header; one that cannot be read is as if it were not there."""
    return [found for found in map(_range, elements(header)) if found]


def _range(text: str) -> _Range | None:
    match = re.fullmatch(_MEDIA_TYPE, text)
    if match is None:
        return None
    parameters = {name.lower(): value.strip('"').lower() for name, value in re.findall(_PARAMETER, match[3])}
    quality = parameters.pop("q", "1")
    if not re.fullmatch(_QUALITY, quality):
        return None
    return _Range(f"{match[1]}/{match[2]}".lower(), parameters, float(quality))


def _refuse_version(header: str, value: str, why: str) -> NoReturn:
    message = f"{header} {value[:20]!r} is not possible: {why}."
    raise RequestError(400, "UnsupportedODataVersion", message, target=header)
