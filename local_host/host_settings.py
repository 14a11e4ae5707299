"""host.json with its overrides from the environment. No I/O: a document and a mapping in, settings out.

Source: "host.json reference for Azure Functions 2.x and later"; any path may be overridden by an app setting
`AzureFunctionsJobHost__section__name`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from local_host.errors import SettingsError

_OVERRIDE = "azurefunctionsjobhost__"
_UNBOUNDED = -1


@dataclass(frozen=True)
class HostSettings:
    """The part of host.json that this host follows; None means unbounded."""

    route_prefix: str
    max_concurrent_requests: int | None
    max_outstanding_requests: int | None
    max_concurrent_activities: int
    function_timeout: timedelta | None
    task_hub: str


def parse_host_settings(text: str, environment: Mapping[str, str], *, cores: int) -> HostSettings:
    """Read host.json's text; SettingsError says what is wrong with it."""
    document = _flatten(_document(text))
    for name, value in environment.items():
        if name.lower().startswith(_OVERRIDE):
            document[name.lower()[len(_OVERRIDE) :].replace("__", ".")] = value
    http, durable = "extensions.http.", "extensions.durabletask."
    return HostSettings(
        route_prefix=_text(document, f"{http}routeprefix", "api"),
        max_concurrent_requests=_bound(document, f"{http}maxconcurrentrequests"),
        max_outstanding_requests=_bound(document, f"{http}maxoutstandingrequests"),
        max_concurrent_activities=_bound(document, f"{durable}maxconcurrentactivityfunctions") or 10 * cores,
        function_timeout=_timeout(document.get("functiontimeout", "00:30:00")),
        task_hub=expand(_text(document, f"{durable}hubname", "TestHubName"), environment),
    )


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`%NAME%` -> the app setting, whose name ignores case; SettingsError where it is not set, or empty.

    Source: "Azure Functions triggers and bindings", section "Binding expressions - app settings".
    """

    values = {name.lower(): value for name, value in environment.items()}

    def value(match: re.Match[str]) -> str:
        found = values.get(match.group(1).lower())
        if not found:
            raise SettingsError(f"'{match.group()}' does not resolve: the app setting '{match.group(1)}' is not set")
        return found

    return re.sub(r"%([^%]+)%", value, text)


def parse_timespan(text: str) -> timedelta:
    """.NET's TimeSpan: `[d.]hh:mm[:ss[.fffffff]]`; more than 23 hours are days, as TimeSpan.Parse reads them."""
    match = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a time span like 00:05:00")
    days, hours, minutes, seconds = match.groups()
    if int(hours) > 23 and days is None:
        days, hours, minutes, seconds = hours, minutes, (seconds or "0"), None
    if int(hours) > 23 or int(float(minutes)) > 59 or float(seconds or 0) >= 60:
        raise ValueError(f"'{text}' is not a time span like 00:05:00")
    return timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds or 0))


def _document(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise SettingsError(f"host.json is not valid JSON (comments are not allowed): {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("host.json must hold a JSON object")
    return cast("dict[str, Any]", document)


def _flatten(section: Mapping[str, Any], path: str = "") -> dict[str, object]:
    """Leaves by dotted, lower-cased path (configuration keys ignore case)."""
    flat: dict[str, object] = {}
    for name, value in section.items():
        key = f"{path}{name.lower()}"
        if isinstance(value, dict):
            flat |= _flatten(cast("dict[str, Any]", value), f"{key}.")
        else:
            flat[key] = value
    return flat


def _text(document: Mapping[str, object], key: str, default: str) -> str:
    """A null is an empty text, as where the app reads the same value (`shared.settings.host_value`)."""
    value = document.get(key, default)
    return "" if value is None else str(value)


def _bound(document: Mapping[str, object], key: str) -> int | None:
    value = document.get(key)
    if value is None:
        return None
    try:
        number = int(str(value))
    except ValueError as error:
        raise SettingsError(f"host.json: '{key}' must be a whole number, not '{value}'") from error
    if number == _UNBOUNDED:
        return None
    if number < 1:
        raise SettingsError(f"host.json: '{key}' must be positive, or -1 for no limit")
    return number


def _timeout(value: object) -> timedelta | None:
    if value is None or str(value).strip() in {"-1", "-00:00:01"}:
        return None
    try:
        return parse_timespan(str(value))
    except ValueError as error:
        raise SettingsError(f"host.json: 'functionTimeout': {error}") from error
