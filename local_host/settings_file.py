"""local.settings.json, read as Azure Functions Core Tools reads it. No I/O: text and mappings in, values out.

Source: "Code and test Azure Functions locally", section "Local settings file".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from local_host.errors import SettingsError


@dataclass(frozen=True)
class Cors:
    """Who may call from a browser. No origins: nobody else's page, and the host answers no preflight."""

    origins: tuple[str, ...] = ()
    credentials: bool = False

    def allowed(self, origin: str) -> str | None:
        """The value of `Access-Control-Allow-Origin` for a request's `Origin`, or None."""
        if "*" in self.origins:
            return origin if self.credentials else "*"
        return origin if origin.lower().rstrip("/") in self.origins else None


NO_CORS = Cors()


@dataclass(frozen=True)
class LocalSettings:
    """The part of local.settings.json that this host follows."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int | None = None
    cors: Cors = NO_CORS


def parse_local_settings(text: str) -> LocalSettings:
    """Read the file's text; SettingsError says what is wrong with it."""
    document = _document(text)
    if document.get("IsEncrypted") is True:
        raise SettingsError("local.settings.json is encrypted: run `func settings decrypt`, or use --no-local-settings")
    values = {name: _text(f"Values.{name}", value) for name, value in _section(document, "Values").items()}
    for name, value in _section(document, "ConnectionStrings").items():
        values[f"ConnectionStrings:{name}"] = _text(f"ConnectionStrings.{name}", value)
    host = _section(document, "Host")
    return LocalSettings(values, _port(host.get("LocalHttpPort")), _cors(host))


def merged(environment: Mapping[str, str], *layers: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment: the earlier layer wins, and what is set already always wins."""
    added: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            if name not in environment:
                added.setdefault(name, value)
    return added


def _document(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise SettingsError(f"local.settings.json is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("local.settings.json must hold a JSON object")
    return cast("dict[str, Any]", document)


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section: Any = document.get(name) or {}
    if not isinstance(section, dict):
        raise SettingsError(f"local.settings.json: '{name}' must be an object")
    return cast("dict[str, Any]", section)


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"local.settings.json: '{name}' must be a string")


def _port(value: object) -> int | None:
    if value is None:
        return None
    try:
        port = int(str(value))
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise SettingsError("local.settings.json: 'Host.LocalHttpPort' must be a port number")
    return port


def _cors(host: Mapping[str, Any]) -> Cors:
    origins = _text("Host.CORS", host.get("CORS") or "")
    names = tuple(origin.strip().lower().rstrip("/") for origin in origins.split(",") if origin.strip())
    return Cors(names, _text("Host.CORSCredentials", host.get("CORSCredentials") or False).lower() == "true")
