"""What the command finds in the environment: its credential, which is never among the arguments, and LRO_ENDPOINT."""

import os
import re
from collections.abc import Mapping
from typing import Any

import typer
from azure.core.credentials import AccessToken, AzureKeyCredential

from lro_client.errors import UnsafeUrl
from lro_client.urls import below, check

FAR_FUTURE = 2**31 - 1
_NAMES_A_HOST = re.compile(r"https?:|([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class GivenToken:
    """A bearer token that somebody else got."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The token, whatever it is asked for."""
        return AccessToken(self._token, FAR_FUTURE)


def credential_options(
    environment: Mapping[str, str], *, identity: bool, scope: str | None, default_scope: str | None = None
) -> dict[str, Any]:
    """`credential`, `scopes` and `key_header` of a client.

    `LRO_KEY` is sent in the header `LRO_KEY_HEADER` (x-functions-key), `LRO_TOKEN` as a bearer token; `--identity` asks
    azure-identity for a token of `--scope`. Only one of them is taken.
    """
    chosen = scope or environment.get("LRO_SCOPE") or default_scope
    found = [name for name in ("LRO_KEY", "LRO_TOKEN") if environment.get(name)]
    if len(found) + identity > 1:
        raise typer.BadParameter("there is more than one credential: take one of LRO_KEY, LRO_TOKEN and --identity")
    if identity:
        if not chosen:
            raise typer.BadParameter("--identity needs --scope or LRO_SCOPE: what to ask a token for")
        try:
            from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - only where it is installed
        except ImportError:
            raise typer.BadParameter("--identity needs azure-identity: pip install 'lro-client[identity]'") from None
        return {"credential": DefaultAzureCredential(), "scopes": (chosen,)}
    if found == ["LRO_TOKEN"]:
        return {"credential": GivenToken(environment["LRO_TOKEN"]), "scopes": (chosen or "given",)}
    if found == ["LRO_KEY"]:
        header = environment.get("LRO_KEY_HEADER") or "x-functions-key"
        return {"credential": AzureKeyCredential(environment["LRO_KEY"]), "key_header": header}
    return {}


def service() -> str | None:
    """LRO_ENDPOINT, the service that relative URLs are of.

    Raises:
        typer.BadParameter: it is no URL.
    """
    found = environment().get("LRO_ENDPOINT") or None
    try:
        return found and check(found)
    except UnsafeUrl as error:
        raise typer.BadParameter(f"LRO_ENDPOINT is {error.message}; it is such as https://contoso.example") from None


def located(url: str) -> str:
    """The URL that an argument means: one that names no host is a path below LRO_ENDPOINT. Files that Windows has
    written leave a line end behind.

    Raises:
        typer.BadParameter: it names no host, and LRO_ENDPOINT is not set or no URL.
    """
    url = url.strip()
    if _NAMES_A_HOST.match(url):
        return url
    if (home := service()) is None:
        raise typer.BadParameter(f"not an absolute http or https URL: {url[:200]!r}; for a path, set LRO_ENDPOINT")
    return below(home, url)


def environment() -> Mapping[str, str]:
    return os.environ
